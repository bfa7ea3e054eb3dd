"""Tasks that answer the parts of items: every part has one tag, and runs of tags are what is answered of an item.

``N`` items, ``P`` parts of all of them, ``W`` parts of the longest, ``C`` labels, ``K`` tags, of which 0 is outside.
How answers to parts lie in one row of numbers says ``part_layout``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from handful.data.classes import ENOUGH_ROWS
from handful.data.targets import names_of
from handful.errors import DataError, OptionError
from handful.evaluation.curves import Needs
from handful.seeding import generator
from handful.tasks.base import Floats, HeadTask, Targets
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.link import Link
from handful.tasks.name_scores import NameScore
from handful.tasks.part_layout import Numbers, packed, unpacked
from handful.tasks.runs import Span, identical, per_label
from handful.tasks.tag_sequences import transitions_of


class PartsTask(HeadTask):
    """What tasks of parts share; heads learn the tags of parts, as classes."""

    transitions: tuple[tuple[float, ...], ...]
    """(K, K) how much likelier each tag is behind each other than anywhere, as logarithms; see ``tag_sequences``."""

    hits = staticmethod(identical)
    """Which runs that are wanted are found by those that are answered: by default those that are just the same."""
    tags_each: ClassVar[int]
    """How many tags a label has; the first one of label c is 1 + c times as many."""
    outside: float
    """The factor on the probability that a part is outside of runs, see ``tag_sequences``."""
    nothing_marked: ClassVar[str]
    """That rows have no run of a label, for ``{}`` as their source."""

    @staticmethod
    @abstractmethod
    def runs(tags: Numbers) -> list[Span]:
        """What tags (W,) of one item say: first and last part, and number of the label, of each run."""

    @abstractmethod
    def tags_said(self, outputs: Floats, names: Sequence[str]) -> Numbers:
        """(N, W) the tags that are answered."""

    def width(self, names: Sequence[str]) -> int:
        """One tag for outside, and those of each label."""
        if not names or len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise ValueError("names must be one or more, none empty, each once")
        return 1 + self.tags_each * len(names)

    # What the user wrote ---------------------------------------------------------------------------------------------

    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """Items with their runs as one row of parts and tags each."""
        cells = [str(cell) for cell in column]
        names = names_of(cells, self.name)
        if not names:
            raise DataError(self.nothing_marked.format(source))
        targets = self.coded(cells, names)
        tags, counts = self.tags_wanted(targets)
        steps = transitions_of([own[:n] for own, n in zip(tags, counts, strict=True)], self.width(names))
        # Rounded, so that the record of a model says them exactly.
        return replace(targets, task=self._stepping(steps.round(4)))

    def against(
        self, outputs: Floats, column: Sequence[str], names: Sequence[str]
    ) -> tuple[NDArray[np.float64], Targets]:
        """As in the contract; labels that a model has never seen are never answered."""
        every = tuple(sorted({*names_of(column, self.name), *names}))
        each = range(1, 1 + self.tags_each)
        at = [0, *(self.tags_each * every.index(name) + tag for name in names for tag in each)]
        task = self
        if self.transitions:
            steps = np.zeros((self.width(every),) * 2)  # of further names nothing is known
            steps[np.ix_(at, at)] = np.array(self.transitions)
            task = self._stepping(steps)
        parts = unpacked(np.asarray(outputs, np.float64), self.width(names))
        wide = np.zeros((*parts.rest.shape[:-1], self.width(every)))
        wide[..., at] = parts.rest
        return packed(parts.counts, parts.bounds[parts.real], parts.given, wide[parts.real]), task.coded(column, every)

    @property
    def link(self) -> Link | None:
        """Probabilities of the tags of each part; what these make of an item is told by its task."""
        return CLASSIFICATION.link

    def _stepping(self, steps: Floats) -> Self:
        """The task with these transitions, (K, K)."""
        return replace(self, transitions=tuple(map(tuple, steps.tolist())))  # type: ignore[type-var]

    # What is wanted --------------------------------------------------------------------------------------------------

    def tags_wanted(self, targets: Targets) -> tuple[Numbers, Numbers]:
        """(N, W) tags, 0 behind the end of an item, and (N,) parts."""
        words = unpacked(targets.values, 1)
        return words.rest[..., 0].astype(np.int64), words.counts

    def spans_wanted(self, targets: Targets) -> list[list[tuple[int, int, int]]]:
        """Of each item first and last part and number of the label of its runs."""
        tags, counts = self.tags_wanted(targets)
        return [self.runs(own[:n]) for own, n in zip(tags, counts, strict=True)]

    def _has(self, targets: Targets) -> NDArray[np.bool_]:
        """(N, C) whether an item has a run of a label."""
        tags, _ = self.tags_wanted(targets)
        return np.stack([(tags == 1 + self.tags_each * c).any(1) for c in range(len(targets.names))], 1)

    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """The rarest label of each item, which is hardest to share out; C where it has none."""
        has = self._has(targets)
        rarity = np.where(has, has.sum(0), len(targets) + 1)
        return np.asarray(np.where(has.any(1), rarity.argmin(1), len(targets.names)), np.int64)

    def shares(self, targets: Targets) -> NDArray[np.float64]:
        """Every label, items without one, and items themselves."""
        has = self._has(targets).astype(np.float64)
        none = 1 - has.max(1, keepdims=True)
        return np.concatenate([has, none, np.ones_like(none)], 1)

    def likeness(self, targets: Targets) -> NDArray[np.float32]:
        """How many labels two items share, as a part of all that either has."""
        own = self._has(targets).astype(np.float32)
        both, sizes = own @ own.T, own.sum(1)
        either = sizes[:, None] + sizes[None] - both
        return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1), np.float32)

    def named(self, targets: Targets) -> Targets:
        """Names of labels have no parts."""
        raise OptionError(f"names of labels are not learned from where {self.answer_column} are. Leave them out.")

    def names_tell(self, similar: Floats, targets: Targets) -> bool:
        """Never."""
        return False

    def holds(self, targets: Targets) -> bool:
        """Whether they are parts with their tags."""
        values = targets.values
        if values.ndim != 2 or values.dtype != np.int64 or values.shape[1] % 4 or not values.size:
            return False
        tags = unpacked(values, 1).rest
        return bool((values >= 0).all() and (tags < self.width(targets.names)).all())

    # Parts as rows that heads learn from -----------------------------------------------------------------------------

    def row_targets(self, targets: Targets) -> Targets:
        """The tags of all P parts, as classes."""
        tags, counts = self.tags_wanted(targets)
        real = np.arange(tags.shape[1]) < counts[:, None]
        names = tuple(map(str, range(self.width(targets.names))))
        return Targets(CLASSIFICATION, tags[real], names, self.item_of(targets))

    def item_of(self, targets: Targets) -> NDArray[np.int64]:
        """(P,) the item that each part belongs to."""
        return np.repeat(np.arange(len(targets)), self.tags_wanted(targets)[1])

    def gathered(self, rows: Floats, targets: Targets) -> NDArray[np.float64]:
        """What is said of the P parts as one row per item. (..., P, K) → (..., N, W (3 + K))."""
        words = unpacked(targets.values, 1)
        longest = words.real.shape[1]  # as long as the targets, of which the longest item may have been left out
        return np.asarray(packed(words.counts, words.bounds[words.real], words.given, rows, longest), np.float64)

    def design(self, targets: Targets) -> NDArray[np.float32]:
        """(P, K) one column per tag."""
        return CLASSIFICATION.design(self.row_targets(targets))

    # How scores become answers, and what these cost; scores are those of parts ----------------------------------------

    def outputs(self, scores: Floats) -> NDArray[np.float64]:
        """Probabilities of the tags of parts. (..., K) → (..., K)."""
        return CLASSIFICATION.outputs(scores)

    def scores(self, outputs: Floats) -> NDArray[np.float64]:
        """Their logarithms."""
        return CLASSIFICATION.scores(outputs)

    def losses(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """(N,) minus the log probability of the right tag, hedged, mean over the parts of each item."""
        words = unpacked(outputs, self.width(targets.names))
        tags, counts = self.tags_wanted(targets)
        real = np.arange(tags.shape[1]) < counts[:, None]
        losses = np.zeros(tags.shape)
        losses[real] = CLASSIFICATION.losses(words.rest[:, : tags.shape[1]][real], self.row_targets(targets))
        return np.asarray(losses.sum(1) / np.maximum(counts, 1))

    def losses_at(self, scores: Floats, targets: Targets, factors: Floats) -> NDArray[np.float32]:
        """(F, ..., P) of parts."""
        return CLASSIFICATION.losses_at(scores, self.row_targets(targets), factors)

    def smoothing(self, scores: Floats, targets: Targets) -> Floats:
        """Of parts."""
        return CLASSIFICATION.smoothing(scores, self.row_targets(targets))

    def spread(self, scores: Floats) -> float:
        """Of parts."""
        return CLASSIFICATION.spread(scores)

    def constant(self, targets: Targets) -> NDArray[np.float64]:
        """(K,) how frequent each tag is among parts."""
        return CLASSIFICATION.constant(self.row_targets(targets))

    # What is told ----------------------------------------------------------------------------------------------------

    def _steps(self, names: Sequence[str]) -> NDArray[np.float64]:
        return np.array(self.transitions) if self.transitions else np.zeros((self.width(names),) * 2)

    def spans_said(self, outputs: Floats, names: Sequence[str]) -> list[list[tuple[int, int, int]]]:
        """Of each item first and last part and number of the label of what is answered."""
        counts = unpacked(outputs, self.width(names)).counts
        return [self.runs(own[:n]) for own, n in zip(self.tags_said(outputs, names), counts, strict=True)]

    def _words(self, outputs: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """(N, W, K) probabilities and (N, W) where there is a part, whatever the names."""
        width = max(1 + self.tags_each, len(self.transitions))
        words = unpacked(outputs, width)
        return words.rest, words.real

    def confidence(self, outputs: Floats) -> NDArray[np.float64]:
        """How sure the tag of each part is, mean over the parts of an item."""
        rest, real = self._words(outputs)
        return np.asarray(np.where(real, rest.max(-1), 0).sum(1) / np.maximum(real.sum(1), 1))

    def own(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """The probability of the tag that fits worst of all parts of an item."""
        words = unpacked(outputs, self.width(targets.names))
        tags, counts = self.tags_wanted(targets)
        shares = np.take_along_axis(words.rest[:, : tags.shape[1]], tags[..., None], -1)[..., 0]
        real = np.arange(tags.shape[1]) < counts[:, None]
        return np.asarray(np.where(real, shares, 1).min(1, initial=1.0))

    def misfits(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """One minus the same of the mean over repeats."""
        return 1 - self.own(outputs.mean(0), targets)

    def can_answer(self, answer: str, names: Sequence[str]) -> bool:
        """Never: what carries an answer is not told of parts."""
        return False

    def same(self, first: Floats, second: Floats) -> NDArray[np.bool_]:
        """Whether the same parts have the same labels."""
        names = tuple(map(str, range((len(self.transitions) - 1) // self.tags_each)))
        said = (self.words(outputs, names) for outputs in (first, second))
        return np.array([a == b for a, b in zip(*said, strict=True)], bool)

    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Labels that few items have, then those that are most often missed or wrongly answered."""
        scores = {score.name: score for score in self.per_label(outputs, targets)}
        rows = self._has(targets).sum(0)
        scarce = tuple(name for name, count in zip(targets.names, rows, strict=True) if count < ENOUGH_ROWS)
        rest = sorted((n for n in targets.names if n not in scarce), key=lambda name: scores[name].f1 or 0.0)
        return Needs((*scarce, *rest), None, scarce)

    def per_label(self, outputs: Floats, targets: Targets) -> list[NameScore]:
        """How the runs of each label fare, mean over repeats."""
        said = [self.spans_said(some, targets.names) for some in outputs]
        return per_label(self.spans_wanted(targets), said, targets.names, self._has(targets).sum(0), self.hits)

    def details(self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """Recall and precision of the runs of each label, and every metric with its interval."""
        spans = sum(map(len, self.spans_wanted(targets)))
        metrics = self.measured(outputs, targets, groups, generator(0, f"{self.name} metrics"))
        per_label = [score.as_dict() for score in self.per_label(outputs, targets)]
        return {"labels": list(targets.names), "spans": spans, "metrics": metrics, "per_label": per_label}


def stepping_of(settings: Mapping[str, Any]) -> tuple[tuple[tuple[float, ...], ...], float]:
    """Transitions, and the factor on being outside, out of the settings of a record.

    Raises:
        ValueError: they cannot be these.
    """
    steps = np.array(settings["transitions"], np.float64)
    if steps.ndim != 2 or steps.shape[0] != steps.shape[1] or not np.isfinite(steps).all():
        raise ValueError("transitions must be a square of finite numbers")
    if not isinstance(settings["outside"], float) or not 0 < settings["outside"] <= 1:
        raise ValueError("outside must be a number above 0, up to 1")
    return tuple(map(tuple, steps.tolist())), settings["outside"]
