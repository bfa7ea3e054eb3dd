"""Decisions: what a run tried and what it left out for want of time, so that a resumed one decides the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handful.atomic import keep
from handful.readback import FAILURES, parsed


@dataclass
class Decisions:
    """What was tried and what was left out for want of time: a resumed run decides as the interrupted one did."""

    made: dict[str, bool]
    """What was asked about → whether it was tried."""
    file: Path | None
    """Where they are kept; nowhere where the run cannot be resumed."""

    @classmethod
    def read(cls, folder: Path | None) -> Decisions:
        """Those of an interrupted run; none where there are none yet, or where their file is damaged."""
        if folder is None:
            return cls({}, None)
        file = folder / "decisions.json"
        return cls(_json(file), file)

    def within(self, ends: float) -> Callable[[str, float], bool]:
        """Whether something that takes so many seconds is tried, where all has to end at a time."""
        return lambda name, seconds: self.go(name, time.perf_counter() + seconds <= ends)

    def go(self, name: str, affordable: bool) -> bool:
        """Whether a strategy is tried."""
        if name not in self.made:
            self.made[name] = affordable
            if self.file is not None:
                keep(self.file, json.dumps(self.made).encode())
        return self.made[name]


def _json(file: Path) -> dict[str, bool]:
    try:
        found = parsed(file)
    except FAILURES:  # none yet, or damaged when the machine went down: what it held is decided anew
        return {}
    made = isinstance(found, dict) and all(isinstance(value, bool) for value in found.values())
    return found if made else {}
