"""Normal and bad items: which class is the normal one, and when a folder of classes is rather one of defects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from handful.data.cells import shown
from handful.data.dataset import Dataset
from handful.data.names import listed
from handful.data.targets import DEFECTS
from handful.errors import DataError

NORMAL, DEFECT = "normal", "defect"
"""What items are called where no folder says it."""

NORMAL_NAMES = frozenset({
    "good", "ok", "okay", "normal", "nominal", "pass", "passed", "fine", "healthy", "intact", "goods", "normals",
    "defectfree", "nodefect", "faultless", "flawless", "undamaged", "accepted", "gut", "io", "bueno", "bon",
})  # fmt: skip
"""Names of classes of normal items, in small letters without blanks and signs."""

FEWEST = 3
"""Fewer different normal items than this cannot say how different normal items are."""

# So many bad items are few: too few to be told apart as a class. And normal ones are then at least so many times more.
_FEW_BAD, _TIMES = 10, 2


def is_normal_name(name: str) -> bool:
    """Whether a class of this name holds normal items."""
    return re.sub(r"[\W_]+", "", name).lower() in NORMAL_NAMES


def names_normal(path: Path) -> bool:
    """Whether one of the words in the name of a folder says that normal items are in it: ``good``, ``good_parts``."""
    return any(word.lower() in NORMAL_NAMES for word in re.findall(r"[^\W_]+", path.name))


def normal_name(classes: Sequence[str], source: str) -> str:
    """The class of the normal items.

    Args:
        classes: the different names, at least one.
        source: where they stand, for the message.

    Raises:
        DataError: several or none of them are called so.
    """
    if len(classes) == 1:
        return classes[0]
    called_so = [name for name in classes if is_normal_name(name)]
    if len(called_so) == 1:
        return called_so[0]
    got = f"{listed(called_so)}, which all are" if called_so else listed(list(classes))
    raise DataError(
        f"{source} must have one class of normal items that is called good, ok or normal, got {got}. Rename the class "
        "of the normal ones so."
    )


def bad_name(classes: Iterable[str], normal: str) -> str:
    """What a bad item is called: as its class where there is one such class alone."""
    others = [name for name in classes if name != normal]
    return others[0] if len(others) == 1 else DEFECT


def looks_like_defects(dataset: Dataset) -> str:
    """Why folders of classes are rather normal items and a few bad ones; empty where they are not."""
    counts = (dataset.part("train") if dataset.split else dataset).counts
    normal = [name for name in counts if is_normal_name(name)]
    if len(normal) != 1:
        return ""
    others = sum(count for name, count in counts.items() if name != normal[0])
    if not others:
        return f'"{normal[0]}" is the only class to learn from'
    if others < _FEW_BAD and counts[normal[0]] >= _TIMES * others:
        return f'beside {counts[normal[0]]} of "{normal[0]}" there are {others} others, too few for classes'
    return ""


def as_defects(dataset: Dataset, why: str = "") -> Dataset:
    """A Dataset of classes as one of normal and bad items.

    Args:
        dataset: whose classes were read.
        why: what speaks for it, where nobody asked for it.
    """
    notes = dataset.notes
    if why:
        notes += (
            f"task: defects, because {why}: what is learned is how normal ones look, and what is unlike them raises an "
            "alarm; --task classification learns classes",
        )
    return replace(dataset, task=DEFECTS, notes=notes)


def as_called(known: Dataset, more: Dataset, folder: Path | None = None) -> Dataset:
    """Further items under the names that normal and bad ones have in rows that are known; other tasks are left alone.

    Args:
        known: rows of defects, or of another task.
        more: rows of the same task.
        folder: where they lie, whose name says what they are where no folder in it does.
    """
    if known.task != DEFECTS or more.labels is None:
        return more
    normal = normal_name(known.classes, known.source)
    called = {name: normal if name == NORMAL or is_normal_name(name) else name for name in more.classes}
    note = ""
    if folder is not None and more.classes in ((NORMAL,), (folder.name,)):  # no folder in it says what they are
        same = next((name for name in known.classes if name.casefold() == folder.name.casefold()), normal)
        called = {more.classes[0]: same}
        if same == normal and not names_normal(folder) and folder.name != normal:
            note = (
                f'{len(more)} items in {shown(str(folder))} are taken for "{shown(normal)}" ones: no folder says else'
            )
    labels = tuple(called[label] for label in more.labels)
    return replace(more, labels=labels, notes=(*more.notes, note) if note else more.notes)


def check_normal(dataset: Dataset) -> tuple[str, ...]:
    """Refuse rows that do not say what normal ones look like.

    Returns:
        What is odd about them but no reason to refuse them, one sentence each.

    Raises:
        DataError: it cannot be said which rows are normal, or they are too few.
    """
    train = dataset.part("train") if dataset.split else dataset
    normal = normal_name(dataset.classes, dataset.source)
    count = train.counts.get(normal, 0)
    if count < FEWEST:
        raise DataError(
            f"{dataset.source} has {count} normal {'item' if count == 1 else 'items'} to learn from "
            f'("{shown(normal)}"); how much they differ takes at least {FEWEST}, and a promise about false alarms many '
            "more. Add some."
        )
    return ()
