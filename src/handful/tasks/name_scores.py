"""How each name fares that may be answered: a class, or one label of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from handful.evaluation.intervals import Estimate


@dataclass(frozen=True)
class NameScore:
    """How one class or label fares out of fold."""

    name: str
    """The class or label."""
    rows: int
    """How many training rows it has."""
    recall: Estimate | None
    """Share of its rows that are found; None where it has none."""
    precision: Estimate | None
    """Share of the answers with this name that are right; None where it is never answered."""
    f1: float | None = None
    """The harmonic mean of the two, where several names may be answered to one item."""

    def as_dict(self) -> dict[str, Any]:
        """The entry as it stands in ``scores.json``."""
        entry = {
            "name": self.name,
            "rows": self.rows,
            "recall": None if self.recall is None else self.recall.as_dict(),
            "precision": None if self.precision is None else self.precision.as_dict(),
        }
        return entry if self.f1 is None else {**entry, "f1": round(self.f1, 6)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> NameScore:
        """Read back what ``as_dict`` wrote; KeyError, TypeError or ValueError where it is something else."""
        recall, precision = (raw[name] and Estimate(**raw[name]) for name in ("recall", "precision"))
        return cls(raw["name"], raw["rows"], recall, precision, raw.get("f1"))


def weakest_first(scores: Iterable[NameScore]) -> list[NameScore]:
    """The names that fare worst first: by F1 where there is one, else by recall; of equals the one with more rows."""

    def fares(score: NameScore) -> tuple[float, int]:
        value = score.f1 if score.f1 is not None else 0.0 if score.recall is None else score.recall.value
        return value, -score.rows

    return sorted(scores, key=fares)
