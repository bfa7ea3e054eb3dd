"""Labels as class names: empty ones found, nonsense refused, oddities said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from handful.data.dataset import Dataset
from handful.data.names import listed
from handful.data.normal import check_normal
from handful.data.targets import BOXES, DEFECTS, MASKS, number_of
from handful.errors import DataError

# What to do with labels that are numbers, all different.
_NUMBERS = "If they are amounts, predict them with --task regression. "

ENOUGH_ROWS = 5
"""Fewer rows than this of a class and one row more or less decides its score: five folds want one row each."""

Remedy = str | Callable[[], str]
"""A sentence of what to do, or what makes it."""


def checked_targets(dataset: Dataset, where: str, remedy: Remedy) -> Dataset:
    """Labelled rows, with what is odd about their labels among their notes; as ``check_targets``."""
    return replace(dataset, notes=(*dataset.notes, *check_targets(dataset, where, remedy)))


def check_targets(dataset: Dataset, where: str, remedy: Remedy) -> tuple[str, ...]:
    """Refuse labels of any task that nothing can be learned from.

    Args:
        dataset: labelled rows; where they carry a split, only its train part is learned from.
        where: where the labels stand, as the user would name it, for example ``column "topic"``.
        remedy: what to do about labels that cannot work, one sentence; or what makes it, where that looks at files.

    Returns:
        What is odd about the labels but no reason to refuse them, one sentence each.

    Raises:
        DataError: all rows have the same label, there are no rows to train on, or each has a class of its own.
    """
    if dataset.task == DEFECTS:
        return check_normal(dataset)
    if dataset.task == BOXES:
        from handful.data.boxed_pictures import check_boxes  # loads a decoder, which texts have no use for

        return check_boxes(dataset)
    if dataset.task == MASKS:
        from handful.data.masks import check_masks  # loads a decoder, which texts have no use for

        return check_masks(dataset)
    if dataset.one_class_each:
        return _check_classes(dataset, where, remedy)
    train = _training(dataset)
    if len(set(train.labels or ())) == 1:
        (only,) = set(train.labels or ())
        raise DataError(
            f"all {len(train)} {'training ' if dataset.split else ''}items of {dataset.source} have the same label, "
            f'"{only}" ({where}): nothing can be told apart. {_told(remedy)}'
        )
    return tuple(_labels_everywhere(train))


def _told(remedy: Remedy) -> str:
    return remedy if isinstance(remedy, str) else remedy()


def _labels_everywhere(train: Dataset) -> list[str]:
    """Labels that every row has, and labels that one row has."""
    counts = train.counts
    single = sorted(name for name, count in counts.items() if count == 1)
    always = sorted(name for name, count in counts.items() if count == len(train))
    notes = []
    if always:
        notes.append(
            f"{listed(always)} {'is' if len(always) == 1 else 'are'} on every row, so that nothing is learned about it"
        )
    if single:
        notes.append(f"one row only has {listed(single)}: whether it is recognised cannot be measured")
    return notes


def _check_classes(dataset: Dataset, where: str, remedy: Remedy) -> tuple[str, ...]:
    """The same where every item has one class."""
    train = _training(dataset)
    counts = train.counts
    if len(counts) == 1:
        (only,) = counts
        part = "training " if dataset.split else ""
        raise DataError(
            f'all {len(train)} {part}items of {dataset.source} have the same label, "{only}" ({where}); '
            f"at least two classes are needed. {_told(remedy)}"
        )
    if len(counts) == len(train):
        numbers = all(number_of(name) is not None for name in counts)
        raise DataError(
            f"{dataset.source} has as many different labels as items ({len(train)}; {where}): that is a name for every "
            f"item, not a class. {_NUMBERS if numbers else ''}{_told(remedy)}"
        )
    return tuple(_oddities(dataset, counts))


def _training(dataset: Dataset) -> Dataset:
    train = dataset.part("train") if dataset.split else dataset
    if not len(train):
        raise DataError(f"no row of {dataset.source} is for training: the split of every row is test. Add train rows.")
    return train


def _oddities(dataset: Dataset, counts: dict[str, int]) -> list[str]:
    notes = []
    single = sorted(name for name, count in counts.items() if count == 1)
    if single:
        many = "class " + listed(single) + " has" if len(single) == 1 else "classes " + listed(single) + " have"
        notes.append(f"{many} one row only: kept and learned from, but not used for stratifying")
    folded = Counter(name.casefold() for name in dataset.classes)
    same = [name for name in dataset.classes if folded[name.casefold()] > 1]
    if same:
        notes.append(f"classes {listed(same)} differ in capital letters only: they are kept apart")
    unseen = sorted(set(dataset.classes) - set(counts))
    if unseen:
        notes.append(f"classes in the test rows that no training row has: {listed(unseen)}")
    return notes
