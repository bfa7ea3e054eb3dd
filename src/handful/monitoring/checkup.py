"""The checkup of a model in use: what it promised against what new rows show, as one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handful.data.names import listed
from handful.errors import BundleError
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Metric, Scale
from handful.evaluation.scores import Scores
from handful.monitoring.drift import ALARM, Drift
from handful.readback import shortened
from handful.tasks.base import Task

NAMED = 10


@dataclass(frozen=True)
class Checkup:
    """What new rows say about a model."""

    rows: int
    """How many new rows could be read."""
    unreadable: int
    """How many could not."""
    answered: Mapping[str, int]
    """Class → how many new rows are answered with it, most frequent first."""
    strange: float | None = None
    """Share of new rows that are stranger than all but 5 % of the training rows; None: too few rows to tell."""
    drift: Drift | None = None
    """How new rows differ from training rows that are answered alike; None where nothing can be compared."""
    furthest: tuple[int, ...] = ()
    """Zero-based positions in the source of the rows that differ most, furthest first."""
    called: str = ""
    """The first ten of them as a person looks them up: IDs, lines of the file, or files; empty where there are none."""
    promised: Estimate | None = None
    """The score that the run promised; None where it is not known."""
    measured: Estimate | None = None
    """The score on the new rows; None where they carry no labels."""
    metric: str = "accuracy"
    """The metric of both."""
    scale: Scale = field(default_factory=Scale)
    """How the metric is told."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Classes of the new rows that the run has never seen → how many rows they have; they count as wrong."""

    languages: tuple[str, str] | None = None
    """What most new texts and what most training texts are in, where both are clear and differ: ``German, English``."""

    @property
    def fallen(self) -> float:
        """How far the score has fallen for sure: the lower end of the 95 % interval of promised minus measured.

        Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
        """
        if self.promised is None or self.measured is None:
            return -1.0
        p, m = self._rising(self.promised), self._rising(self.measured)
        return float(p.value - m.value - np.hypot(p.value - p.low, m.high - m.value))

    @property
    def verdict(self) -> str:
        """``retrain``, ``unsure``, ``as promised``, ``drifted``, ``not measured`` or ``no promise``.

        Only what was measured, and had been promised, is called as promised.
        """
        if self.unknown or self.fallen > 0:
            return "retrain"
        if self.promised is not None and self.measured is not None:
            within = self._rising(self.measured).value >= self._rising(self.promised).low
            return "as promised" if within else "unsure"
        if self.drift is not None and self.drift.beyond_chance:
            return "drifted"
        return "not measured" if self.measured is None else "no promise"

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look: what the exit code says."""
        return self.verdict in ("retrain", "drifted")

    @property
    def sentence(self) -> str:
        """The verdict in one to three sentences."""
        said = [f"{self._promise()}: {_ADVICE[self.verdict]}." if self.measured is not None else self._drifted()]
        if self.verdict == "not measured":
            said.append(f"No label says how many answers are right: {_UNMEASURED}.")
        if self.unknown:
            count = sum(self.unknown.values())
            said.append(
                f"{count} rows are of classes that the run has never seen: {listed(list(self.unknown))}. "
                "Add such rows to those it learns from, and tune again."
            )
        if self.languages:
            said.append("New rows look {}, the training rows {}.".format(*self.languages))
        return " ".join(said)

    def _rising(self, estimate: Estimate) -> Estimate:
        """The same turned over where less is better."""
        return estimate if self.scale.higher_is_better else -estimate

    def _promise(self) -> str:
        assert self.measured is not None
        what = "" if self.metric == "accuracy" else f"{self.scale.title} "
        before = f"{what}promised {self._range(self.promised)}, " if self.promised is not None else what
        value = self.measured.told(self.scale)
        return f"{before}measured {value} ({self._range(self.measured)}) on {self.rows} rows"

    def _range(self, estimate: Estimate) -> str:
        return self.scale.between(estimate.low, estimate.high, "to")

    def _drifted(self) -> str:
        if self.drift is None:
            return "The new rows cannot be compared with the training rows: none are answered alike."
        p = f"p = {self.drift.p:.3f}"
        strange = "" if self.strange is None else f"; {self.strange:.0%} are stranger than 95% of them"
        if self.drift.beyond_chance:
            return (
                f"The new rows differ from the training rows ({p}{strange}): drifted. Label some of those that differ "
                "most and check again with their labels."
            )
        return f"The new rows look like the training rows ({p}, below {ALARM} would be drift{strange})."

    def as_dict(self) -> dict[str, Any]:
        """What ``handful check --json`` prints."""
        drift = None if self.drift is None else {"p": round(self.drift.p, 4), "found": self.drift.beyond_chance}
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "rows": self.rows,
            "unreadable": self.unreadable,
            "answered": dict(self.answered),
            "strange": None if self.strange is None else round(self.strange, 4),
            "drift": drift,
            "furthest": list(self.furthest[:NAMED]),
            "metric": self.metric,
            "promised": None if self.promised is None else self.promised.as_dict(),
            "measured": None if self.measured is None else self.measured.as_dict(),
            "unknown": dict(self.unknown),
            "languages": None if self.languages is None else list(self.languages),
        }


_ADVICE = {
    "retrain": "retrain",
    "unsure": "worse, but too few rows to be sure; label more and check again",
    "as promised": "as promised",
    "drifted": "what the run promised is not known, and the rows differ from the training rows: drifted",
    "no promise": "what the run promised is not known, so that nothing says whether it is kept",
}
_UNMEASURED = "whether the promise is kept was not measured. Name the column of labels with --label, or label some rows"


def promised_metric(task: Task, scores: Scores | None) -> Metric:
    """The metric in which a run promised what its model is worth; the first of the task where no promise is known.

    Raises:
        BundleError: the scores of the run are of another task.
    """
    metric = task.headline if scores is None else task.metrics.get(scores.metric)
    if metric is None:
        raise BundleError(
            f"the scores of the run must be in a metric of {task.name} ({', '.join(task.metrics)}), got "
            f"{shortened(scores.metric if scores else '')}. Restore scores.json or tune again."
        )
    return metric
