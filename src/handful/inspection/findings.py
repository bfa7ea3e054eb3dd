"""A finding: one thing that is wrong with the data, which rows it is about, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

KINDS = (
    "label_error", "duplicate", "near_duplicate", "conflict", "leak", "outlier", "confusable", "imbalance", "shortcut",
    "shift", "foreign", "unreadable", "too_few",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a Dataset."""

    kind: str
    """One of ``KINDS``."""
    rows: tuple[int, ...]
    """Zero-based positions in the source of the rows it is about, the most telling first."""
    message: str
    """What was found, in one sentence without a full stop."""
    advice: str
    """What to do about it, in one sentence."""
    scores: tuple[float, ...] = ()
    """How sure or how strong it is, one number per row, where there is such a number."""
    severity: float = 0.0
    """About the share of the score at stake, 0 to 1; findings are told in this order."""

    def record(self) -> dict[str, Any]:
        """The finding as an entry of ``findings.json``."""
        return {
            "kind": self.kind,
            "rows": list(self.rows),
            "scores": list(self.scores),
            "message": self.message,
            "advice": self.advice,
        }


def by_cost(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order in which they are told: the most costly first, equal ones as they came."""
    return sorted(findings, key=lambda finding: -finding.severity)
