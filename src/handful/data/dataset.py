"""The Dataset: items, labels, groups and splits, with where each row came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.conversations import Conversation, Preference
from handful.data.image_text import IMAGE_TEXT, SIDES, ImageText, of_side
from handful.data.kept import KeptItem
from handful.data.label_types import TEXT
from handful.data.pairs import Pair
from handful.data.places import Places, name_of
from handful.data.targets import CLASSES, NUMBERS, contradict, counts_of, names_of
from handful.data.vectors import VECTORS, Vector
from handful.errors import DataError, advised
from handful.files import MEDIA_BYTES, open_ordinary
from handful.notebook_html import page, paragraph, shortened, table

CLASSIFIED = ("text", "image", "sound")
"""What is told apart by class."""

MODALITIES = (*CLASSIFIED, VECTORS, IMAGE_TEXT, "language")

# More unreadable files than this share of a source is a broken source, not a few broken files.
UNREADABLE_SHARE = 0.1

# How many classes are told on a line, and in a table.
_TOLD, _ROWS = 5, 20


@dataclass(frozen=True)
class Dataset:
    """N items of one modality, with what is known about each of them.

    An item is a ``str`` (text), a ``Path`` (a picture or sound file), a ``PIL.Image.Image`` or an array of
    pixels (picture), a pair of samples and rate (sound), a ``Vector``, an ``ImageText``, or a ``Conversation`` or
    ``Preference`` (language, all of one kind). Files are opened only when their features are needed, so a Dataset of a
    million paths is small.
    """

    items: Sequence[Any]
    """The N things to learn from."""
    modality: str
    """What the items are: text, image, sound, vectors, image+text or language."""
    labels: tuple[str, ...] | None = None
    """What is wanted of each item, as it is written: a class, labels joined by ``|``, a rating, a number; None where
    nothing is labelled."""
    groups: tuple[str, ...] | None = None
    """Who or what each item came from (speaker, patient, document); a group is never split across folds."""
    split: tuple[str, ...] | None = None
    """``train`` or ``test`` per item, where the source says so."""
    rows: tuple[int, ...] = ()
    """Zero-based position of each item in its source."""
    places: Places = field(default_factory=Places)
    """What a person calls the rows of the source."""
    source: str = "items"
    """Where the items came from, as the user would name it."""
    input: str | None = None
    """The column of a table that the items came from; None for folders and lists."""
    task: str = "classification"
    """The name of the task that reads the labels."""
    label_type: str = TEXT
    """What the labels were before they were written as text, see ``label_types``: models answer in this type."""
    target: str | None = None
    """The column of a table that the labels came from; None for folders, lists and several columns."""
    targets: tuple[str, ...] = ()
    """The columns of 0 and 1 that the labels came from, where these were several."""
    group: str | None = None
    """The column of a table that the groups came from."""
    notes: tuple[str, ...] = ()
    """What the reader guessed, skipped or changed, one sentence each."""
    unreadable: Mapping[int, str] = field(default_factory=dict)
    """Row in the source → why it could not be read."""
    unlabelled: tuple[Any, ...] = ()
    """Items of the source whose label is empty: nothing is wanted of them, and yet they show what there is."""

    def __post_init__(self) -> None:
        if not self.rows and len(self.items):
            object.__setattr__(self, "rows", tuple(range(len(self.items))))

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        """How many items of what, and how they are labelled, on one line."""
        names = {
            "text": "texts",
            "image": "images",
            "sound": "sounds",
            IMAGE_TEXT: "images with texts",
            "language": "rows of language",
        }
        kind = names.get(self.modality, self.modality)
        what = ""
        if self.labels is not None:
            most = [f"{shortened(name, 20)} {count}" for name, count in list(self.counts.items())[:_TOLD]]
            rest = ["…"] * (len(self.counts) > _TOLD)
            what = f", {self.task}" + (f": {', '.join([*most, *rest])}" if self.classes else "")
        return f"Dataset({len(self)} {kind} from {shortened(self.source, 60)}{what})"

    def _repr_html_(self) -> str:
        rows = [(name, count) for name, count in self.counts.items()][:_ROWS] if self.classes else []
        more = [f"and {len(self.counts) - _ROWS} more"] if self.classes and len(self.counts) > _ROWS else []
        counted = [table(("label", "rows"), rows)] if rows else []
        return page(paragraph(repr(self), strong=True), *counted, *map(paragraph, (*more, *self.notes)))

    def called(self, position: int) -> str:
        """How a person finds the item at a position: its file as it was named, its ID, its line, or its number."""
        return name_of(self.items[position], self.rows[position], self.places)

    def called_together(self, positions: Sequence[int], most: int = 6) -> str:
        """The same of several items, of which so many are named at most."""
        if any(isinstance(self.items[i], Path) for i in positions):
            more = f" and {len(positions) - most:,} more" if len(positions) > most else ""
            return ", ".join(map(self.called, positions[:most])) + more
        return self.places.called_together([self.rows[i] for i in positions], most)

    @property
    def classes(self) -> tuple[str, ...]:
        """The different classes, labels or ratings, sorted; empty for numbers and where nothing is labelled."""
        return names_of(self.labels or (), self.task)

    @cached_property
    def spread(self) -> float:
        """The standard deviation of numbers; 0 where labels are none."""
        return float(np.std([float(text) for text in self.labels])) if self.labels and self.task == NUMBERS else 0.0

    def contradicts(self, positions: Sequence[int]) -> bool:
        """Whether labels differ that should be the same."""
        return self.labels is not None and contradict([self.labels[i] for i in positions], self.task, self.spread)

    @property
    def pairs(self) -> bool:
        """Whether every item is two texts."""
        return len(self.items) > 0 and isinstance(self.items[0], Pair)

    @property
    def one_class_each(self) -> bool:
        """Whether the label of an item is the one class that it is of, without an order among classes."""
        return self.labels is not None and self.task == CLASSES

    @property
    def counts(self) -> dict[str, int]:
        """Rows per class, label or rating, most frequent first."""
        return counts_of(self.labels or (), self.task)

    def take(self, index: Sequence[int] | np.ndarray) -> Dataset:
        """The Dataset of the items at these positions, in this order."""
        at = [int(i) for i in index]

        def pick(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
            return None if values is None else tuple(values[i] for i in at)

        return replace(
            self,
            items=[self.items[i] for i in at],
            labels=pick(self.labels),
            groups=pick(self.groups),
            split=pick(self.split),
            rows=pick(self.rows) or (),
        )

    def side(self, modality: str) -> Dataset:
        """The same rows with one of their two inputs."""
        return replace(self, items=of_side(self.items, modality), modality=modality, unlabelled=())

    def part(self, name: str) -> Dataset:
        """The rows whose split is ``name``; an empty Dataset where there are none."""
        return self.take([i for i, part in enumerate(self.split or ()) if part == name])

    def without(self, failed: Mapping[int, str]) -> Dataset:
        """Drop the items that could not be read.

        Args:
            failed: position in this Dataset → why it could not be read.

        Raises:
            DataError: more than a tenth of the items failed, or every item of a class did.
        """
        if not failed:
            return self
        first = next(iter(failed))
        example = f"{self.called(first)}: {failed[first]}"
        bad, total = len(failed) + len(self.unreadable), len(self) + len(self.unreadable)
        if bad > UNREADABLE_SHARE * total:
            raise DataError(
                f"{bad} of {total} items in {self.source} cannot be read, more than a tenth; "
                f"the first is {advised(example, 'Repair or remove them.')}"
            )
        kept = self.take([i for i in range(len(self)) if i not in failed])
        gone = sorted(set(self.classes) - set(kept.classes)) if self.one_class_each else []
        if gone:
            raise DataError(
                f"class {gone[0]!r} in {self.source} has no readable item left; the first unreadable one is {example}. "
                "Repair its files or remove the class."
            )
        reasons = {self.rows[i]: f"{self.called(i)}: {why}" for i, why in failed.items()}
        return replace(kept, unreadable={**self.unreadable, **reasons})


def hashes_of(dataset: Dataset) -> frozenset[str]:
    """The names of its items by their content.

    Raises:
        DataError: a file can no longer be read.
    """
    return frozenset(map(content_hash, dataset.items))


def content_hash(item: Any) -> str:
    """As ``item_hash``, of an item that was read before.

    Raises:
        DataError: it is a file that can no longer be read.
    """
    try:
        return item_hash(item)
    except OSError as error:
        raise DataError(
            f"{item} can no longer be read: {error.strerror or error}. Put it back or remove it."
        ) from error


def item_hash(item: Any) -> str:
    """Name an item by its content: equal bytes give an equal name, whatever the file is called.

    Args:
        item: any item that a Dataset may hold.

    Returns:
        64 hexadecimal digits (SHA-256).

    Raises:
        DataError: it is a file that is too large, or no ordinary one.
        OSError: it is a file that cannot be read.
    """
    if isinstance(item, KeptItem):
        return item.digest
    digest = hashlib.sha256()
    if isinstance(item, str):
        digest.update(b"text\0" + item.encode("utf-8", "surrogatepass"))
    elif isinstance(item, Path):
        with open_ordinary(item, MEDIA_BYTES) as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    elif isinstance(item, Conversation | Preference):
        digest.update(f"{type(item).__name__}\0{json.dumps(asdict(item))}".encode())
    elif isinstance(item, ImageText):
        digest.update("\0".join([IMAGE_TEXT, *(item_hash(item.side(side)) for side in SIDES)]).encode())
    elif isinstance(item, Vector):
        digest.update(b"vector\0" + item.values.tobytes())
    elif isinstance(item, tuple):  # (samples, rate)
        samples = np.ascontiguousarray(item[0])
        digest.update(f"sound\0{item[1]}\0{samples.dtype}\0{samples.shape}\0".encode() + samples.tobytes())
    else:
        pixels = np.ascontiguousarray(item)
        mode = getattr(item, "mode", "")
        digest.update(f"image\0{mode}\0{pixels.dtype}\0{pixels.shape}\0".encode() + pixels.tobytes())
    return digest.hexdigest()
