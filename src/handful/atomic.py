"""Writing whole or not at all: a folder or file appears under its name only when it is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from handful.errors import MachineError, OptionError

_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def replaced_folder(folder: Path, marker: str) -> Iterator[Path]:
    """Give a temporary sibling to write into; rename it into place when the body ends without an error.

    Args:
        folder: where the result shall lie.
        marker: a file that shows that an existing folder was written by us and may be replaced.

    Raises:
        OptionError: ``folder`` exists and is not ours to replace.
        MachineError: it cannot be written, or the disk is full.
    """
    check_replaceable(folder, marker)
    fresh: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        fresh.chmod(0o777 & ~_umask())
        yield fresh
        _swap(fresh, folder)
    except OSError as error:
        raise _explained(error, folder) from error
    finally:
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def replaced_file(file: Path) -> Iterator[Path]:
    """Give a temporary sibling to write to; rename it into place when the body ends without an error.

    Raises:
        MachineError: it cannot be written, or the disk is full.
    """
    fresh: Path | None = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        os.close(handle)
        fresh = Path(name)
        fresh.chmod(0o666 & ~_umask())
        yield fresh
        fresh.replace(file)
    except OSError as error:
        raise _explained(error, file) from error
    finally:
        if fresh is not None:
            fresh.unlink(missing_ok=True)


def check_replaceable(folder: Path, marker: str) -> None:
    """Refuse a folder that holds something else, before any work is done.

    Raises:
        OptionError: ``folder`` exists, is not empty and has no ``marker``, or is a file.
        MachineError: nothing can be written beside it.
    """
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / marker).exists():
            raise OptionError(
                f"output folder {folder} must be new, empty or an earlier result, got a folder with other files. "
                "Choose another folder."
            )
    elif folder.exists():
        raise OptionError(f"output folder {folder} must be a folder, got a file. Choose another name.")
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(nearest, os.W_OK):
        raise MachineError(f"{folder} cannot be written: no permission in {nearest}. Choose another folder.")


def _swap(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        fresh.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / "was")
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _explained(error: OSError, place: Path) -> MachineError:
    if error.errno in _SPACE:
        return MachineError(f"{place} was not written: the disk is full. Free some space or choose another place.")
    return MachineError(f"{place} cannot be written: {error.strerror or error}. Choose another place.")
