"""The task of classification: class numbers, one-hot columns, softmax, log loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from handful.data.targets import CLASSES, JOIN, NOUNS, names_of
from handful.errors import DataError
from handful.evaluation.curves import Needs
from handful.evaluation.intervals import interval
from handful.evaluation.metrics import share
from handful.tasks.base import Baseline, Floats, HeadTask, Targets, named_width
from handful.tasks.classification import conformal, softmax
from handful.tasks.classification.conformal import Sets
from handful.tasks.classification.cut import Cut, cut_for
from handful.tasks.classification.details import ClassDetails, needs_of
from handful.tasks.classification.heads import HEADS, LOGISTIC
from handful.tasks.classification.metrics import METRICS, answered, mean_confusion
from handful.tasks.link import ABOVE, HIGHEST, SOFTMAX, Link


@dataclass(frozen=True)
class Classification(HeadTask):
    """Every item is of one class; see ``tasks.base.HeadTask``. Outputs are probabilities (..., N, C), rows sum to 1."""

    name: ClassVar[str] = "classification"
    metrics: ClassVar = METRICS
    heads: ClassVar = HEADS
    main: ClassVar = LOGISTIC
    reference: ClassVar = Baseline("majority", "always answering the same class")
    nouns: ClassVar = NOUNS[CLASSES]
    about: ClassVar = "the most probable class"
    named_alone: ClassVar = True
    distils: ClassVar = True
    self_trains: ClassVar = True
    exclusive: ClassVar = True

    cut: Cut | None = None
    """From which probability on one of two classes is answered; None: the most probable class is."""

    def finding(
        self, outputs: Floats, targets: Targets, named: tuple[str, float], groups: NDArray[np.integer] | None
    ) -> Self:
        """The task that answers one of two classes so often that as much of it is found as is asked for.

        Args:
            outputs: (R, N, 2) held-out probabilities.
            targets: of the rows.
            named: the class, and how much of it.
            groups: (N,) rows that belong together share a number; None where none do.
        """
        name, share_found = named
        return replace(self, cut=cut_for(np.asarray(outputs), targets, targets.names.index(name), share_found, groups))

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """Class names of N items as numbers of the sorted classes."""
        names = names_of(column, self.name)
        if len(names) < 2:
            raise DataError(f"the rows of {source} must be of at least 2 classes, got {len(names)}. Add another class.")
        return self.coded(column, names)

    def coded(self, column: Sequence[str], names: Sequence[str]) -> Targets:
        """Class names as their places among the sorted ones."""
        place = {name: i for i, name in enumerate(names)}
        return Targets(self, np.array([place[cell] for cell in column], np.int64), tuple(names))

    @property
    def link(self) -> Link | None:
        """Softmax, and the most probable class, or the one that a cut answers."""
        if self.cut is None:
            return Link(SOFTMAX, HIGHEST)
        return Link(SOFTMAX, ABOVE, (float(self.cut.label), self.cut.promise.threshold))

    @property
    def settings(self) -> dict[str, Any]:
        """The cut, where there is one."""
        return {} if self.cut is None else {"cut": self.cut.entry()}

    def restored(self, settings: Mapping[str, Any]) -> Self:
        """With the cut of a record, where it has one."""
        if not settings:
            return super().restored(settings)
        if set(settings) != {"cut"}:
            raise ValueError(f"settings of {self.name} must be a cut or none, got {sorted(settings)}")
        try:
            return replace(self, cut=Cut.of_entry(settings["cut"]))
        except (TypeError, KeyError) as error:
            raise ValueError("cut") from error

    def decided(self, names: Sequence[str]) -> str:
        """What the cut means, in words."""
        return "" if self.cut is None else self.cut.told(names)

    def outputs(self, scores: Floats) -> NDArray[np.float64]:
        """Softmax."""
        return softmax.probabilities(scores, 1.0)

    def scores(self, outputs: Floats) -> NDArray[np.float64]:
        """Log probabilities; no answer is so sure that others do not count."""
        return np.asarray(np.log(np.maximum(outputs, softmax.SMALLEST)))

    def losses(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """Minus the log probability of the class of each row, hedged."""
        return softmax.hedged_losses(outputs, targets.values)

    def losses_at(self, scores: Floats, targets: Targets, factors: Floats) -> NDArray[np.float32]:
        """Minus the log probability of the class of each row, at several temperatures."""
        return softmax.log_losses(scores, targets.values, factors)

    def smoothing(self, scores: Floats, targets: Targets) -> Floats:
        """How far the class of each row is ahead of the others."""
        return softmax.leads(scores, targets.values)

    def spread(self, scores: Floats) -> float:
        """Mean distance of a score to the highest of its row."""
        return softmax.spread_of(scores)

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """The classes themselves."""
        return np.asarray(targets.values, np.int64)

    def design(self, targets: Targets) -> NDArray[np.float32]:
        """One column per class: 1 in that of the row's own, else 0."""
        return np.asarray(np.eye(len(targets.names), dtype=np.float32)[targets.values])

    def likeness(self, targets: Targets) -> NDArray[np.float32]:
        """1 for two rows of a class, 0 for others."""
        return np.asarray(targets.values[:, None] == targets.values[None], np.float32)

    def named(self, targets: Targets) -> Targets:
        """A name is of its own class."""
        return replace(targets, values=np.arange(len(targets.names)))

    def names_tell(self, similar: Floats, targets: Targets) -> bool:
        """The nearest name is that of a row's class more often than the most frequent class is right.

        Of the rows to learn from, before anything is learned. Codes, numbers and names that mislead do not tell.
        """
        right = share(similar.argmax(1) == targets.values)
        return bool(interval(right).low > np.bincount(targets.values).max() / len(targets))

    def constant(self, targets: Targets) -> NDArray[np.float64]:
        """How frequent each class is."""
        return np.bincount(targets.values, minlength=len(targets.names)) / len(targets)

    def numbers(self, outputs: Floats) -> NDArray[np.intp]:
        """The number of the class that is answered: the most probable one, or by the cut. (..., C) → (...)."""
        return answered(outputs) if self.cut is None else self.cut.answers(outputs)

    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """The name of the class that is answered to each row."""
        return [names[c] for c in self.numbers(outputs).tolist()]

    def wanted(self, targets: Targets) -> list[str]:
        """The class of each row."""
        return [targets.names[c] for c in targets.values.tolist()]

    def confidence(self, outputs: Floats) -> NDArray[np.float64]:
        """The probability of the class that is answered."""
        return np.take_along_axis(np.asarray(outputs, np.float64), self.numbers(outputs)[..., None], -1)[..., 0]

    def margin(self, outputs: Floats) -> NDArray[np.float64]:
        """One minus how far the most probable class is ahead of the next one."""
        best = np.partition(np.asarray(outputs, np.float64), -2, axis=-1)[..., -2:]
        return np.asarray(1 - (best[..., 1] - best[..., 0]))

    def entropy(self, outputs: Floats) -> NDArray[np.float64]:
        """Shannon's entropy of the classes, in nats."""
        return np.asarray(entr(outputs).sum(-1))

    def slopes(self, outputs: Floats) -> NDArray[np.float64]:
        """Probabilities minus one for the class that is answered: the gradient of the log loss by the scores."""
        slopes = np.array(outputs, np.float64)
        slopes[np.arange(len(slopes)), self.numbers(outputs)] -= 1
        return slopes

    def own(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """The probability of each row's own class."""
        return np.asarray(outputs[np.arange(len(targets)), targets.values], np.float64)

    def misfits(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """One minus the probability of the right class; see ``conformal``."""
        return conformal.misfits(outputs, targets.values)

    def within(self, outputs: Floats, limit: float, names: Sequence[str]) -> list[str]:
        """The conformal set, the most probable class first."""
        inside = conformal.sets(outputs, limit)
        order = np.argsort(-outputs, axis=1, kind="stable")
        return [
            JOIN.join(names[c] for c in row if own[c]) for row, own in zip(order.tolist(), inside.tolist(), strict=True)
        ]

    def probabilities(self, outputs: Floats, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Of each class."""
        return dict(zip(names, np.asarray(outputs, np.float64).T, strict=True))

    def kinds(self, outputs: Floats) -> NDArray[np.int64]:
        """The class that is answered."""
        return self.numbers(outputs).astype(np.int64)

    def support(self, outputs: Floats, answer: str, names: Sequence[str]) -> NDArray[np.float64]:
        """The probability of the class."""
        return np.asarray(outputs[..., list(names).index(answer)], np.float64)

    def same(self, first: Floats, second: Floats) -> NDArray[np.bool_]:
        """Whether the classes are the same."""
        return np.asarray(self.numbers(first) == self.numbers(second))

    def holds(self, targets: Targets) -> bool:
        """Whether they are class numbers."""
        plain = targets.values.ndim == 1 and targets.values.dtype == np.int64
        return plain and bool(np.isin(targets.values, np.arange(len(targets.names))).all())

    def width(self, names: Sequence[str]) -> int:
        """One number per class, of two at least; of just two where there is a cut."""
        if self.cut is not None and len(names) != 2:
            raise ValueError("a cut is between two classes")
        return named_width(names)

    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Classes with hardly any rows or with most errors, and the two that are taken for each other."""
        return needs_of(mean_confusion(self.numbers(outputs), targets), targets.names, len(targets))

    def details(self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """Recall and precision of each class, the confusion table, and what conformal sets look like."""
        sets = Sets.of(outputs, targets.values)
        told = ClassDetails.of(self.numbers(outputs), targets, groups).as_dict()
        if self.cut is not None:
            told = {**told, "cut": self.cut.entry()}
        return told if sets is None else {**told, "sets": sets.as_dict()}


CLASSIFICATION = Classification()
