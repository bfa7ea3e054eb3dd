"""A finding: one thing that is wrong with the data, which rows it is about, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.errors import BundleError
from handful.notebook_html import page, paragraph, shortened, table
from handful.readback import read_json

KINDS = (
    "label_error", "duplicate", "near_duplicate", "conflict", "leak", "outlier", "confusable", "imbalance", "shortcut",
    "shift", "foreign", "cut", "unreadable", "empty", "too_few",
)  # fmt: skip

OUT_OF_REACH = ("foreign", "cut")
"""What the backbones cannot see: told before all others, since much else may come from it."""


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
    """About the share of the score at stake, 0 to 1; findings are told in this order, once what is out of
    reach was told."""

    def record(self) -> dict[str, Any]:
        """The finding as an entry of ``findings.json``."""
        return {
            "kind": self.kind,
            "rows": list(self.rows),
            "scores": list(self.scores),
            "message": self.message,
            "advice": self.advice,
        }

    def __repr__(self) -> str:
        """Its kind and its message, on one line."""
        return f"Finding({self.kind}: {shortened(self.message)})"

    def _repr_html_(self) -> str:
        return Findings((self,))._repr_html_()


class Findings(tuple[Finding, ...]):
    """All that is wrong with a Dataset, the most costly first; empty where nothing is."""

    def __repr__(self) -> str:
        """One line per finding."""
        count = "1 finding" if len(self) == 1 else f"{len(self)} findings" if self else "no findings"
        return "\n  ".join([count, *(f"{finding.kind}: {shortened(finding.message, 110)}" for finding in self)])

    def _repr_html_(self) -> str:
        if not self:
            return page(paragraph("Nothing was found."))
        rows = [(finding.kind.replace("_", " "), finding.message, finding.advice) for finding in self]
        return page(table(("what", "found", "what to do"), rows))


def saved_findings(folder: Path) -> tuple[Finding, ...]:
    """The findings of a run folder, in their order; none where the file is not there.

    Raises:
        BundleError: the file is damaged.
    """
    file = folder / "findings.json"
    if not file.is_file():
        return ()

    def refusal(why: str) -> BundleError:
        return BundleError(f"{file} cannot be read ({why}). Restore it, or delete it: then only findings are missing.")

    def build(raw: list[dict[str, Any]]) -> tuple[Finding, ...]:
        texts = [(str(one["kind"]), str(one["message"]), str(one["advice"])) for one in raw]
        rows = [tuple(map(int, one["rows"])) for one in raw]
        return tuple(Finding(kind, at, told, advice) for (kind, told, advice), at in zip(texts, rows, strict=True))

    return read_json(file, build, refusal)


def by_cost(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order in which they are told: what is out of reach, then the most costly first."""
    return sorted(findings, key=lambda finding: (finding.kind not in OUT_OF_REACH, -finding.severity))
