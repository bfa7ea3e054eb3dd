"""The task of a rating: classes in an order, of which a near miss costs less than a far one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.data.targets import JOIN, NOUNS, RATINGS, rating_order
from handful.errors import DataError
from handful.evaluation.curves import Needs
from handful.evaluation.metrics import Kind, Metric, each, mean_absolute_error
from handful.seeding import generator
from handful.tasks.base import Baseline, Floats, Targets
from handful.tasks.classification.details import ClassDetails
from handful.tasks.classification.heads import LOGISTIC, RIDGE
from handful.tasks.classification.metrics import right
from handful.tasks.classification.task import Classification
from handful.tasks.heads import BINARY, SQUARED, Head, above
from handful.tasks.link import MEDIAN, SOFTMAX, Link

Statistics = NDArray[np.float64]


def rated(outputs: Floats) -> NDArray[np.intp]:
    """The number of the median rating, which costs the least absolute error. (..., C) → (...)."""
    return np.asarray((np.cumsum(outputs, -1) < 0.5 - 1e-9).sum(-1).clip(0, outputs.shape[-1] - 1))


def values_of(names: Sequence[str]) -> NDArray[np.float64]:
    """(C,) what the ratings are worth: themselves where they are numbers, else 1 to C."""
    try:
        return np.array([float(name) for name in names])
    except ValueError:
        return np.arange(1.0, len(names) + 1)


def _step(targets: Targets) -> float:
    """The smallest difference between two ratings."""
    return float(np.diff(np.sort(values_of(targets.names))).min())


def _absolute(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2): the absolute error of the rating, and one."""
    worth = values_of(targets.names)
    return each(np.abs(worth[rated(outputs)] - worth[targets.values]).mean(0))


def _right(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 2) of the median rating."""
    return right(rated(outputs), targets)


def _disagreement(outputs: Floats, targets: Targets) -> Statistics:
    """(N, 6): squared error; square and value of the right rating; of the answered one; and one."""
    worth = values_of(targets.names)
    worth = worth - worth.mean()
    own, said = worth[targets.values], worth[rated(outputs)]  # (N,), (R, N)
    columns = [((said - own) ** 2).mean(0), own**2, own, (said**2).mean(0), said.mean(0), np.ones(len(own))]
    return np.stack(columns, 1)


def _spare(targets: Targets, blind: Floats | None) -> Statistics:
    """(1, 2, 6): a row more of the highest rating that is right, and one that is taken for the rating below.

    Who looks at no row says of it what is said of all.
    """
    worth = values_of(targets.names)
    worth = worth - worth.mean()
    top, below = np.sort(worth)[[-1, -2]]
    likely = (top, below) if blind is None else (worth[rated(blind)],) * 2
    added = [[(said - top) ** 2, top**2, top, said**2, said, 1.0] for said in likely]
    return np.array([added])


def kappa(sums: Statistics) -> Statistics:
    """Quadratic weighted kappa (Cohen 1968): one minus disagreement by that of chance. (..., 6) → (...)."""
    error, squares, total, said_squares, said, count = np.moveaxis(sums, -1, 0)
    chance = squares + said_squares - 2 * total * said / np.maximum(count, 1e-9)
    return np.asarray(1 - error / np.maximum(chance, 1e-12))


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        # Mean absolute error, in ratings.
        mean_absolute_error(_absolute, "how far off a rating is", _step),
        # Agreement beyond chance, where a far miss counts more than a near one.
        Metric(
            "quadratic_kappa",
            _disagreement,
            Kind.FUNCTION,
            kappa,
            percent=False,
            spare=_spare,
            plain="agreement beyond chance, far misses counting more",
        ),  # fmt: skip
        # Share of rows that are answered right.
        Metric("accuracy", _right),
    )
}
"""Name in ``--metric`` → metric; the first one is the headline."""

CUMULATIVE_RIDGE = Head("cumulative-ridge", SQUARED, (10.0, 3.0, 1.0, 0.3, 0.1), contrasts=above)
CUMULATIVE = Head("cumulative", BINARY, (1.0, 0.1, 0.01), contrasts=above)


@dataclass(frozen=True)
class Ordinal(Classification):
    """A rating for an item; see ``tasks.base.Task``. Outputs are probabilities (..., N, C) of the ratings, in order.

    Heads that tell classes apart know nothing of the order; those of cumulative questions (is it above 3?) know nothing
    else. Both give scores of ratings that add up, so that held-out rows say how much of each is pooled.
    """

    name: ClassVar[str] = "ordinal"
    metrics: ClassVar = METRICS
    heads: ClassVar = {head.name: head for head in (RIDGE, CUMULATIVE_RIDGE, LOGISTIC, CUMULATIVE)}
    main: ClassVar = CUMULATIVE
    reference: ClassVar = Baseline("median", "always answering the same rating")
    nouns: ClassVar = NOUNS[RATINGS]
    about: ClassVar = "the rating"
    named_alone: ClassVar = False

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """Ratings as numbers of the ratings in their order."""
        cells = [str(cell) for cell in column]
        names = rating_order(set(cells), source)
        if len(names) < 2:
            got = f"only {names[0]}" if names else "none"
            raise DataError(f"the rows of {source} must have at least 2 ratings, got {got}. Add rows of others.")
        return self.coded(cells, names)

    def likeness(self, targets: Targets) -> NDArray[np.float32]:
        """1 for the same rating, 0 for the lowest and the highest."""
        apart = np.abs(targets.values[:, None] - targets.values[None])
        return np.asarray(1 - apart / max(len(targets.names) - 1, 1), np.float32)

    @property
    def link(self) -> Link:
        """Softmax, and the median rating."""
        return Link(SOFTMAX, MEDIAN)

    def numbers(self, outputs: Floats) -> NDArray[np.intp]:
        """The number of the rating that is answered, the median one. (..., C) → (...)."""
        return rated(outputs)

    def within(self, outputs: Floats, limit: float, names: Sequence[str]) -> list[str]:
        """From the lowest rating that fits as well as the limit asks to the highest, and all between them."""
        inside = 1 - outputs <= limit
        inside[np.arange(len(outputs)), rated(outputs)] = True
        between = np.maximum.accumulate(inside, 1) & np.maximum.accumulate(inside[:, ::-1], 1)[:, ::-1]
        return [JOIN.join(names[c] for c in np.flatnonzero(row).tolist()) for row in between]

    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Ratings with hardly any rows, then those with most errors; near ones are always taken for each other."""
        return Needs(super().needs(outputs, targets).names)

    def details(self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """Every metric with its interval, and what classes have."""
        measured = self.measured(outputs, targets, groups, generator(0, "ratings"))
        return {"metrics": measured, **ClassDetails.of(rated(outputs), targets, groups).as_dict()}


ORDINAL = Ordinal()
