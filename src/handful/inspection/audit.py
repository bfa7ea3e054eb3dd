"""The audit: everything that frozen features and the files themselves say about the rows, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.data.targets import SPANS
from handful.errors import DataError
from handful.features.feature_set import FeatureSet, extract_all
from handful.inspection.copies import near_copies, near_pairs
from handful.inspection.empty_items import empty_items
from handful.inspection.findings import Finding, by_cost
from handful.inspection.foreign import foreign
from handful.inspection.labels import confusable, cosines, doubts, label_errors
from handful.inspection.loo_logistic import Array
from handful.inspection.marked import marked_findings
from handful.inspection.match import Match, matches, suited
from handful.inspection.outliers import outliers, remoteness
from handful.inspection.profile import duplicate_groups, findings
from handful.inspection.reach import cut_short, out_of_reach
from handful.inspection.shift import MOST, shift_between, shifts
from handful.inspection.shortcuts import shortcuts
from handful.seeding import generator

MOST_ROWS = 2000
"""At most so many rows are audited: time and memory grow with their square."""

# Backbones that see less of the classes than this have no say in which labels are wrong.
_SEES = 0.1

# Layers of a backbone that vote on labels: the last two that are read.
_DEPTHS = 2

# Where there are more pairs of a row and a class than this, labels are asked of so many rows per class at least.
_MOST_CELLS, _FEWEST = 1 << 20, 4


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    findings: tuple[Finding, ...]
    """What is wrong, most costly first."""
    matches: tuple[Match, ...]
    """How well each backbone suits the rows, best first; empty where that cannot be said."""


def sample(dataset: Dataset, seed: int, most: int = MOST_ROWS) -> Dataset:
    """The rows that are audited: all, or a seeded sample with every class in its share and two rows at least.

    Args:
        dataset: N rows.
        seed: which sample.
        most: about how many rows.

    Returns:
        The rows of the sample, in the order of the source.
    """
    if len(dataset) <= most:
        return dataset
    rng, share = generator(seed, "audit sample"), most / len(dataset)
    labels = np.asarray(dataset.labels) if dataset.labels else np.zeros(len(dataset), np.int64)
    order = rng.permutation(len(dataset))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, in random order inside
    _, start, counts = np.unique(labels[order], return_index=True, return_counts=True)
    # Many classes with two rows each could still be too many: then the sample is plain.
    wanted = np.maximum(np.minimum(2, counts), (share * counts).astype(int))
    if wanted.sum() > most + len(counts):
        return dataset.take(np.sort(rng.permutation(len(dataset))[:most]))
    return dataset.take(np.sort(np.concatenate([order[s : s + n] for s, n in zip(start, wanted, strict=True)])))


def audit(dataset: Dataset, sight: FeatureSet | None, seed: int = 0, total: int | None = None) -> Audit:
    """Look for wrong labels, near copies, outliers, classes like each other, shortcuts, foreign texts, empty items.

    Args:
        dataset: N rows, labelled or not; more than 2,000 are audited on a seeded sample, and the findings say so.
        sight: what backbones see in these rows, from ``extract_all``; without it, or where all of them count, only near
            copies of texts, shortcuts and items that hold nothing can be found.
        seed: fixes the sample and the shuffles.
        total: how many rows there were, where ``dataset`` is a sample already.

    Returns:
        The findings, and the match of each backbone.
    """
    some = sample(dataset, seed)
    if len(some) < 2:
        return Audit((), ())
    sight = None if sight is None else sight.learned()
    if sight is not None and some is not dataset:
        place = {row: i for i, row in enumerate(dataset.rows)}
        sight = sight.take([place[row] for row in some.rows])
    last = {name: sight.items[name, depths[0]] for name, depths in sight.depths.items()} if sight else {}
    alike = {name: cosines(view) for name, view in last.items()}
    pairs = near_pairs(some, _closest(alike, sight.sides) if sight else None)
    problems = [*empty_items(some), *near_copies(some, pairs, duplicate_groups(some))]
    problems += shortcuts(some, generator(seed, "shortcuts"))
    if some.labels and some.task == SPANS:
        problems += marked_findings(some)
    fits: tuple[Match, ...] = ()
    if sight is not None:
        problems += [*foreign(some, list(last)), *cut_short(some, sight.cut)]
        problems += outliers(some, remoteness(np.mean(list(alike.values()), axis=0)))
        if some.labels and some.one_class_each and len(some.classes) > 1:
            fits = tuple(matches(last, some.labels))
            if _can_be_asked(some):
                problems += _doubted(some, sight, fits, out_of_reach(problems))
    return Audit(tuple(by_cost(stated(problems, len(some), total or len(dataset), seed))), fits)


def _closest(alike: Mapping[str, Array], sides: Mapping[str, str]) -> Array:
    """(N, N) how alike rows look to the backbone that sees them most alike, of two inputs to those of pictures."""
    return np.asarray(np.max([found for name, found in alike.items() if sides.get(name) != "text"], axis=0))


def _can_be_asked(data: Dataset) -> bool:
    """Whether rows can say something about the labels of others: two of a class cannot, and of many take minutes."""
    rows, classes = len(data), len(data.classes)
    return rows * classes <= _MOST_CELLS or rows >= _FEWEST * classes


def _doubted(data: Dataset, sight: FeatureSet, fits: Sequence[Match], unseen: bool) -> list[Finding]:
    """Classes that cannot be told apart, unless what tells them apart may be out of reach, and labels to look at."""
    views = [sight.items[name, d] for name in suited(fits) or sight.depths for d in sight.depths[name][:_DEPTHS]]
    # One input alone may say nothing of what both say together.
    both = [view for view in sight.views if len({sight.sides.get(name) for name in view.backbones}) > 1]
    views = [view.matrix(sight.items) for view in both] or views
    asked = doubts(views, data.labels or ())
    found = [] if unseen else [*confusable(data, asked)]
    if any(match.figure >= _SEES for match in fits):
        found += label_errors(data, asked)
    return found


def examine(
    dataset: Dataset,
    backbones: Mapping[str, Backbone],
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    pool: tuple[Dataset, int] | None = None,
) -> Audit:
    """Everything that can be said about rows: what needs no model on all of them, the rest on a sample at most.

    Args:
        dataset: N rows.
        backbones: by name; none: what needs a model is left out.
        seed: fixes the sample and the shuffles.
        progress: called with stage, rows done and rows in all.
        pool: rows to compare with, and how many there are of which these are a sample.

    Returns:
        The findings, and the match of each backbone.

    Raises:
        DataError: too many rows cannot be read, or the pool holds items of another modality.
    """
    if pool is not None:
        check_pool(dataset, pool[0])
    sampled, sight = sample(dataset, seed), None
    whole = sampled is dataset
    if backbones:
        sampled, sight = extract_all(sampled, backbones, progress)
    problems = [*findings(sampled if whole else replace(dataset, unreadable=sampled.unreadable))]
    audited = audit(sampled, sight, seed, len(sampled) if whole else len(dataset))
    if pool is not None and sight is not None:
        new, new_sight = extract_all(pool[0], backbones, progress)
        problems += audit_shift(sampled, sight, new, new_sight, seed, pool[1])
    return replace(audited, findings=tuple(by_cost([*problems, *audited.findings])))


def audit_shift(
    known: Dataset, sight: FeatureSet, pool: Dataset, pool_sight: FeatureSet, seed: int = 0, total: int | None = None
) -> list[Finding]:
    """Look whether the rows of a pool look like the training rows, by the last layers of all backbones.

    Args:
        known: the training rows.
        sight: what backbones see in them.
        pool: the new rows, labelled or not.
        pool_sight: what the same backbones see in these.
        seed: fixes the samples and the shuffles.
        total: how many new rows there were, where ``pool`` is a sample already.

    Returns:
        One finding, or none where the two look alike.

    Raises:
        DataError: the pool holds items of another modality, or one side has fewer than two rows.
    """
    check_pool(known, pool)
    rng = generator(seed, "shift")
    mine, theirs = (np.sort(rng.permutation(len(data))[:MOST]) for data in (known, pool))
    new = pool.take(theirs)
    found = shift_between(_joined(sight)[mine], _joined(pool_sight)[theirs], rng)
    return stated(list(shifts(new, found)), len(new), total or len(pool), seed)


def check_pool(known: Dataset, pool: Dataset) -> None:
    """Refuse a pool that cannot be compared with the training rows.

    Raises:
        DataError: it holds items of another modality, or one side has fewer than two rows.
    """
    if known.modality != pool.modality:
        raise DataError(
            f"{pool.source} must hold {known.modality} items to be compared with {known.source}, got {pool.modality}. "
            "Name a pool of the same kind."
        )
    for data in (known, pool):
        if len(data) < 2:
            raise DataError(f"{data.source} must have at least 2 rows to be compared, got {len(data)}. Add rows.")


def _joined(sight: FeatureSet) -> NDArray[np.float32]:
    """(N, sum of widths) the last layers of all backbones, each of length one."""
    views: Mapping[tuple[str, int], NDArray[np.float32]] = sight.items
    last = [views[name, depths[0]] for name, depths in (sight.learned() or sight).depths.items()]
    return np.concatenate([x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in last], axis=1)


def stated(found: list[Finding], looked: int, total: int, seed: int) -> list[Finding]:
    """The findings, with a word on the sample where not all rows were looked at.

    Args:
        found: the findings.
        looked: how many rows were looked at.
        total: how many there are.
        seed: of the sample.
    """
    if looked == total:
        return found
    word = f" (looked at {looked:,} of {total:,} rows, seed {seed})"
    return [replace(finding, message=finding.message + word) for finding in found]
