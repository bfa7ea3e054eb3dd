"""A cut: from which probability on one of two classes is answered, so that as much of it is found as was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.metrics import hundredths
from handful.tasks.base import Targets
from handful.tasks.defects.promise import Asked, Promise, promised


@dataclass(frozen=True)
class Cut:
    """One of two classes is answered wherever it is more probable than a threshold, however probable the other is."""

    label: int
    """The number of that class: the one that must be found."""
    promise: Promise
    """From which probability on, and what that means; false alarms are rows of the other class that are called so."""

    def answers(self, outputs: NDArray[np.floating]) -> NDArray[np.intp]:
        """The numbers of the classes that are answered. (..., 2) → (...)."""
        found = self.promise.alarms(np.asarray(outputs[..., self.label], np.float64))
        return np.asarray(np.where(found, self.label, 1 - self.label), np.intp)

    def told(self, names: Sequence[str]) -> str:
        """From where on the class is answered, what of it slips through, and what of the other is thrown away."""
        own, other, promise = names[self.label], names[1 - self.label], self.promise
        assert promise.found is not None
        assert promise.asked.must_find is not None
        asked = f"{100 * promise.asked.must_find:g}%"
        said = (
            f"“{own}” is answered where it is more probable than {100 * promise.threshold:.2g}%, so that {asked} are "
            f"found: of 100 “{own}” about {hundredths(1 - promise.found.value)} slip through (between "
            f"{hundredths(1 - promise.found.high)} and {hundredths(1 - promise.found.low)}, by {promise.bad} held-out "
            "rows), "
            f"of 100 “{other}” about {hundredths(promise.false_alarms.value)} are thrown away (between "
            f"{hundredths(promise.false_alarms.low)} and {hundredths(promise.false_alarms.high)}, by {promise.normal})."
        )
        if not promise.kept:
            takes = needed(promise.asked.must_find)
            said += (
                f" That {asked} are found cannot be promised by {promise.bad} rows of “{own}”: it takes {takes}, and "
                "the lowest threshold that these rows support is taken."
            )
        return said

    def entry(self) -> dict[str, Any]:
        """The cut as it stands in a model and in ``scores.json``."""
        return {"label": self.label, "promise": self.promise.as_dict()}

    @classmethod
    def of_entry(cls, raw: Mapping[str, Any]) -> Cut:
        """Read back what ``entry`` wrote.

        Raises:
            TypeError, KeyError, ValueError: it is something else.
        """
        cut = cls(raw["label"], Promise.from_dict(raw["promise"]))
        kept = cut.promise
        if type(cut.label) is not int or cut.label not in (0, 1) or set(raw) != {"label", "promise"}:
            raise ValueError("cut")
        if not -1e-9 <= kept.threshold <= 1 or kept.found is None or not isinstance(kept.asked.must_find, float):
            raise ValueError("cut")
        return cut


def needed(share: float) -> int:
    """How many held-out rows of a class it takes to promise that such a share of it is found."""
    return int(np.ceil(share / (1 - share) - 1e-9))


def cut_for(
    outputs: NDArray[np.float64], targets: Targets, label: int, share: float, groups: NDArray[np.integer] | None
) -> Cut:
    """The cut that held-out rows support.

    Rows of one group count once: the one that speaks most against the cut, so that groups can be exchanged.

    Args:
        outputs: (R, N, 2) held-out probabilities.
        targets: of the rows.
        label: the number of the class that must be found.
        share: how much of it, above 0 and below 1.
        groups: (N,) rows that belong together share a number; None where none do.
    """
    probable = outputs.mean(0)[:, label]
    own = targets.values == label
    found, other = probable[own], probable[~own]
    if groups is not None:
        found = -_highest(-found, groups[own])
        other = _highest(other, groups[~own])
    return Cut(label, promised(other, found, Asked(must_find=share)))


def _highest(values: NDArray[np.float64], groups: NDArray[np.integer]) -> NDArray[np.float64]:
    """The highest value of each group."""
    _, index = np.unique(groups, return_inverse=True)
    out = np.full(int(index.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(out, index, values)
    return out
