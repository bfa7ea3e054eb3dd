"""How a command ends: output streams that take whatever is written, and an exit that waits for nobody."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import NoReturn


def leave_at_once(code: int) -> NoReturn:
    """Exit without waiting for threads and processes that still compute what nobody wants any more."""
    import multiprocessing

    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    if children:  # what they shared has to be given back, and they compute no more
        sys.exit(code)
    sys.stderr.flush()
    os._exit(code)


def ready_streams() -> None:
    """Make both output streams take whatever is written, so that no run is lost over a message."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell, or by a window system
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open until the end
        elif isinstance(stream, io.TextIOWrapper):  # a terminal may lack letters that labels and file names have
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Let what is still to be written go nowhere: Python would try again when it ends, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
