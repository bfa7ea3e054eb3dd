"""Answers in words, and preferences between two of them, as tasks that a language model learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.data.conversations import Conversation
from handful.evaluation.intervals import interval
from handful.evaluation.lead import Lead
from handful.evaluation.metrics import Measured, Metric, hundredths
from handful.evaluation.scores import HeldOut
from handful.tasks.base import AnyTargets, Baseline, Task
from handful.tasks.generation.examples import BY_LOSS, BY_WORDS, by_loss, by_words, examples
from handful.tasks.generation.metrics import (
    ACCURACY,
    EXACT_MATCH,
    GAINED,
    LOSS,
    PREFERRED,
    TOKEN_F1,
    WINS,
    Answered,
)


@dataclass(frozen=True)
class Generation(Task):
    """An answer in words."""

    name: ClassVar[str] = "generation"
    metrics: ClassVar[Mapping[str, Metric]] = {m.name: m for m in (LOSS, EXACT_MATCH, TOKEN_F1, ACCURACY)}
    reference: ClassVar[Baseline] = Baseline("base", "asking the model as it is", "the model as it is")
    about: ClassVar[str] = "the answer in words"
    columns: ClassVar[tuple[str, ...]] = ("loss",)
    taken_for: ClassVar[str] = "what it does on held-out rows"
    nothing_shown: ClassVar[str] = "these rows do not show that examples or tuning help"
    wanted: ClassVar[str] = "wanted"
    # What tells arms apart where rows are too few for the metric; and whether short answers are counted that are exact.
    finer: ClassVar[Metric | None] = LOSS
    counted: ClassVar[bool] = True

    def targets(self, rows: Sequence[Conversation], names: Sequence[str] = ()) -> AnyTargets:
        """What is wanted of N prompts; of preferences with the chosen answers.

        Args:
            rows: N prompts with their answers.
            names: the labels, where answers are labels.
        """
        values = np.empty(len(rows), object)
        values[:] = list(rows)
        return AnyTargets(self, values, tuple(names))

    def beside_metric(self, outputs: Answered, metric: Metric) -> Sequence[Metric]:
        """Every other metric that is known without asking once more."""
        known = [LOSS]
        known += [ACCURACY] * (outputs.likeliest is not None)
        known += [EXACT_MATCH, TOKEN_F1] * bool(outputs.texts)
        return [other for other in known if other.name != metric.name]

    def held_out(self, outputs: Answered, targets: AnyTargets, positions: Sequence[int]) -> tuple[HeldOut, ...]:
        """What was said to each row; ``own`` is the probability of a wanted token, on the geometric mean."""
        said, own = outputs.said, np.exp(-outputs.losses)
        return tuple(
            HeldOut(row, wanted.answer, said.get(i, ""), sure, sure, {"loss": f"{loss:.4f}"})
            for i, (row, wanted, sure, loss) in enumerate(
                zip(positions, targets.values.tolist(), own.tolist(), outputs.losses.tolist(), strict=True)
            )
        )

    def lead(
        self, taken: Answered, base: Answered, name: str, targets: AnyTargets, positions: Sequence[int],
        groups: NDArray[np.integer] | None,
    ) -> Lead:  # fmt: skip
        """What is told before any figure: how many answers are as wanted, and three of them beside what was wanted.

        Args:
            taken: what the arm that was taken made of N rows.
            base: what the model as it is made of them.
            name: of the arm that was taken.
            targets: of the N rows.
            positions: (N,) where the rows stand in their source.
            groups: (N,) rows that are not independent share a number, or None.
        """
        rows: list[Conversation] = targets.values.tolist()
        kinds, rule = self._shown(taken, rows)
        sentence = self._in_words(taken, base, name, targets, groups)
        found = examples(kinds, taken.said, rows, positions)
        return Lead(sentence, rule if found else "", found, self.wanted)

    def _shown(self, taken: Answered, rows: Sequence[Conversation]) -> tuple[dict[int, str], str]:
        """Which rows stand for the others, and by which rule: position → kind."""
        return (by_words(taken, rows), BY_WORDS) if taken.texts else _by_loss(taken)

    def _in_words(
        self, taken: Answered, base: Answered, name: str, targets: AnyTargets, groups: NDArray[np.integer] | None
    ) -> str:
        """How many answers are as wanted."""
        if not taken.texts:
            return (
                f"Three of the {len(targets)} rows held out were answered for a look; what counts is how surprising "
                "the wanted answers are."
            )
        right, before = EXACT_MATCH.of(taken, targets), EXACT_MATCH.of(base, targets)
        told = f"Of {len(targets)} rows held out, " + self._told(right, before, name, groups, "answered {} exactly")
        if right.scores.any() or name == self.reference.name:
            return told
        return f"{told} Better than before, and yet none is right: more rows, more time or a larger model may help."

    def _told(self, right: Measured, before: Measured, name: str, groups: NDArray[np.integer] | None, did: str) -> str:
        """How many of N rows are right, what that says of others, and how many the model as it is gets right."""
        sure = interval(right, groups)
        ends = " to ".join(hundredths(end) for end in (sure.low, sure.high))
        short, same = self.reference.short, name == self.reference.name
        beside = "" if same else f"; {short} {_count(before)}"
        return f"{short if same else name} {did.format(_count(right))} (of 100 like these probably {ends}){beside}."

    def details(self, outputs: Answered, targets: AnyTargets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """That answers are in words; what was forgotten is added where weights moved."""
        return {"answers": {"wanted": self.wanted, "forgetting": None}}


@dataclass(frozen=True)
class PreferenceTask(Generation):
    """The better of two answers in words."""

    name: ClassVar[str] = "preference"
    metrics: ClassVar[Mapping[str, Metric]] = {m.name: m for m in (PREFERRED, GAINED, LOSS, WINS)}
    nothing_shown: ClassVar[str] = "these rows do not show that tuning helps"
    wanted: ClassVar[str] = "chosen"
    finer: ClassVar[Metric | None] = None  # a likelier answer is not yet one that is preferred
    counted: ClassVar[bool] = False

    def beside_metric(self, outputs: Answered, metric: Metric) -> Sequence[Metric]:
        """Every other metric: they are all known, but for what was gained where nothing moved."""
        moved = outputs.gained is not None and bool((outputs.gained != 0.5).any())  # of the model as it was nothing
        known = (PREFERRED, GAINED, LOSS) if moved else (PREFERRED, LOSS)
        return [other for other in known if other.name != metric.name]

    def _shown(self, taken: Answered, rows: Sequence[Conversation]) -> tuple[dict[int, str], str]:
        return _by_loss(taken)

    def _in_words(
        self, taken: Answered, base: Answered, name: str, targets: AnyTargets, groups: NDArray[np.integer] | None
    ) -> str:
        right, before = PREFERRED.of(taken, targets), PREFERRED.of(base, targets)
        return f"Of {len(targets)} pairs held out, " + self._told(
            right, before, name, groups, "preferred {} as you did"
        )


def _by_loss(taken: Answered) -> tuple[dict[int, str], str]:
    """Those of the rows that were answered whose wanted answers surprise the least, the most, and in the middle."""
    at = list(taken.said)
    return {at[i]: kind for i, kind in by_loss(taken.losses[at]).items()} if at else {}, BY_LOSS


def _count(measured: Measured) -> str:
    """How many of N rows are right; of ties half."""
    return f"{measured.scores.sum():g}" if measured.scores.any() else "none"


GENERATION, PREFERENCE = Generation(), PreferenceTask()
