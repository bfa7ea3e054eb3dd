"""The contract of a task: what targets of one kind mean, for everything that is written once for all kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from handful.data.target_column import read_column
from handful.data.targets import names_of
from handful.errors import DataError
from handful.evaluation.conformal import limit_of
from handful.evaluation.curves import Needs
from handful.evaluation.intervals import interval
from handful.evaluation.metrics import Metric
from handful.evaluation.scores import HeldOut
from handful.tasks.doubt import Doubting
from handful.tasks.heads import Head
from handful.tasks.link import Link
from handful.tasks.targets import AnyTargets, Baseline, Floats, Targets, named_width

if TYPE_CHECKING:
    from handful.training.objectives import Objective

__all__ = ["AnyTargets", "Baseline", "Floats", "HeadTask", "Targets", "Task", "named_width"]


class Task(ABC):
    """What is wanted of an item, whoever answers: a head on frozen features, a tuned backbone, a language model.

    ``N`` items, ``R`` repeats of held-out answers. Outputs are what was answered to N items, as the task has it.
    """

    name: ClassVar[str]
    """Its name in the registry, in ``--task`` and in every file."""
    metrics: ClassVar[Mapping[str, Metric]]
    """Name in ``--metric`` → metric; the first one is the headline, a share or ratio."""
    reference: ClassVar[Baseline]
    """What any model has to beat."""
    nouns: ClassVar[tuple[str, str]] = ("answer", "answers")
    """One name of an answer, and many: ``class`` and ``classes``."""
    about: ClassVar[str] = "the answer"
    """What is answered to an item, in words."""
    answer_column: ClassVar[str] = "predicted"
    """How the column of answers is called in a table."""
    columns: ClassVar[tuple[str, ...]] = ("confidence",)
    """What stands beside each answer in a table of answers."""
    taken_for: ClassVar[str] = "its held-out loss"
    """What an arm is taken for."""
    nothing_shown: ClassVar[str] = "nothing shows yet that these labels can be learned"
    """What it means that no arm is better than the reference beyond doubt, as the end of a sentence."""

    @property
    def headline(self) -> Metric:
        """The first metric."""
        return next(iter(self.metrics.values()))

    def beside_metric(self, outputs: Any, metric: Metric) -> Sequence[Metric]:
        """What is told of every arm beside the metric of the run."""
        return ()

    @abstractmethod
    def held_out(self, outputs: Any, targets: Any, positions: Sequence[int]) -> tuple[HeldOut, ...]:
        """What was answered to each of N rows while it was held out, in the order of the rows.

        Args:
            outputs: (R, N, …).
            targets: of the rows.
            positions: (N,) where each row stands in its source.
        """

    @abstractmethod
    def details(self, outputs: Any, targets: Any, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """What ``scores.json`` holds of held-out answers (R, N, …) beside the scores that all tasks have."""


class HeadTask(Doubting, Task):
    """A task that linear heads answer; a dataclass, whose fields are what a model has to know of its targets.

    ``N`` items, ``K`` numbers of an answer to one item, ``C`` names, ``R`` repeats of held-out answers.
    Scores (..., N, K) add up: those of several settings, each times its sharpness and its weight, are the scores of
    their pool. Outputs (..., N, K) are what is answered: probabilities, a number with its precision, …
    """

    heads: ClassVar[Mapping[str, Head]]
    """Name in ``--strategies`` → linear head on frozen features, cheapest first."""
    main: ClassVar[Head]
    """The head of a tuned backbone."""
    named_alone: ClassVar[bool] = False
    """Whether the name that an item is most like is an answer by itself (zero-shot)."""
    distils: ClassVar[bool] = False
    """Whether scores are those of a softmax, which a student can learn from a teacher (the strategy ``distilled``)."""
    self_trains: ClassVar[bool] = False
    """Whether what is answered surely to an item can be learned from as if it had been wanted of it."""
    exclusive: ClassVar[bool] = False
    """Whether outputs are probabilities of K classes of which one is right, by a softmax of the scores: items without
    labels then say how frequent the classes are."""

    grain: ClassVar[str] = ""
    """What parts of items heads learn from and answer: ``tokens``, joined to words, ``patches`` or ``frames``; empty:
    items as wholes. Scores are then those of P parts, and outputs hold what is said of all parts of an item."""
    structured: ClassVar[bool] = False
    """Whether an answer is more than a text: tables that can hold lists and objects then hold ``values``."""

    # What the user wrote -------------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, column: Sequence[Any], source: str = "items") -> Targets:
        """What the user wrote for N items as targets.

        Args:
            column: N cells.
            source: where they stand, for messages.

        Raises:
            DataError: nothing can be learned from them; the message says why.
        """

    @abstractmethod
    def coded(self, column: Sequence[str], names: Sequence[str]) -> Targets:
        """Cells that were read before as targets with these names, among which all of theirs are."""

    def against(
        self, outputs: Floats, column: Sequence[str], names: Sequence[str]
    ) -> tuple[NDArray[np.float64], Targets]:
        """Answers, and what was wanted, with all names of both: names that a model has never seen are never answered.

        Args:
            outputs: (N, K) of a model with these names.
            column: N cells, as ``read`` takes them.
            names: of the model.

        Returns:
            (N, K + unknown names) answers, and the targets.
        """
        every = names_of([*column, *names], self.name)
        targets = self.coded(column, every)
        if len(every) == len(names):
            return np.asarray(outputs, np.float64), targets
        wide = np.zeros((len(outputs), len(every)))
        wide[:, [every.index(name) for name in names]] = outputs
        return wide, targets

    @abstractmethod
    def strata(self, targets: Targets) -> NDArray[np.int64]:
        """(N,) numbers that folds and batches keep in proportion."""

    def shares(self, targets: Targets) -> NDArray[np.float64]:
        """(N, S) what folds share out evenly: of each row, how much it has of each of S things."""
        strata = np.unique(self.strata(targets), return_inverse=True)[1]
        return np.eye(int(strata.max(initial=0)) + 1)[strata]

    @abstractmethod
    def wanted(self, targets: Targets) -> list[str]:
        """What should be answered, as it is written and shown."""

    def score(self, outputs: Floats, labels: Sequence[Any], names: Sequence[str]) -> float:
        """How good answers are, in the first metric of which more is better.

        Args:
            outputs: (N, K) of a model with these names.
            labels: what is wanted of N items, as the user wrote it.
            names: of the model.

        Raises:
            DataError: a label is missing, or there is another number of them than of answers.
        """
        cells = read_column(list(labels), "labels", self.name).cells
        if len(cells) != len(outputs) or not all(cells):
            raise DataError(f"labels must be one per item ({len(outputs)}), got {sum(map(bool, cells))}. Correct them.")
        answers, targets = self.against(outputs, cells, names)
        metric = next(metric for metric in self.metrics.values() if metric.higher_is_better)
        return metric.of(answers[None], targets).value

    # What heads learn from: items, or their parts -------------------------------------------------------------------

    def row_targets(self, targets: Targets) -> Targets:
        """What is wanted of each row that heads learn from: of N items, or of the P parts of all of them."""
        return targets

    def gathered(self, rows: Floats, targets: Targets) -> NDArray[np.float64]:
        """What is said of the parts of the items of targets as one answer per item. (..., P, K) → (..., N, …)."""
        return np.asarray(rows, np.float64)

    def gathered_items(self, rows: Floats, items: Sequence[Any]) -> NDArray[np.float64]:
        """The same of the parts of items of which nothing is known but themselves. (P, K) → (N, …)."""
        return np.asarray(rows, np.float64)

    def reference_answers(self, targets: Targets, items: Sequence[Any], folds: NDArray[np.int64]) -> Floats:
        """What the reference answers to N items while they are held out.

        What looks at no item is made of all rows: held-out rows would make a class look rare just where it is.

        Args:
            targets: of the items.
            items: N items.
            folds: (R, N) the fold of each in each repeat.

        Returns:
            (R, N, …).
        """
        blind = self.blind(targets)
        return np.broadcast_to(blind, (len(folds), *blind.shape))

    def blind(self, targets: Targets) -> Floats:
        """(N, …) what is answered to every item by what looks at none of them."""
        constant = self.constant(targets)  # (K,)
        rows = np.broadcast_to(constant, (len(self.row_targets(targets)), len(constant)))
        return self.gathered(rows, targets)

    # What is learned -----------------------------------------------------------------------------------------------

    @abstractmethod
    def design(self, targets: Targets) -> NDArray[np.float32]:
        """(N, K) what a linear map is fitted to; a column of zeros has nothing to be learned from."""

    @abstractmethod
    def likeness(self, targets: Targets) -> NDArray[np.float32]:
        """(N, N) how much the same is wanted of two items, from 0 to 1: what contrastive objectives draw together."""

    @abstractmethod
    def named(self, targets: Targets) -> Targets:
        """What is wanted of the names of the C classes, taken as items of their own."""

    @abstractmethod
    def names_tell(self, similar: Floats, targets: Targets) -> bool:
        """Whether names alone tell rows apart, beyond doubt. (N, C) how similar each row is to each name."""

    def objective(self, named: Objective) -> Objective:
        """What gradients minimise where scores of a head are learned from, for an objective made for classes."""
        return named

    # How scores become answers, and what these cost ------------------------------------------------------------------

    @abstractmethod
    def outputs(self, scores: Floats) -> NDArray[np.float64]:
        """What sharpened scores answer. (..., K) → (..., K)."""

    @abstractmethod
    def scores(self, outputs: Floats) -> NDArray[np.float64]:
        """The sharpened scores that answer so: the inverse of ``outputs``. (..., K) → (..., K)."""

    @abstractmethod
    def losses(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """What each answer costs, a proper loss in nats, where no answer is surer than N items allow. (N,)."""

    @abstractmethod
    def losses_at(self, scores: Floats, targets: Targets, factors: Floats) -> NDArray[np.float32]:
        """Plain losses of scores at P values of sharpness. (..., N, K) → (P, ..., N)."""

    @abstractmethod
    def smoothing(self, scores: Floats, targets: Targets) -> Floats:
        """What smoothed targets add to the loss of each item, per unit of sharpness and share smoothed. (..., N)."""

    @abstractmethod
    def spread(self, scores: Floats) -> float:
        """The scale of scores on which sharpness is searched, above 0."""

    @abstractmethod
    def constant(self, targets: Targets) -> NDArray[np.float64]:
        """(K,) what the reference answers to every item."""

    # What is told --------------------------------------------------------------------------------------------------

    @abstractmethod
    def words(self, outputs: Floats, names: Sequence[str]) -> list[str]:
        """What is answered to N items, as it is written and shown. (N, K) → N."""

    def spoken(self, words: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
        """Outputs that answer so beyond doubt: ``words`` makes these words of them. N → (N, K)."""
        return self.design(self.coded(words, names)).astype(np.float64)

    def decided(self, names: Sequence[str]) -> str:
        """From where on something is answered other than what is most probable, in words; empty where nothing is."""
        return ""

    def values(self, outputs: Floats, names: Sequence[str]) -> list[Any]:
        """The same as a program wants it: a text, a list of texts, a number."""
        return list(self.words(outputs, names))

    @abstractmethod
    def own(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """(N,) how well each target fits what is answered, from 0 to 1; the lowest are the most doubtful."""

    def beside(self, outputs: Floats, limit: float | None) -> Mapping[str, list[str]]:
        """What stands beside each answer, by ``columns``. (N, K) → N cells each.

        Args:
            outputs: what is answered.
            limit: the misfit that nine of ten held-out rows stay below; None where it is not known.
        """
        return {"confidence": [f"{sure:.4f}" for sure in self.confidence(outputs).tolist()]}

    @abstractmethod
    def misfits(self, outputs: Floats, targets: Targets) -> NDArray[np.float64]:
        """How badly each target fits what is answered to its item. (R, N, K) → (N,); repeats add no rows."""

    @abstractmethod
    def within(self, outputs: Floats, limit: float, names: Sequence[str]) -> list[str]:
        """All answers that fit as well as a limit asks, in one text: names joined by ``|``, or ``low to high``."""

    def probabilities(self, outputs: Floats, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Name → (N,) how probable it is; empty where answers have no names."""
        return {}

    def kinds(self, outputs: Floats) -> NDArray[np.int64]:
        """(N,) what kind of answer each is: items that are answered alike are compared with each other."""
        return np.zeros(len(outputs), np.int64)

    def support(self, outputs: Floats, answer: str, names: Sequence[str]) -> NDArray[np.float64]:
        """How much speaks for an answer: by how much it falls when a part of an item is hidden, that part carries it.

        (..., K) → (...); of a class its probability.
        """
        return self.confidence(outputs)

    def told_support(self, change: float) -> str:
        """A change of what speaks for an answer, in words."""
        return f"{100 * change:+6.1f} points"

    def told_mark(self, change: float) -> str:
        """The same as short as can be: points of a hundred."""
        return f"{100 * change:+.0f}"

    @property
    def point(self) -> float:
        """How much a change of what speaks for an answer has to be, to be told as one point."""
        return 0.01

    def told_answer(self, answer: str, support: float) -> str:
        """An answer with what speaks for it, in words."""
        return f"{answer}: {support:.1%}"

    def can_answer(self, answer: str, names: Sequence[str]) -> bool:
        """Whether an answer may be given."""
        return answer in names

    @abstractmethod
    def same(self, first: Floats, second: Floats) -> NDArray[np.bool_]:
        """Whether two answers to an item are the same to whoever reads them. (N, K), (N, K) → (N,)."""

    @abstractmethod
    def needs(self, outputs: Floats, targets: Targets) -> Needs:
        """Where further labels are missed most, by held-out answers (R, N, K)."""

    def measured(
        self, outputs: Floats, targets: Targets, groups: NDArray[np.integer] | None, rng: np.random.Generator
    ) -> dict[str, dict[str, float]]:
        """Every metric of held-out answers (R, N, K) with its interval, as ``details`` tells it."""
        return {m.name: interval(m.of(outputs, targets), groups, rng=rng).as_dict() for m in self.metrics.values()}

    def held_out(self, outputs: Floats, targets: Targets, positions: Sequence[int]) -> tuple[HeldOut, ...]:
        """What the mean over the repeats answers to each row, each time held out. (R, N, K) → N."""
        mean = outputs.mean(0)  # (N, K)
        beside = self.beside(mean, limit_of(self.misfits(outputs, targets)))
        cells = [dict(zip(beside, row, strict=True)) for row in zip(*beside.values(), strict=True)]
        answers = zip(
            positions, self.wanted(targets), self.words(mean, targets.names), self.confidence(mean).tolist(),
            self.own(mean, targets).tolist(), cells, strict=True,
        )  # fmt: skip
        return tuple(HeldOut(*row) for row in answers)

    @property
    def link(self) -> Link | None:
        """What a program without this task does with scores; None where none but ours can."""
        return None

    # How it is kept -------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> dict[str, Any]:
        """What a model's record holds of the task beside its name: the fields, as plain values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def restored(self, settings: Mapping[str, Any]) -> Self:
        """The task with the settings of a record.

        Raises:
            ValueError: they are none of this task.
        """
        if set(settings) != set(self.settings):
            raise ValueError(f"settings of {self.name} must be {sorted(self.settings)}, got {sorted(settings)}")
        return replace(self, **settings)  # type: ignore[type-var]

    def holds(self, targets: Targets) -> bool:
        """Whether values and names that were read from a file can be targets of this task."""
        return bool(np.isfinite(targets.values).all())

    @abstractmethod
    def width(self, names: Sequence[str]) -> int:
        """K, with so many names.

        Raises:
            ValueError: no targets of this task have such names.
        """
