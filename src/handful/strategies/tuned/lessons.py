"""Lessons: what a curriculum learns first, areas before the classes in them, or easy rows before the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handful.features.view import Matrix, unit_rows
from handful.tasks.base import Targets

AREAS, EASY = "areas", "easy"
"""What a first lesson may be."""

_BETWEEN = re.compile(r"[\s_./-]+")


def areas_of(names: Sequence[str]) -> tuple[str, ...]:
    """The area of each class: what stands before a slash, or the first word of names that share their first words.

    Args:
        names: C names of classes.

    Returns:
        C areas; empty where there is no such order: fewer than two areas, or hardly fewer than classes.
    """
    slashed = sum("/" in name for name in names) > len(names) / 2
    areas = tuple(name.partition("/")[0].strip() if slashed else _BETWEEN.split(name.strip())[0] for name in names)
    shared = sum(count > 1 for count in Counter(areas).values())
    few = len(set(areas)) <= 0.75 * len(names)
    return areas if len(set(areas)) > 1 and shared and few else ()


def in_areas(targets: Targets) -> Targets | None:
    """The same rows, told apart by area; None where names have none, or several may be right at once."""
    areas = areas_of(targets.names) if targets.task.exclusive else ()
    if not areas:
        return None
    area = dict(zip(targets.names, areas, strict=True))
    return targets.task.coded([area[name] for name in targets.task.wanted(targets)], tuple(sorted(set(areas))))


def easier_half(features: Matrix, strata: NDArray[np.integer]) -> NDArray[np.intp]:
    """The half of each class that lies nearest to its own mean, against the nearest mean of another class.

    Means leave the row itself out, so that a class of two rows is no exception.

    Args:
        features: (M, D).
        strata: (M,) the class of each row, or what stands for it.

    Returns:
        Positions, in order: of each class the easier half, two rows at least where it has two.
    """
    x, (classes, own) = unit_rows(features), np.unique(strata, return_inverse=True)
    member = own[:, None] == np.arange(len(classes))  # (M, C)
    sums, count = member.T.astype(np.float32) @ x, member.sum(0)
    without = sums[own] - x
    near = (x * without).sum(1) / np.maximum(np.linalg.norm(without, axis=1), 1e-12)
    other = np.where(member, -np.inf, x @ unit_rows(sums).T).max(1) if len(classes) > 1 else np.zeros(len(x))
    ease = near - other
    chosen = []
    for number, rows in enumerate(count.tolist()):
        at = np.flatnonzero(own == number)
        chosen.append(at[np.argsort(-ease[at], kind="stable")][: max(min(2, rows), -(-rows // 2))])
    return np.sort(np.concatenate(chosen))
