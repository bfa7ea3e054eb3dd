"""What a run decided for want of time, kept in one file, so that a resumed one decides the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.atomic import keep
from handful.readback import FAILURES, parsed

FILE = "decisions.json"


@dataclass
class Decisions:
    """What a run tried and left out, and with how much of everything."""

    made: dict[str, Any]
    """What was decided → the decision, as JSON has it."""
    file: Path | None
    """Where they are kept."""

    @classmethod
    def read(cls, folder: Path | None) -> Decisions:
        """Those of an interrupted run; none where there are none yet, or where their file is damaged."""
        if folder is None:
            return cls({}, None)
        return cls(_json(folder / FILE), folder / FILE)

    def keep(self, name: str, decision: Any) -> None:
        """Write down a decision."""
        self.made[name] = decision
        if self.file is not None:
            keep(self.file, json.dumps(self.made).encode())

    def within(self, ends: float) -> Callable[[str, float], bool]:
        """Whether something that takes so many seconds is tried, where all has to end at a time."""
        return lambda name, seconds: self.go(name, time.perf_counter() + seconds <= ends)

    def go(self, name: str, affordable: bool) -> bool:
        """Whether a strategy is tried."""
        if not isinstance(self.made.get(name), bool):
            self.keep(name, affordable)
        return bool(self.made[name])


def _json(file: Path) -> dict[str, Any]:
    try:
        made = parsed(file)
    except FAILURES:  # none yet, or damaged when the machine went down: what it held is decided anew
        return {}
    return made if isinstance(made, dict) else {}
