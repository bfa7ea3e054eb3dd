"""What is known from other sets of one look against a cheaper one: priors of the choice among backbones.

The numbers are fitted by ``benchmarks/bases.py --fit`` on the draws of ``benchmarks/results/bases.csv``, of texts that
no table of results is made of; of pictures there are too few sets for that, and one of these, trashnet6, is in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handful.backbones import catalog
from handful.evaluation.decision import Prior

Look = tuple[str, ...]
"""The backbones that a prediction has to run."""

EXPERIENCE: Mapping[tuple[Look, Look], Prior] = {
    (("minilm-l6",), ("bge-small-en",)): Prior(0.07, 0.092, 0.05, -0.5, 0.5, better=28, of=39),
    (("minilm-l6",), ("minilm-l6", "bge-small-en")): Prior(0.08, 0.049, 0.05, -0.5, 0.5, better=36, of=39),
    (("bge-small-en",), ("minilm-l6", "bge-small-en")): Prior(0.017, 0.076, 0.05, -0.5, 0.5, better=25, of=41),
    (("efficientnet-lite0",), ("efficientnet-lite2",)): Prior(0.06, 0.106, 0.05, -0.5, 0.5, better=23, of=31),
    (("efficientnet-lite0",), ("efficientnet-lite0", "efficientnet-lite2")): Prior(
        0.03, 0.092, 0.05, -0.5, 0.5, better=19, of=31
    ),
    (("efficientnet-lite2",), ("efficientnet-lite0", "efficientnet-lite2")): Prior(
        -0.005, 0.141, 0.05, -0.5, 0.5, better=13, of=32
    ),
}
"""(cheaper look, dearer look) → how the held-out loss falls, as a share of that of the cheaper one.

Measured on classes, and taken for every kind of target, since it is about what a backbone sees.
"""


SECOND_INPUT = Prior(0.0, 0.3)
"""Of rows with two inputs: what both are worth beside one of them, before a row is seen.

Whoever gives two inputs expects something of the second, and no other set says whether it has it: a gain is as likely
as a loss, and held-out rows decide without having to be beyond doubt.
"""


def inputs_of(look: Look) -> frozenset[str | None]:
    """The modalities that a look reads."""
    return frozenset(map(catalog.modality_of, look))


def known(looks: Sequence[Look], inputs: Sequence[frozenset[str | None]]) -> list[dict[int, Prior]]:
    """Of each look: position of another → what is known of the gain over that.

    Args:
        looks: the backbones of each.
        inputs: the modalities that each reads, see ``inputs_of``.
    """
    found: list[dict[int, Prior]] = []
    for above, read in zip(looks, inputs, strict=True):
        own = {i: EXPERIENCE[below, above] for i, below in enumerate(looks) if (below, above) in EXPERIENCE}
        found.append(own | {i: SECOND_INPUT for i, one in enumerate(inputs) if one < read})
    return found
