"""Labels as class names: empty ones found, nonsense refused, oddities said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from handful.data.cells import shown
from handful.data.dataset import Dataset
from handful.errors import DataError

ENOUGH_ROWS = 5
"""Fewer rows than this of a class and one row more or less decides its score: five folds want one row each."""

# How many names a message lists before it says "and N more".
_LISTED = 5


def listed(names: Sequence[str]) -> str:
    """Names in quotation marks, at most five of them: ``"a", "b" and 3 more``."""
    quoted = [f'"{shown(name)}"' for name in names[:_LISTED]]
    if len(names) > _LISTED:
        return f"{', '.join(quoted)} and {len(names) - _LISTED} more"
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def either(names: Sequence[str]) -> str:
    """Names as alternatives: ``"a" or "b"``."""
    return " or ".join(f'"{shown(name)}"' for name in names)


def all_names(names: Iterable[str]) -> str:
    """All columns there are, to choose from: ``columns: a, b``."""
    return f"columns: {', '.join(map(shown, names)) or 'none'}"


def check_classes(dataset: Dataset, where: str, remedy: str) -> tuple[str, ...]:
    """Refuse labels that nothing can be learned from.

    Args:
        dataset: labelled rows; where they carry a split, only its train part is learned from.
        where: where the labels stand, as the user would name it, for example ``column "topic"``.
        remedy: what to do about labels that cannot work, one sentence.

    Returns:
        What is odd about the labels but no reason to refuse them, one sentence each.

    Raises:
        DataError: one class only, no rows to train on, or a class per item.
    """
    train = dataset.part("train") if dataset.split else dataset
    if not len(train):
        raise DataError(f"no row of {dataset.source} is for training: the split of every row is test. Add train rows.")
    counts = train.counts
    if len(counts) == 1:
        (only,) = counts
        part = "training " if dataset.split else ""
        raise DataError(
            f'all {len(train)} {part}items of {dataset.source} have the same label, "{only}" ({where}); '
            f"at least two classes are needed. {remedy}"
        )
    if len(counts) == len(train):
        raise DataError(
            f"{dataset.source} has as many different labels as items ({len(train)}; {where}): that is a name for every "
            f"item, not a class. {remedy}"
        )
    return tuple(_oddities(dataset, counts))


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
