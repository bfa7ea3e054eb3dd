"""Tuning again in the background, when corrections or drift say so: answers go on, and the new model is swapped in."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FEWEST = 10
"""So many new corrections are worth a new training."""
SHARE = 0.1
"""Of large runs so large a share of their rows."""
WITH_DRIFT = 5
"""So many are worth it where drift is beyond doubt as well."""
_PATIENCE = 10.0

_log = logging.getLogger(__name__)


def due(fresh: int, rows: int, drifted: bool) -> bool:
    """Whether so many corrections are worth tuning again.

    Args:
        fresh: how many corrections came since the model was tuned.
        rows: how many rows it was tuned on.
        drifted: whether what is asked has drifted beyond doubt.
    """
    return fresh >= (min(WITH_DRIFT, max(FEWEST, SHARE * rows)) if drifted else max(FEWEST, SHARE * rows))


def command(folder: Path, table: Path) -> list[str]:
    """The command that tunes a run again with its corrections, as a user would type it."""
    return ["handful", "update", str(folder), str(table)]


@dataclass(frozen=True)
class State:
    """How far tuning again is."""

    doing: str = "nothing"
    """``nothing``, ``tuning``, ``done`` or ``failed``."""
    why: str = ""
    """What happened, in a sentence."""


_STOPPED = State("nothing", "tuning again was stopped with the server")


class Retrainer:
    """Runs one training at a time in a process of its own, which gives way to the server."""

    def __init__(self, words: Sequence[str], done: Callable[[], str]) -> None:
        """Prepare.

        Args:
            words: the command; one of handful runs by the same Python as the server.
            done: swaps the new model in, and says in a sentence what became of it; called in another thread.
        """
        self._words, self._done = _by_this_python(words), done
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._ended = False
        self.state = State()
        """How far it is."""

    def start(self) -> bool:
        """Begin, unless one is running or the server ends; whether it began."""
        with self._lock:
            if self._ended or (self._thread is not None and self._thread.is_alive()):
                return False
            self.state = State("tuning", "the model is tuned again with its corrections")
            self._thread = threading.Thread(target=self._run, name="tuning again", daemon=True)
            self._thread.start()
            return True

    def end(self) -> None:
        """Stop what runs; a run folder is then as it was."""
        with self._lock:
            self._ended = True
            process, thread = self._process, self._thread
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        if thread is not None:
            thread.join(_PATIENCE)

    def _run(self) -> None:
        """Whatever goes wrong here is told, and the server goes on."""
        try:
            with self._lock:
                if self._ended:
                    self.state = _STOPPED
                    return
                self._process = subprocess.Popen(
                    self._words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                    errors="replace",
                )  # fmt: skip
            _, said = self._process.communicate()
            if self._ended:
                self.state = _STOPPED
            elif self._process.returncode:
                last = (said.strip().splitlines() or ["it said nothing"])[-1]
                self._failed(f"tuning again failed with code {self._process.returncode}: {last[:500]}")
            else:
                self.state = State("done", self._done())
        except Exception as error:
            _log.exception("tuning again")
            self._failed(f"tuning again failed: {error}")

    def _failed(self, why: str) -> None:
        self.state = State("failed", why)
        _log.warning("%s", why)


def _by_this_python(words: Sequence[str]) -> list[str]:
    """The command as this machine runs it, after everybody else where the system can tell it so."""
    own = [sys.executable, "-m", *words] if words[0] == "handful" else list(words)
    nice = shutil.which("nice") if os.name == "posix" else None
    return [nice, "-n", "10", *own] if nice else own
