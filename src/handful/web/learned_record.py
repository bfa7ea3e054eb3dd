"""The record of what a served model learned: each time, from which corrections, and which of them are left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from handful.answer_store import AnswerStore
from handful.errors import DataError

_LEFT_OUT, _TRAINED = "held back", "trained"


@dataclass(frozen=True)
class Application:
    """One time that a model learned from corrections, or went back: enough to make it again."""

    number: int
    """Which one since the run was made, from 1."""
    of: str
    """Digest of the record of the shipped model."""
    upto: int
    """How many entries of the log of answers are learned from."""
    left_out: tuple[str, ...]
    """Ids of the answers among them that are not."""
    reason: str
    """How it came about."""
    rows: int
    """How many corrections it learned from."""
    made: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    """When, as an ISO time."""


@dataclass(frozen=True)
class LearnedRecord:
    """What is remembered beside the corrections of one version of a run."""

    store: AnswerStore
    """Where."""
    run_version: int
    """Of which version of the run."""

    @property
    def last(self) -> int:
        """How many times the model learned or went back."""
        return _whole(self.store.fact(f"learned {self.run_version}"))

    @property
    def trained(self) -> int:
        """How many entries of the log the run was tuned with."""
        return _whole(self.store.fact(_TRAINED))

    @property
    def left_out(self) -> tuple[str, ...]:
        """Ids of corrections that were held back or taken back.

        Raises:
            DataError: the entry is damaged.
        """
        try:
            return tuple(map(str, json.loads(self.store.fact(_LEFT_OUT) or "[]")))
        except (ValueError, TypeError) as error:
            raise self._damaged(_LEFT_OUT) from error

    def leave_out(self, ids: Sequence[str]) -> None:
        """Remember which corrections are not learned from."""
        self.store.set_fact(_LEFT_OUT, json.dumps(list(dict.fromkeys(ids))))

    def tuned_with(self, entries: int) -> None:
        """Remember how many entries of the log the run was tuned with."""
        self.store.set_fact(_TRAINED, str(entries))

    def put(self, done: Application) -> None:
        """Remember an application; the count comes last, so that a kill leaves it out or keeps it whole."""
        self.store.set_fact(self._name(done.number), json.dumps(asdict(done)))
        self.store.set_fact(f"learned {self.run_version}", str(done.number))

    def get(self, number: int) -> Application | None:
        """An application by its number; None where there is none.

        Raises:
            DataError: the entry is damaged.
        """
        said = self.store.fact(self._name(number)) if 0 < number <= self.last else None
        if said is None:
            return None
        try:
            raw = json.loads(said)
            return Application(**{**raw, "left_out": tuple(map(str, raw["left_out"]))})
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(self._name(number)) from error

    def _name(self, number: int) -> str:
        return f"learned {self.run_version}.{number}"

    def _damaged(self, name: str) -> DataError:
        return DataError(
            f"{self.store.file} must say what was learned, got a damaged entry ({name}). Restore a copy, or remove the "
            "folder to begin anew."
        )


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 9 else 0
