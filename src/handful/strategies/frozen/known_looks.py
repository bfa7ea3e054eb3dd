"""What is known from other sets of one look against a cheaper one: priors of the choice among backbones.

The numbers are fitted by ``benchmarks/bases.py --fit`` on the draws of ``benchmarks/results/bases.csv``, of sets that
no table of results is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handful.evaluation.decision import Prior

Look = tuple[str, ...]
"""The backbones that a prediction has to run."""

EXPERIENCE: Mapping[tuple[Look, Look], Prior] = {}
"""(cheaper look, dearer look) → how the held-out loss falls, as a share of that of the cheaper one."""


def known(looks: Sequence[Look]) -> list[dict[int, Prior]]:
    """Of each look: position of another → what is known of the gain over that."""
    return [
        {i: EXPERIENCE[below, above] for i, below in enumerate(looks) if (below, above) in EXPERIENCE}
        for above in looks
    ]
