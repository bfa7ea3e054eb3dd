"""Two inputs of a row: whether both together answer better than the better one of them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from handful.data.image_text import SIDES
from handful.evaluation.intervals import Estimate, Groups, better
from handful.evaluation.metrics import Measured, Metric

BOTH = " and ".join(SIDES)
"""The arm that reads both inputs."""


def alone(side: str) -> str:
    """The arm that reads one input."""
    return f"{side} alone"


def arm_of(backbones: Sequence[str], sides: Mapping[str, str]) -> str:
    """The arm of settings that read some backbones.

    Args:
        backbones: what is read.
        sides: backbone → the input that it reads.
    """
    read = {sides[name] for name in backbones}
    return BOTH if len(read) > 1 else alone(read.pop())


@dataclass(frozen=True)
class Inputs:
    """What the second input is worth beside the first, on held-out rows."""

    best: str
    """The arm of the input that answers better alone."""
    gain: Estimate
    """By how much both together are better than that one: in the metric of the run, paired on the same rows."""
    reads: str
    """The arm that the model is of."""
    sentence: str
    """All of it in words."""

    def as_dict(self) -> dict[str, Any]:
        """What ``scores.json`` holds."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """Read back what ``as_dict`` wrote."""
        return cls(str(raw["best"]), Estimate(**raw["gain"]), str(raw["reads"]), str(raw["sentence"]))


def compared_inputs(held: Mapping[str, Measured], reads: str, groups: Groups, rng: np.random.Generator) -> Inputs:
    """Set both inputs together against the better one of them, on the same rows and folds.

    The better one is found on the rows that it is then measured on, which flatters it a little: what is said of both
    errs to their disadvantage.

    Args:
        held: what every arm adds to the sums of one metric, among them those of each input and of both.
        reads: the arm that the model is of.
        groups: (N,) rows that are not independent share a number; None where all are.
        rng: source of bootstrap draws.
    """
    first, second = map(alone, SIDES)
    best = second if better(held[second], held[first], groups, rng=rng).value >= 0 else first
    gain = better(held[BOTH], held[best], groups, rng=rng)
    return Inputs(best, gain, reads, _sentence(best, gain, reads, held[BOTH].metric))


def _sentence(best: str, gain: Estimate, reads: str, metric: Metric) -> str:
    """What the rows show of both against the better one, and what the model reads: the loss decides about that."""
    told = gain if gain.holds_zero or gain.value > 0 else -gain
    size = f"{metric.title} differs by {metric.scale.apart(told.value, told.low, told.high)}"
    shown = not gain.holds_zero and gain.value > 0
    if shown:
        said = f"{BOTH.capitalize()} together answer better than the {best}; {size}"
    elif not gain.holds_zero:
        said = f"The {best} answers better than {BOTH} together; {size}"
    elif reads == BOTH:
        said = f"These rows cannot tell {BOTH} together from the {best}; {size}"
    else:
        said = f"The {best} is as good as {BOTH} together: these rows cannot tell them apart; {size}"
    if reads == BOTH:
        return f"{said}. The model reads both{'' if shown else ', whose loss on held-out rows is lower'}."
    why = ", since both lower the loss on held-out rows by too little" if shown else ""
    return f"{said}. The model reads the {reads}{why}: name that column alone, and it asks for nothing else."
