"""The task of several labels: any number of them are right for an item; one column of scores per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit, logit

from handful.data.classes import ENOUGH_ROWS
from handful.data.names import listed
from handful.data.targets import LABELS, NO_LABEL, NOUNS, join_labels, labels_in, names_of
from handful.errors import DataError
from handful.evaluation.conformal import LEVEL, limit_of
from handful.evaluation.curves import Needs
from handful.evaluation.intervals import interval, wilson
from handful.evaluation.metrics import share
from handful.seeding import generator
from handful.tasks.base import Baseline, Floats, HeadTask, Targets, named_width
from handful.tasks.classification.conformal import Sets
from handful.tasks.heads import BINARY, SQUARED, Head
from handful.tasks.link import OVERLAP, SIGMOID, Link
from handful.tasks.name_scores import NameScore
from handful.tasks.several import METRICS, chosen

if TYPE_CHECKING:
    from handful.training.objectives import Objective

# Confidence is never certainty, of a single label neither.
_SMALLEST = 1e-6
# Scores of a label that a fold never saw are further away than this.
_UNSEEN = 1e3

RIDGE = Head("ridge", SQUARED, (10.0, 3.0, 1.0, 0.3, 0.1))
LOGISTIC = Head("logistic", BINARY, (1.0, 0.3, 0.1, 0.03))


@dataclass(frozen=True)
class Multilabel(HeadTask):
    """Any number of labels for an item; see ``tasks.base.HeadTask``. Outputs (..., N, L) are their probabilities."""

    empty: bool = True
    """Whether an item may have no label: whether a row that was learned from has none."""

    name: ClassVar[str] = "multilabel"
    metrics: ClassVar = METRICS
    heads: ClassVar = {head.name: head for head in (RIDGE, LOGISTIC)}
    main: ClassVar = LOGISTIC
    reference: ClassVar = Baseline("usual", "always answering the same labels")
    nouns: ClassVar = NOUNS[LABELS]
    about: ClassVar = "all labels that are likely right"

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """Labels joined by ``|`` as truths, one column per label, sorted."""
        cells = [str(cell) for cell in column]
        names = names_of(cells, self.name)
        if len(names) < 2:
            got = f"only {listed(names)}" if names else "none"
            raise DataError(f"the rows of {source} must have at least 2 different labels, got {got}. Add others.")
        targets = replace(self, empty=NO_LABEL in cells).coded(cells, names)
        if (targets.values == targets.values[0]).all():
            raise DataError(
                f"all {len(cells)} rows of {source} have the same labels, {listed(labels_in(cells[0]))}, so that "
                "nothing can be told apart. Add rows with other labels."
            )
        return targets

    def coded(self, column: Sequence[str], names: Sequence[str]) -> Targets:
        """Labels joined by ``|`` as truths, one column per name."""
        place = {name: i for i, name in enumerate(names)}
        values = np.zeros((len(column), len(names)), bool)
        for row, cell in enumerate(column):
            values[row, [place[name] for name in labels_in(cell)]] = True
        return Targets(self, values, tuple(names))

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """The rarest label of each row, whose rows are hardest to share out; L where a row has none."""
        counts = targets.values.sum(0)
        rarity = np.where(targets.values, counts, len(targets) + 1)  # (N, L)
        return np.asarray(np.where(targets.values.any(1), rarity.argmin(1), targets.values.shape[1]), np.int64)

    def shares(self, targets: Targets) -> NDArray[np.float64]:
        """Every label, rows without one, and rows themselves (iterative stratification; Sechidis et al. 2011)."""
        values = targets.values.astype(np.float64)
        none = 1 - values.any(1, keepdims=True)
        return np.concatenate([values[:, values.any(0)], none, np.ones_like(none)], 1)

    def wanted(self, targets: Targets) -> list[str]:
        """The labels of each row, joined by ``|``."""
        return _joined(targets.values, targets.names)

    def design(self, targets: Targets) -> NDArray[np.float32]:
        """One column per label: 1 where a row has it, else 0."""
        return targets.values.astype(np.float32)

    def likeness(self, targets: Targets) -> NDArray[np.float32]:
        """The labels that two rows share, as a part of all that either has (Jaccard); 1 for two rows without any."""
        own = targets.values.astype(np.float32)
        both, sizes = own @ own.T, own.sum(1)
        either = sizes[:, None] + sizes[None] - both
        return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1), np.float32)

    def named(self, targets: Targets) -> Targets:
        """A name has its own label and no other."""
        return replace(targets, values=np.eye(len(targets.names), dtype=bool))

    def names_tell(self, similar: Floats, targets: Targets) -> bool:
        """The nearest name is one of a row's labels more often than the most frequent label is, beyond doubt."""
        right = share(targets.values[np.arange(len(targets)), similar.argmax(1)])
        return bool(interval(right).low > targets.values.mean(0).max())

    def objective(self, named: Objective) -> Objective:
        """Binary cross-entropy of every label."""
        from handful.training.objectives.classify import BinaryCrossEntropy

        return BinaryCrossEntropy()

    @property
    def link(self) -> Link:
        """The logistic function, and the labels that are expected to overlap most with the right ones."""
        return Link(SIGMOID, OVERLAP, (float(self.empty),))

    def outputs(self, scores: Floats) -> NDArray[np.float64]:
        """The logistic function of each score."""
        return np.asarray(expit(np.asarray(scores, np.float64)))

    def scores(self, outputs: Floats) -> NDArray[np.float64]:
        """Log odds; no answer is so sure that others do not count."""
        return np.asarray(logit(np.clip(outputs, _SMALLEST, 1 - _SMALLEST)))

    def losses(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """Minus the log probability of each label being there or not, summed over labels, hedged by one row made up."""
        n = outputs.shape[-2]
        own = np.where(targets.values, outputs, 1 - outputs)
        return np.asarray(-np.log((n * own + 0.5) / (n + 1)).sum(-1))

    def losses_at(self, scores: Floats, targets: Targets, factors: Floats) -> NDArray[np.float32]:
        """The same without hedging, at several values of sharpness."""
        against = np.where(targets.values, -scores, scores).astype(np.float32)
        most = np.float32(-np.log(_SMALLEST))
        losses = [np.minimum(np.logaddexp(0, np.float32(factor) * against), most).sum(-1) for factor in factors]
        return np.asarray(np.stack(losses), np.float32)

    def smoothing(self, scores: Floats, targets: Targets) -> Floats:
        """How far every label is on its right side; of labels that a fold never saw, nothing."""
        ahead = np.where(targets.values, scores, -scores)
        return np.asarray(np.where(np.abs(scores) < _UNSEEN, ahead, 0).sum(-1))

    def spread(self, scores: Floats) -> float:
        """Mean distance of a score from zero."""
        known = np.abs(scores) < _UNSEEN
        return max(float(np.abs(scores[known]).mean()), 1e-9) if known.any() else 1e-9

    def constant(self, targets: Targets) -> NDArray[np.float64]:
        """How frequent each label is."""
        return np.asarray(targets.values.mean(0), np.float64)

    def chosen(self, outputs: Floats) -> NDArray[np.bool_]:
        """Which labels are answered. (..., L) → (..., L)."""
        return chosen(outputs, self.empty)

    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """The labels that are answered, joined by ``|``."""
        return _joined(self.chosen(outputs), names)

    def values(self, outputs: Floats, names: Sequence[str]) -> list[Any]:
        """A list of labels for each row."""
        return [[names[i] for i in np.flatnonzero(row).tolist()] for row in self.chosen(outputs)]

    def confidence(self, outputs: Floats) -> NDArray[np.float64]:
        """How probable it is, on the mean over labels, that each is rightly answered or left out."""
        return np.asarray(np.where(self.chosen(outputs), outputs, 1 - outputs).mean(-1), np.float64)

    def margin(self, outputs: Floats) -> NDArray[np.float64]:
        """How near the most doubtful label is to being as likely there as not."""
        return np.asarray(1 - np.abs(2 * np.asarray(outputs, np.float64) - 1).min(-1))

    def entropy(self, outputs: Floats) -> NDArray[np.float64]:
        """Shannon's entropy of every label alone, summed, in nats."""
        there = np.asarray(outputs, np.float64)
        return np.asarray((entr(there) + entr(1 - there)).sum(-1))

    def slopes(self, outputs: Floats) -> NDArray[np.float64]:
        """The probability of each label, minus one where it is answered."""
        return np.asarray(outputs - self.chosen(outputs), np.float64)

    def own(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """The probability of the label, there or not, that fits worst."""
        return np.asarray(np.where(targets.values, outputs, 1 - outputs).min(-1), np.float64)

    def misfits(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """One minus the probability of the least probable right label; 0 for a row without labels."""
        scores = self.outputs(self.scores(outputs).mean(0))  # (N, L) repeats pooled
        return np.asarray(1 - np.where(targets.values, scores, 1).min(-1))

    def within(self, outputs: Floats, limit: float, names: Sequence[str]) -> list[str]:
        """All labels that may be right: those answered, and those as probable as the limit asks."""
        return _joined((1 - outputs <= limit) | self.chosen(outputs), names)

    def probabilities(self, outputs: Floats, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Of each label."""
        return dict(zip(names, np.asarray(outputs, np.float64).T, strict=True))

    def kinds(self, outputs: Floats) -> NDArray[np.int64]:
        """The most probable label."""
        return np.asarray(outputs.argmax(-1), np.int64)

    def support(self, outputs: Floats, answer: str, names: Sequence[str]) -> NDArray[np.float64]:
        """The mean probability of the labels of the answer, or of none being right."""
        at = [list(names).index(name) for name in labels_in(answer)]
        return np.asarray(outputs[..., at].mean(-1) if at else (1 - outputs).prod(-1), np.float64)

    def can_answer(self, answer: str, names: Sequence[str]) -> bool:
        """Whether all of its labels are known."""
        return set(labels_in(answer)) <= set(names)

    def same(self, first: Floats, second: Floats) -> NDArray[np.bool_]:
        """Whether all labels are the same."""
        return np.asarray((self.chosen(first) == self.chosen(second)).all(-1))

    def holds(self, targets: Targets) -> bool:
        """Whether they are truths, one column per label."""
        return targets.values.dtype == np.bool_ and targets.values.shape == (len(targets), len(targets.names))

    def restored(self, settings: Mapping[str, Any]) -> Multilabel:
        """The task with the settings of a record."""
        task = super().restored(settings)
        if type(task.empty) is not bool:
            raise ValueError("empty must be true or false")
        return task

    def width(self, names: Sequence[str]) -> int:
        """One number per label, of two at least."""
        return named_width(names)

    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Labels with hardly any rows, then those that are most often missed or wrongly answered."""
        said, own = self.chosen(outputs).mean(0), targets.values
        wrong, rows = np.abs(said - own).sum(0), own.sum(0)
        scarce = rows < ENOUGH_ROWS
        order = np.lexsort((-wrong, ~scarce)).tolist()
        return Needs(tuple(targets.names[i] for i in order if wrong[i] >= 0.5 or scarce[i]))

    def details(self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """Every metric with its interval, how each label fares, and what conformal sets look like."""
        own, said = targets.values, self.chosen(outputs).mean(0)
        labels = []
        for i, name in enumerate(targets.names):
            rows, right, answered = int(own[:, i].sum()), float(said[own[:, i], i].sum()), float(said[:, i].sum())
            recall = interval(share(said[own[:, i], i])) if rows else None
            precision = wilson(right / answered, max(1.0, answered)) if answered else None
            f1 = 2 * right / max(rows + answered, 1e-9)
            labels.append(NameScore(name, rows, recall, precision, f1).as_dict())
        measured = self.measured(outputs, targets, groups, generator(0, "labels"))
        told = {"labels": list(targets.names), "metrics": measured, "per_label": labels}
        limit = limit_of(self.misfits(outputs, targets))
        if limit is None:
            return told
        size = float(((1 - outputs <= limit) | self.chosen(outputs)).sum(-1).mean())
        return {**told, "sets": Sets(LEVEL, limit, size).as_dict()}


def _joined(values: NDArray[np.bool_], names: Sequence[str]) -> list[str]:
    return [join_labels([names[i] for i in np.flatnonzero(row).tolist()]) for row in values]


MULTILABEL = Multilabel()
