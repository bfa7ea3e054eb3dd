"""The runtime of a page: onnxruntime-web, fetched once by the user's own npm, by exact version and hash, or named."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from handful.atomic import replaced_file
from handful.errors import MachineError, OptionError
from handful.files import cache_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""SHA-512 of the package, as the index tells it."""
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""What a page needs of it: the interface, what loads the machine code, and the machine code."""

_MOST = 256 << 20


def runtime_files(folder: str | None) -> dict[str, bytes]:
    """Name → content of each file of the runtime.

    Args:
        folder: where they lie, as in ``dist`` of the package; None to have npm fetch them, once.

    Raises:
        OptionError: a file is not in the folder.
        MachineError: npm is not there, or gave something else.
    """
    if folder is not None:
        missing = [name for name in FILES if not (Path(folder) / name).is_file()]
        if missing:
            raise OptionError(
                f"--runtime must be the folder dist of {PACKAGE}, got one without {', '.join(missing)}. Name it, or "
                "leave it out."
            )
        return {name: (Path(folder) / name).read_bytes() for name in FILES}
    place = cache_folder() / "runtime" / f"{PACKAGE}-{VERSION}.tgz"
    if not place.is_file() or not _is_whole(place.read_bytes()):
        _fetch(place)
    return unpacked(place.read_bytes())


def unpacked(package: bytes) -> dict[str, bytes]:
    """The files that a page needs, out of the package.

    Raises:
        MachineError: it is another package, or lacks one.
    """
    if not _is_whole(package):
        raise MachineError(
            f"npm must give {PACKAGE} {VERSION} with the hash that handful knows, got another file. Try again, or name "
            "the folder with --runtime."
        )
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        members = {name: archive.extractfile(f"package/dist/{name}") for name in FILES}
        return {name: member.read(_MOST) for name, member in members.items() if member is not None}


def _is_whole(package: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(package).digest()).decode() == INTEGRITY


def _fetch(place: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise MachineError(
            f"--format web needs {PACKAGE} {VERSION}, which npm fetches, but there is no npm. Install it, or name the "
            f"folder dist of the package with --runtime."
        )
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [npm, "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{VERSION}"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        packed = Path(folder) / f"{PACKAGE}-{VERSION}.tgz"
        if done.returncode or not packed.is_file():
            why = (done.stderr.strip().splitlines() or ["it gave no file"])[-1]
            raise MachineError(f"npm could not fetch {PACKAGE} {VERSION} ({why}). Try again, or use --runtime.")
        content = packed.read_bytes()
    unpacked(content)
    with replaced_file(place) as file:
        file.write_bytes(content)
