"""Two folders change places in one step, where the system and the disk can do that."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

# How a system, a disk or a sandbox says that it cannot do it at all.
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)

# Of renameat2 on Linux (linux/fs.h): both paths are given whole, and they are exchanged.
_WHOLE, _EXCHANGE = -100, 2

# Of renamex_np on macOS (sys/stdio.h).
_SWAP = 0x2


def exchange(one: Path, other: Path) -> bool:
    """Let two folders on one disk change places, so that at no time either name is missing.

    Returns:
        Whether they did; False where nothing happened because it cannot be done here.

    Raises:
        OSError: it can be done here, but not with these two.
    """
    call = _call()
    if call is None:
        return False
    sys.audit("os.rename", str(one), str(other), -1, -1)  # what Python tells of its own renames
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


@functools.cache
def _call() -> Callable[[bytes, bytes], int] | None:
    """The function of the system that exchanges; None where it has none."""
    if sys.platform not in ("linux", "darwin"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        swap = getattr(library, "renamex_np", None)
        return None if swap is None else lambda one, other: int(swap(one, other, _SWAP))
    rename = getattr(library, "renameat2", None)
    return None if rename is None else lambda one, other: int(rename(_WHOLE, one, _WHOLE, other, _EXCHANGE))
