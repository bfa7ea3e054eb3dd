"""The model that the labels give: made by ``handful tune`` beside the page, then served at an address of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handful.answer_store import LINES, export_table
from handful.data.cells import shown_lines
from handful.errors import HandfulError, MachineError
from handful.web.labelling.session import Session
from handful.web.questions import RefusedError

logger = logging.getLogger(__name__)

Serve = Callable[[Path], str]
"""Serves a run; gives the address of its page."""

FEWEST = 4
"""Of fewer labels no model is made."""


@dataclass
class Making:
    """Makes one model at a time."""

    session: Session
    """Whose labels."""
    table: Path
    """The table that is written first, and learned from."""
    run: Path
    """The run folder."""
    serve: Serve
    """Serves the run when it is there."""
    backbone: str = "auto"
    """What ``--backbone`` says."""
    state: str = "none"
    """none, making, made or failed."""
    said: str = ""
    """What the command said, or why there is no model."""
    address: str = ""
    """Where the model answers."""
    _process: subprocess.Popen[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def view(self) -> dict[str, Any]:
        """What the page is told."""
        return {"state": self.state, "said": self.said, "address": self.address, "run": str(self.run)}

    @property
    def report(self) -> Path | None:
        """The report of the run; None where there is none yet."""
        file = self.run / "report.html"
        return file if self.state == "made" and file.is_file() else None

    def begin(self, budget: str) -> None:
        """Begin to make a model of the labels that there are.

        Args:
            budget: how long it may take, as ``handful tune`` reads it.

        Raises:
            RefusedError: there are too few labels, or one is being made.
            MachineError: the table cannot be written.
        """
        with self._lock:
            if self.state == "making":
                raise RefusedError("one model is made at a time, and one is. Wait for it.", status=409)
            count = len(self.session.store.labels())
            if count < FEWEST:
                raise RefusedError(f"there must be at least {FEWEST} labels, got {count}. Go on labelling.", status=409)
            export_table(self.session.store, self.table)
            self.state, self.said, self.address = "making", "", ""
        threading.Thread(target=self._make, args=(budget,), name="making", daemon=True).start()

    def end(self) -> None:
        """Stop what is being made; an earlier run stays as it was."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait()

    def command(self, budget: str) -> list[str]:
        """What makes the model, as it is typed after ``handful``."""
        column = [] if self.table.suffix == LINES else ["--label", "label"]
        return [
            "tune", str(self.table), *column, "--task", self.session.task.name, "--budget", budget,
            "--out", str(self.run), "--backbone", self.backbone,
        ]  # fmt: skip

    def _make(self, budget: str) -> None:
        try:
            said, code = self._tuned(budget)
            if code:
                self.state, self.said = "failed", said or f"the command ended with {code}."
                return
            self.address = self.serve(self.run)
            self.state, self.said = "made", said
        except HandfulError as error:
            self.state, self.said = "failed", str(error)
        except Exception:  # the labels are safe, and the page goes on
            logger.exception("no model was made")
            self.state, self.said = "failed", "no model was made; why is on the standard error of the server."

    def _tuned(self, budget: str) -> tuple[str, int]:
        """What the command said, and how it ended; a process of its own, whose memory goes with it."""
        words = [sys.executable, "-m", "handful", *self.command(budget)]
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                encoding="utf-8", errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise MachineError(f"`handful tune` cannot be started: {error.strerror or error}.") from error
        out, err = self._process.communicate()
        code = self._process.returncode
        last = (err.strip().splitlines() or [""])[-1]
        return shown_lines(last if code else out), code
