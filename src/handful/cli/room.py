"""Whether a process may have as much memory as libraries of models take before they do anything."""

from __future__ import annotations

import importlib.util
import os

from handful.errors import MachineError

# The commands that load them.
_LOADING = ("tune", "inspect", "predict", "explain", "check", "export", "chat", "serve", "adapt")

# Bytes of address space: 1.35 GB were taken at most by a run of a toy backbone with two threads (measured), and more
# threads take more, since each has buffers and a stack in every library.
_BASE, _PER_THREAD = 1.3e9, 0.1e9


def check_room(words: list[str]) -> None:
    """Refuse a limit under which a library would end the process or try for ever, neither of which can be caught.

    Args:
        words: the command line, without the name of the program.

    Raises:
        MachineError: the address space is too small.
    """
    if not words or words[0] not in _LOADING or importlib.util.find_spec("resource") is None:
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    asked = os.environ.get("OMP_NUM_THREADS", "")  # what all these libraries go by
    needed = _BASE + _PER_THREAD * (int(asked) if asked.isdecimal() else os.cpu_count() or 1)
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise MachineError(
            f"the memory that a process may have (ulimit -v) must be at least {needed / 1e9:.1f} GB for this, got "
            f"{limit / 1e9:.1f} GB. Raise the limit (ulimit -v unlimited), or use fewer threads (OMP_NUM_THREADS=1)."
        )
