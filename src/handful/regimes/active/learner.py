"""The active learner: a pool of items seen once, the answers so far, and what to ask next."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handful.data.names import listed
from handful.data.target_column import read_column
from handful.errors import DataError, OptionError
from handful.features.feature_set import FeatureSet
from handful.regimes.active.doubt import Doubt, doubt_of
from handful.regimes.active.fits import Answers, Fitted, check_rows, fit_of
from handful.regimes.active.greedy import Greedy
from handful.regimes.active.part_rows import PartRows
from handful.regimes.active.pool import Pool, pool_of
from handful.regimes.active.progress import Labelled, Progress, progress_of
from handful.regimes.active.quick_fit import learnable
from handful.regimes.active.ways import PHASED, WAYS, Standing, Way, check_asking
from handful.seeding import generator
from handful.tasks.base import HeadTask

HOWS = ("typical", "informative", "control", "searched", "alike", "second look")
"""Why an item was asked: it is typical; the model is in doubt; by chance, to check; a person looked it up; it is like
one that was just labelled; its label was doubtful."""


FIRST, THEN = "typical", "margin-spread"
"""The ways of the two phases of ``phased``."""
PER_NAME = 2
"""The second phase begins with so many labels for each name seen so far at the earliest (``benchmarks/active.py``)."""
_BESIDE = 64
"""Of so many items that others have been given it is seen to that what is asked is unlike them."""


@dataclass(frozen=True)
class Asked:
    """An item whose label is worth asking for."""

    index: int
    """Its place in the pool."""
    how: str
    """Why it is asked, one of ``HOWS``; to be handed to ``answer``."""
    why: str
    """The same as one plain sentence."""
    probabilities: Mapping[str, float] | None
    """Name → how probable the model holds it; None while it knows nothing, and where answers have no names."""


@dataclass(frozen=True)
class Answer:
    """What somebody said of an item."""

    label: str
    """As it is written in a Dataset: a class, labels joined by ``|``, a rating, a number."""
    how: str
    """Why it was asked."""


@dataclass
class ActiveLearner:
    """A pool of N items seen once, the answers so far, and what to ask next.

    ``answer`` and ``forget`` only remember; ``refit`` learns from what they remembered, and the others speak of the
    last fit: a page calls ``answer``, ``refit``, ``next``. Nothing is written to disk.
    """

    pool: Pool
    """The items."""
    task: HeadTask
    """What is wanted of an item."""
    seed: int = 0
    """Fixes what is drawn by chance."""
    asking: str = PHASED
    """How it is decided what to ask: the name of a way, see ``ways.WAYS``, or ``phased``."""
    control: float = 0.2
    """The share of questions that are drawn by chance: the score and the gain over random rest on them."""
    answers: dict[int, Answer] = field(default_factory=dict)
    """Place in the pool → answer, in the order in which they came."""
    _fit: Fitted | None = None
    _outputs: Answers | None = None
    _asking_fit: Fitted | None = None
    _asking_outputs: Answers | None = None
    _asking_doubt: NDArray[np.float64] | None = None

    @classmethod
    def on(
        cls, features: FeatureSet | NDArray[np.floating] | PartRows, task: HeadTask, *, seed: int = 0,
        asking: str = PHASED, control: float = 0.2,
    ) -> Self:  # fmt: skip
        """A learner that has no answers yet.

        Args:
            features: what backbones saw in N items, or (N, D); of tasks about parts, these.
            task: what is wanted of an item.
            seed: fixes what is drawn by chance.
            asking: the name of a way of asking, or ``phased``.
            control: the share of questions that are drawn by chance, from 0 to 1.

        Raises:
            DataError: there are no items, or numbers that are not finite.
            OptionError: a way of asking that is none, a share beyond 0 and 1, or a task that does not learn from such
                rows or has no head in closed form.
        """
        check_asking(asking, bool(task.grain))
        if not 0 <= control <= 1:
            raise OptionError(
                f"control must be a share from 0 to 1, got {control}. With 0.2 every fifth question is drawn by chance."
            )
        check_rows(features, task)
        return cls(pool_of(features, seed), task, seed, asking, control)

    def answer(self, index: int, label: str, how: str) -> None:
        """Remember what somebody said of an item; a second answer replaces the first.

        Args:
            index: its place in the pool.
            label: as it is written in a Dataset (of spans ``data.spans.Marked.cell``).
            how: why it was asked, one of ``HOWS``.

        Raises:
            DataError: the label is empty, or none that the task can read.
            OptionError: there is no such item, or no such reason.
        """
        self._check(index)
        if how not in HOWS:
            raise OptionError(f"how must be one of {', '.join(HOWS)}, got {how!r}. Give what ``next`` said.")
        [cell] = [label] if self.task.grain else read_column([label], "the answer", self.task.name).cells
        if not cell and str(label).strip():
            raise DataError(
                f"{str(label)!r} cannot be read as a label for {self.task.name}. Write it as labels of that task are "
                "written in a table."
            )
        if not cell:
            raise DataError("a label must not be empty. Choose one, or ask for another item.")
        self.answers[int(index)] = Answer(str(cell), how)

    def forget(self, index: int) -> None:
        """Take an answer back; nothing happens where there is none."""
        self._check(index)
        self.answers.pop(int(index), None)

    def refit(self) -> None:
        """Learn from all answers, in closed form, and answer the pool.

        What is asked next comes from a second fit, without the items that are set aside for the control.
        """
        self._fit, self._outputs = self._fitted(list(self.answers))
        aside = self._aside
        fit, outputs = self._fitted([item for item in self.answers if not aside[item]])
        self._asking_fit, self._asking_outputs = fit, outputs
        self._asking_doubt = fit.doubt(outputs) if fit is not None and self.task.doubts else None

    def _fitted(self, items: Sequence[int]) -> tuple[Fitted | None, Answers | None]:
        """A fit of some of the answers, and what it answers to the pool."""
        targets = learnable(self.task, [self.answers[item].label for item in items])
        if targets is None:
            return None, None
        fit = fit_of(self.pool.rows[np.array(items)], targets)
        return fit, fit.outputs(self.pool.rows)

    @property
    def _aside(self) -> NDArray[np.bool_]:
        """(N,) which items are asked for the control alone.

        Whatever is asked because of its place or its doubt keeps away from what is labelled: around a row that took
        part in that choice there are fewer labels than around a new item, and a score without the row would be too
        low. So rows of the control have no say in what else is asked.
        """
        aside = np.zeros(len(self.pool), bool)
        aside[self.pool.by_chance[: self._due(len(self.pool))]] = True
        return aside

    @property
    def labelled(self) -> NDArray[np.int64]:
        """(n,) places of the items with an answer, in the order in which these came."""
        return np.fromiter(self.answers, np.int64, len(self.answers))

    @property
    def labels(self) -> list[str]:
        """The n labels, in the same order."""
        return [answer.label for answer in self.answers.values()]

    @property
    def names(self) -> tuple[str, ...]:
        """What the last fit can answer: names in the order of the columns of ``guesses``."""
        return () if self._fit is None else self._fit.targets.names

    @property
    def answering(self) -> HeadTask:
        """The task as the last fit answers it, by which ``guesses`` are read: what follows what is known by then."""
        return self.task if self._fit is None else self._fit.targets.task

    def guesses(self) -> Answers | None:
        """What the last fit answers to every item, see ``names``; None while it knows nothing."""
        return self._outputs

    def next(self, count: int = 1, without: Collection[int] = ()) -> list[Asked]:
        """What to ask next, the most useful first; fewer where fewer are left.

        Args:
            count: how many.
            without: items that are not to be asked: another person has them, or nobody can tell.
        """
        busy = {int(item) for item in without}
        asked: list[Asked] = []
        greedy = Greedy()
        while len(asked) < count and len(self.answers) + len(busy - self.answers.keys()) < len(self.pool):
            one = self._one(busy, [other.index for other in asked], greedy)
            asked.append(one)
            busy.add(one.index)
        return asked

    def _one(self, busy: set[int], picked: Sequence[int], greedy: Greedy) -> Asked:
        """The next item to ask, where others are being asked."""
        closed = np.zeros(len(self.pool), bool)
        closed[[*self.answers, *busy]] = True
        order, aside = self.pool.by_chance, self._aside
        drawn = order[: self._due(len(self.answers) + len(busy - self.answers.keys()) + 1)]
        for some in (drawn, order if (closed | aside).all() else drawn[:0]):  # at last nothing but the control is left
            if not closed[some].all():
                return self._told(int(some[~closed[some]][0]), "control")
        others = [*picked, *sorted(busy - self.answers.keys() - set(picked))]
        taken, beside = (np.array([i for i in some if not aside[i]], np.int64) for some in (self.answers, others))
        rng = generator(self.seed, f"asking {len(self.answers)} {len(busy)}")
        way = self._way()
        fit, outputs, doubt = self._asking_fit, self._asking_outputs, self._asking_doubt
        now = Standing(self.pool, taken, fit, outputs, doubt, beside[:_BESIDE], rng)
        return self._told(greedy.best(way, now, closed | aside), way.how)

    def _due(self, questions: int) -> int:
        """How many of the first questions are drawn by chance."""
        return questions if self.asking == "random" else math.floor(self.control * questions + 1e-9)

    @property
    def phase(self) -> str:
        """What is asked for now, beside the items drawn by chance: ``typical`` or ``informative``."""
        return self._way().how

    def _way(self) -> Way:
        """Which way of asking has its turn."""
        fit = self._asking_fit
        useful = fit is not None and self.task.doubts
        if self.asking != PHASED:
            way = WAYS[self.asking]
            return way if useful or not way.doubts else WAYS[FIRST]
        enough = len(self.answers) >= PER_NAME * max(2, len(self.names))
        return WAYS[THEN if useful and enough and fit is not None and fit.knows else FIRST]

    def _told(self, item: int, how: str) -> Asked:
        probabilities = None
        if self._outputs is not None:
            named = self.task.probabilities(self._outputs[item : item + 1], self.names)
            probabilities = {name: float(own[0]) for name, own in named.items()} or None
        return Asked(item, how, _why(how, probabilities), probabilities)

    def alike(self, index: int, count: int) -> NDArray[np.int64]:
        """The items without a label that are most like one, the nearest first: what can be labelled together with it.

        Args:
            index: its place in the pool.
            count: how many; fewer where fewer are left.
        """
        self._check(index)
        near = self.pool.likeness(int(index)).astype(np.float64)
        near[[*self.answers, int(index)]] = -np.inf
        order = np.argsort(-near, kind="stable")[:count]
        return order[np.isfinite(near[order])]

    def progress(self) -> Progress:
        """The score, its curve, what more labels are worth, whether to stop, the gain over random: see ``progress``."""
        place = {int(item): i for i, item in enumerate(self.answers)}
        drawn = self.pool.by_chance[: self._due(len(self.answers))].tolist()
        control = np.array([place[item] for item in drawn if item in place], np.int64)
        return progress_of(Labelled(self.task, self.pool.rows[self.labelled], self.labels, control), self._fit)

    def doubtful(self, count: int = 10) -> Doubt:
        """The labels that fit the others least, and how many of them are probably wrong.

        Args:
            count: how many are shown.
        """
        rows = self.labelled
        return doubt_of(self.pool.features[rows], self.labels, rows, self._fit, count)

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self.pool):
            raise OptionError(f"index must be that of an item, from 0 to {len(self.pool) - 1}, got {index}.")


def _why(how: str, probabilities: Mapping[str, float] | None) -> str:
    """Why an item is asked, as a sentence."""
    if how == "control":
        return "Drawn by chance: the score rests on such items."
    if how == "informative" and probabilities:
        first, second = sorted(probabilities, key=lambda name: -probabilities[name])[:2]
        shares = [f"{listed([name])} ({probabilities[name]:.0%})" for name in (first, second)]
        return f"The model is in doubt between {shares[0]} and {shares[1]}."
    if how == "informative":
        return "The model is in doubt about it."
    return "Typical of many items that are unlike those labelled so far."
