"""How a command ends: when it is told to, when the machine has no more to give, and without waiting for anybody."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from handful.cli.printing import put
from handful.run_folder import checkpoints_in, checkpoints_of

# What ends a command from outside; Windows knows the first only.
_FROM_OUTSIDE = ("SIGTERM", "SIGHUP")

# What libraries say in an error of their own, or of the loader, when no memory is to be had.
_NO_MEMORY = (
    "allocate memory", "not enough memory", "out of memory", "DefaultCPUAllocator", "bad_alloc",
    "failed to map segment", "can't start new thread", "could not create a primitive",
)  # fmt: skip


class Terminated(KeyboardInterrupt):
    """A command is ended from outside: everything happens that happens after Ctrl-C."""

    def __init__(self, number: int) -> None:
        """Args: number: the signal that said so."""
        super().__init__()
        self.number = number


def heed_signals() -> None:
    """Let SIGTERM, and the end of the terminal, end a command as Ctrl-C does, unless it was started without ears.

    What is ignored when a command starts stays ignored: so shells start jobs in the background, and ``nohup`` all jobs.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _known(_FROM_OUTSIDE):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _terminate)


def leave_interrupted(interruption: KeyboardInterrupt) -> NoReturn:
    """Say that a command was interrupted and exit as shells expect it: with 128 and the number of the signal."""
    for further in _known(("SIGINT", *_FROM_OUTSIDE)):  # a second one changes nothing
        signal.signal(further, signal.SIG_IGN)
    number = interruption.number if isinstance(interruption, Terminated) else signal.SIGINT
    with contextlib.suppress(OSError):  # the terminal is gone
        word = "Interrupted" if number == signal.SIGINT else "Terminated"
        put(f"handful: {word}; nothing half-written is left.", to=sys.stderr)
        for note in getattr(interruption, "__notes__", ()):
            put(note, to=sys.stderr)
    leave_at_once(128 + number)


@contextlib.contextmanager
def naming_resume(folder: Path) -> Iterator[None]:
    """Where an interruption leaves trainings that can be gone on with, let it say the command that does.

    Args:
        folder: where the result shall lie, beside which trainings keep their state, those of several targets in it.
    """
    try:
        yield
    except KeyboardInterrupt as interruption:
        places = [checkpoints_of(folder), *checkpoints_in(folder)]
        if any(path.is_file() for place in places for path in place.rglob("*")):
            again = shlex.join(["handful", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
            interruption.add_note(f"To go on from where it stood: {again}")
        raise


def memory_ran_out(error: Exception) -> bool:
    """Whether an error says that no more memory is to be had, whoever says it."""
    if isinstance(error, OSError | RuntimeError | ImportError):
        return any(sign in str(error) for sign in _NO_MEMORY)
    return isinstance(error, MemoryError)


def _known(names: tuple[str, ...]) -> list[signal.Signals]:
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(number)


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
