"""Answers in words, and preferences between two of them, as tasks that a language model learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.data.conversations import Conversation
from handful.evaluation.metrics import Metric
from handful.evaluation.scores import HeldOut
from handful.tasks.base import AnyTargets, Baseline, Task
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
        texts = outputs.texts or ("",) * len(targets)
        own = np.exp(-outputs.losses)
        return tuple(
            HeldOut(row, wanted.answer, text, sure, sure, {"loss": f"{loss:.4f}"})
            for row, wanted, text, sure, loss in zip(
                positions, targets.values.tolist(), texts, own.tolist(), outputs.losses.tolist(), strict=True
            )
        )

    def details(self, outputs: Answered, targets: AnyTargets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """That answers are in words; what was forgotten is added where weights moved."""
        return {"answers": {"wanted": "wanted", "forgetting": None}}


@dataclass(frozen=True)
class PreferenceTask(Generation):
    """The better of two answers in words."""

    name: ClassVar[str] = "preference"
    metrics: ClassVar[Mapping[str, Metric]] = {m.name: m for m in (PREFERRED, GAINED, LOSS, WINS)}
    nothing_shown: ClassVar[str] = "these rows do not show that tuning helps"

    def beside_metric(self, outputs: Answered, metric: Metric) -> Sequence[Metric]:
        """Every other metric: they are all known, but for what was gained where nothing moved."""
        moved = outputs.gained is not None and bool((outputs.gained != 0.5).any())  # of the model as it was nothing
        known = (PREFERRED, GAINED, LOSS) if moved else (PREFERRED, LOSS)
        return [other for other in known if other.name != metric.name]

    def details(self, outputs: Answered, targets: AnyTargets, groups: NDArray[np.integer] | None) -> dict[str, Any]:
        """That answers are the chosen ones of pairs."""
        return {"answers": {"wanted": "chosen", "forgetting": None}}


GENERATION, PREFERENCE = Generation(), PreferenceTask()
