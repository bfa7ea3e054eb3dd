"""The reach of the backbones: texts of which they see only the beginning, since they are longer than they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from handful.data.dataset import Dataset
from handful.data.languages import is_material
from handful.data.names import in_a_row
from handful.features.feature_set import Cut
from handful.inspection.findings import OUT_OF_REACH, Finding

# About so much of the score of texts that are cut is at stake.
_AT_STAKE = 0.2


def cut_short(dataset: Dataset, cut: Mapping[str, Cut]) -> Iterator[Finding]:
    """Texts that no backbone reads to their end.

    Args:
        dataset: N rows.
        cut: of each backbone that looks at them, which of the rows are longer than it reads.
    """
    if not cut:
        return
    at = np.flatnonzero(np.all([found.rows for found in cut.values()], axis=0))
    if not is_material(len(at), len(dataset)):
        return
    read = in_a_row([f"the {found.longest} tokens that {name} reads" for name, found in cut.items()])
    yield Finding(
        "cut",
        tuple(dataset.rows[i] for i in at),
        f"{len(at)} of {len(dataset)} texts are as long as {read}, or longer: only their beginnings are seen",
        "Put what tells the classes apart first, or learn from that part alone: more labels do not show what is cut.",
        severity=_AT_STAKE * len(at) / len(dataset),
    )


def out_of_reach(findings: Iterable[Finding]) -> bool:
    """Whether something was found that the backbones cannot see, so that other findings may come from that alone."""
    return any(finding.kind in OUT_OF_REACH for finding in findings)
