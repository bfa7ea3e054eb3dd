"""What is known of a strategy from other sets: the prior of a decision, for one recipe with its settings and no other.

The numbers are fitted by ``benchmarks/decision.py --fit`` on the draws of ``benchmarks/results/decision.csv``, of sets
that no table of results is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from handful.evaluation.decision import Prior
from handful.strategies.tuned.strategy import Tuned
from handful.tasks.base import Targets


@dataclass(frozen=True)
class Experience:
    """How the gain of a recipe, pooled with the frozen model, depends on what is seen before it is tried.

    The mean is linear in three things: the logarithm of the number of classes by 4, that of the rows per class by 8,
    and how good the frozen model is: its held-out loss by that of knowing how frequent the classes are, less a half.
    """

    level: float
    """The gain, as a share of the frozen loss, of four classes with eight rows each and half the loss of chance."""
    classes: float
    """What it changes with the number of classes."""
    rows: float
    """What it changes with the rows per class."""
    left: float
    """What it changes with the loss that is left."""
    prior: Prior
    """Spread, harm and how often it was better; its mean is not used."""

    def given(self, classes: int, per_class: float, left: float) -> Prior:
        """The prior for so many classes and rows of each, where so large a share of the loss of chance is left."""
        mean = (
            self.level
            + self.classes * np.log(classes / 4)
            + self.rows * np.log(per_class / 8)
            + self.left * (min(left, 1.0) - 0.5)
        )
        return replace(self.prior, mean=float(mean))


EXPERIENCE: Mapping[tuple[str, str, str], Experience] = {
    ("classification", "contrastive", "text"): Experience(
        0.195, 0.031, 0.033, 0.096, Prior(0.195, 0.157, 0.05, -0.5, 0.5, better=129, of=152),
    ),
    ("classification", "contrastive", "bge-small-en"): Experience(
        0.098, 0.067, 0.032, -0.018, Prior(0.098, 0.133, 0.151, -0.5, 0.5, better=13, of=16),
    ),
    ("tagging", "partial", "text"): Experience(
        0.045, 0.0, 0.0, -0.068, Prior(0.045, 0.021, 0.067, -0.5, 0.5, better=13, of=13),
    ),
}  # fmt: skip
"""(task, strategy, backbone) → what is known of it with its own settings, and for backbones that were not measured
(task, strategy, modality), which was measured on minilm-l6. Of bge-small-en there are few draws, from
``benchmarks/results/decision_bge.csv``; of words there are few draws of three sets, from
``benchmarks/results/tuned_parts.csv``.

Only what is here is tried without being named; on pictures and sounds the mean over sets is nothing, though textures
gain. What else is named is judged by the rows alone.
"""


def tried_unasked(task: str, modality: str) -> tuple[str, ...]:
    """The strategies that are tried of such items without being named, as far as rows and budget allow it."""
    return tuple(dict.fromkeys(name for of, name, what in EXPERIENCE if (of, what) == (task, modality)))


def known(
    strategy: Tuned, backbone: str, modality: str, targets: Targets, loss: float, constant: float
) -> Prior | None:
    """What is known of a strategy; None where it was not measured, or where its settings are others than its own.

    Args:
        strategy: what would be tried.
        backbone: what would move, by its name.
        modality: of the items.
        targets: what is wanted of the N rows.
        loss: held-out loss of the frozen model.
        constant: the loss of an answer that looks at no item.
    """
    what = targets.task.name, strategy.name
    found = EXPERIENCE.get((*what, backbone)) or EXPERIENCE.get((*what, modality))
    own = type(strategy).by_default(targets.task.grain).get_params(deep=False)
    if found is None or {**strategy.get_params(deep=False), "seed": 0, "backbone": "auto"} != own:
        return None
    classes = max(2, len(targets.names))
    return found.given(classes, max(1.0, len(targets) / classes), loss / max(constant, 1e-9))
