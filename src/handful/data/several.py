"""Several sources as one Dataset: rows that are the same count once, and what contradicts is named with both places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handful.data.cells import shown
from handful.data.classes import checked_targets
from handful.data.columns import Wanted
from handful.data.conversations import Preference
from handful.data.dataset import Dataset, item_hash
from handful.data.items import PLURAL
from handful.data.label_types import TEXT
from handful.data.language_rows import FEWEST_ROWS
from handful.data.metadata_files import metadata_table
from handful.data.places import Places, SeveralPlaces
from handful.data.readers import check_kinds, load_wanted, read_path
from handful.data.sources import that_exists
from handful.data.tables import TABLE_SUFFIXES, open_table
from handful.data.targets import MASKS
from handful.errors import DataError

# So many conflicts are told with their places, and of each label so many letters: what is marked in a picture is long.
_TOLD, _LONGEST = 5, 200

_REMEDY = "Add rows of others."


@dataclass(frozen=True)
class Conflict:
    """An item that two sources label differently."""

    first: str
    """What the row of the earlier source is called."""
    label: str
    """Its label."""
    second: str
    """What the row of the later source is called."""
    other: str
    """The label there."""

    def __str__(self) -> str:
        first, other = (text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in (self.label, self.other))
        return f'{self.first} says "{first}", {self.second} "{other}"'


@dataclass(frozen=True)
class Merged:
    """The rows of several sources as one Dataset, and how they met."""

    data: Dataset
    """All rows, one source after the other; what was said of them is in its ``notes``."""
    origin: tuple[int, ...]
    """(N,) from which source each row is, from 0."""
    fresh: tuple[bool, ...]
    """(N,) whether the item of a row is in no earlier source."""
    repeated: int
    """How many rows were left out because an earlier source has them with the same label."""
    conflicts: tuple[Conflict, ...]
    """Items with two labels."""


def load_several(sources: Sequence[str | Path], wanted: Wanted) -> Dataset:
    """Read several sources of one kind as one Dataset.

    Args:
        sources: what ``load`` reads, one or more; each one's columns are found for itself.
        wanted: columns by name, which every table then must have, modality and task.

    Raises:
        DataError: a source cannot be used, or they do not go together.
        OptionError: a column that was named is not there.
        MachineError: a file or folder cannot be opened.
    """
    if len(sources) == 1:
        check_kinds(wanted.modality, wanted.task)
        return load_wanted(sources[0], wanted)
    parts: list[Dataset] = []
    for source in sources:
        parts.append(load_part(source, wanted, parts[0] if parts else None))
    return merged(parts, later_wins=False).data


def load_part(source: str | Path, wanted: Wanted, like: Dataset | None = None, strict: bool = True) -> Dataset:
    """Read a source that is learned from together with others: it may hold a single class, or a single row.

    Args:
        source: a path.
        wanted: columns that were named, which a table must have.
        like: the rows that these belong to: their columns are taken where a table has columns of these names, and
            their kind of item and of label.
        strict: whether a table must have the columns that were named.

    Raises:
        DataError, OptionError, MachineError: as ``load``.
    """
    path = that_exists(source)
    asked = replace(wanted, whole=False)
    if path.is_dir() and metadata_table(path, wanted.label) is None:
        asked = replace(asked, label=None, input=None, group=None, split=None)
    elif path.suffix.lower() in TABLE_SUFFIXES:
        names = open_table(path).columns
        asked = asked if strict else _columns_there(asked, names)
        asked = asked if like is None else _columns_like(asked, like, names)
    if like is not None:
        own = None if like.modality == "language" else like.task
        modality = like.modality if like.modality != "language" or like.labels is not None else None
        asked = replace(asked, modality=wanted.modality or modality, task=wanted.task or own)
    found = read_path(path, asked)
    if like is not None:
        check_alike(like, found)
    return replace(found, source=shown(str(source)))


def _columns_there(asked: Wanted, names: Sequence[str]) -> Wanted:
    """The columns that were named, as far as a table has them."""
    lacking = [
        option
        for option in ("label", "input", "group")
        if (column := getattr(asked, option)) and column not in names and not set(column.split(",")) <= set(names)
    ]
    return replace(asked, **dict.fromkeys(lacking))  # type: ignore[arg-type]


def _columns_like(asked: Wanted, like: Dataset, names: Sequence[str]) -> Wanted:
    """The columns of other rows, where a table has all that are meant and nobody named others."""
    label = like.target or ",".join(like.targets) or None
    known = {"label": label, "input": like.input, "group": like.group}
    if like.modality == "language" and like.labels is None:  # columns of prompts and answers have names that are known
        known = {"group": like.group}
    there = {
        option: column
        for option, column in known.items()
        if getattr(asked, option) is None and column and (column in names or set(column.split(",")) <= set(names))
    }
    return replace(asked, **there)  # type: ignore[arg-type]


def check_alike(first: Dataset, other: Dataset) -> None:
    """Refuse rows that cannot be learned from together.

    Raises:
        DataError: they hold other things, or are labelled in another way.
    """
    kinds = [_kind(data) for data in (first, other)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"{other.source} must hold {kinds[0]}, as {first.source} does, got {kinds[1]}. Tune them apart from each "
            "other."
        )
    if (first.labels is None) != (other.labels is None) or first.task != other.task:
        got = other.task if other.labels is not None else "no labels"
        must = f"labels of the task {first.task}" if first.labels is not None else "no labels"
        raise DataError(
            f"{other.source} must have {must}, as {first.source} has, got {got}. Name the column with --label, or the "
            "task with --task."
        )


def _kind(data: Dataset) -> str:
    if data.modality == "language" and len(data):
        return "pairs of answers" if isinstance(data.items[0], Preference) else "prompts with answers"
    return "pairs of texts" if data.pairs else PLURAL.get(data.modality, data.modality)


def merged(parts: Sequence[Dataset], *, later_wins: bool) -> Merged:
    """Put Datasets of one kind together, by the content of their items.

    A row that an earlier source has with the same label is left out. Rows within one source stay as they are. An item
    of a test row is in no training row.

    Args:
        parts: one or more, the earliest first.
        later_wins: whether an item with two labels keeps that of the later source; else it stays with both, and the
            finding ``conflict`` tells.

    Raises:
        DataError: they do not go together, or nothing can be learned from all of them.
    """
    for part in parts[1:]:
        check_alike(parts[0], part)
    firsts = _firsts(parts)
    labels, alike = [_labels(part) for part in parts], [_compared(part) for part in parts]
    known: Mapping[str, list[tuple[int, int]]] = defaultdict(list)  # name of an item → source and position of its rows
    gone: set[tuple[int, int]] = set()
    fresh: dict[tuple[int, int], bool] = {}
    conflicts, repeated = list[Conflict](), 0
    for at, part in enumerate(parts):
        met: list[tuple[str, int]] = []
        for i, item in enumerate(part.items):
            name = _name(item, at, i)
            earlier = [row for row in known.get(name, ()) if row not in gone]
            fresh[at, i] = not known.get(name)
            same = [row for row in earlier if alike[row[0]][row[1]] == alike[at][i]]
            if same and not (_is_test(part, i) and not any(_is_test(parts[a], b) for a, b in same)):
                gone.add((at, i))
                repeated += 1
            elif same:  # what is tested on is not learned from
                gone.update(same)
                repeated += len(same)
            elif earlier:
                a, b = earlier[-1]
                conflicts.append(Conflict(_called(parts[a], b), labels[a][b], _called(part, i), labels[at][i]))
                gone.update(earlier if later_wins else ())
            met.append((name, i))
        for name, i in met:  # rows of one source are compared with those of earlier ones only
            known[name].append((at, i))
    kept = [(at, i) for at, part in enumerate(parts) for i in range(len(part)) if (at, i) not in gone]
    data = _joined(parts, kept, firsts)
    data = replace(data, notes=(*data.notes, *_said(repeated, conflicts, later_wins)))
    return Merged(
        _checked(data), tuple(at for at, _ in kept), tuple(fresh[row] for row in kept), repeated, tuple(conflicts)
    )


def _joined(parts: Sequence[Dataset], taken: Sequence[tuple[int, int]], firsts: Sequence[int]) -> Dataset:
    """The rows that are kept of each source as one Dataset."""
    grouped, split = any(part.groups is not None for part in parts), any(part.split is not None for part in parts)
    rows = [firsts[at] + parts[at].rows[i] for at, i in taken]
    unread = {first + row: f"{part.source}: {why}" for part, first in zip(parts, firsts, strict=True)
              for row, why in part.unreadable.items()}  # fmt: skip
    types = {part.label_type for part in parts}
    same = {name: values.pop() if len(values := {getattr(part, name) for part in parts}) == 1 else None
            for name in ("target", "input", "group")}  # fmt: skip
    return replace(
        parts[0],
        items=[parts[at].items[i] for at, i in taken],
        labels=None if parts[0].labels is None else tuple(_labels(parts[at])[i] for at, i in taken),
        groups=tuple(_group(parts[at], i, row) for (at, i), row in zip(taken, rows, strict=True)) if grouped else None,
        split=tuple("test" if _is_test(parts[at], i) else "train" for at, i in taken) if split else None,
        rows=tuple(rows),
        places=SeveralPlaces(
            parts=tuple(
                (first + begins, name, places)
                for part, first in zip(parts, firsts, strict=True)
                for begins, name, places in _own_places(part)
            )
        ),
        source=", ".join(part.source for part in parts),
        label_type=types.pop() if len(types) == 1 else TEXT,
        target=same["target"] or parts[0].target,
        input=same["input"] or parts[0].input,
        group=same["group"] or next((part.group for part in parts if part.group), None),
        notes=tuple(f"{part.source}: {note}" for part in parts for note in part.notes),
        unreadable=unread,
        unlabelled=tuple(item for part in parts for item in part.unlabelled),
    )


def _checked(data: Dataset) -> Dataset:
    """The whole, of which is asked what is asked of a single source."""
    if data.labels is not None and data.modality != "language":
        return checked_targets(data, "labels", _REMEDY)
    training = len(data.part("train")) if data.split else len(data)
    if training < FEWEST_ROWS:
        raise DataError(
            f"{data.source} have {training} rows to learn from; at least {FEWEST_ROWS} are needed, to learn from some "
            "and to hold out others. Add rows."
        )
    return data


def _said(repeated: int, conflicts: Sequence[Conflict], later_wins: bool) -> list[str]:
    notes = []
    if repeated:
        rows = "1 row is" if repeated == 1 else f"{repeated:,} rows are"
        notes.append(f"{rows} in an earlier source with the same label too: taken once")
    if conflicts:
        items = "1 item has" if len(conflicts) == 1 else f"{len(conflicts):,} items have"
        more = f"; and {len(conflicts) - _TOLD:,} more" if len(conflicts) > _TOLD else ""
        rule = "the later source counts" if later_wins else "both rows stay, since nobody can tell which is right"
        notes.append(f"{items} two labels: {'; '.join(map(str, conflicts[:_TOLD]))}{more}: {rule}")
    return notes


def _firsts(parts: Sequence[Dataset]) -> list[int]:
    """The number that the first row of each source has among all."""
    sizes = [1 + max([-1, *part.rows, *part.unreadable]) for part in parts]
    return [sum(sizes[:at]) for at in range(len(parts))]


def _labels(part: Dataset) -> Sequence[str]:
    """What is compared as the label of each row; answers in words are part of the item."""
    return ("",) * len(part) if part.labels is None else part.labels


def _compared(part: Dataset) -> Sequence[str]:
    """What two labels are the same by: masks by what is in their files, wherever these lie."""
    if part.task != MASKS:
        return _labels(part)
    from handful.data.mask_files import Outlined  # loads a decoder, which texts have no use for

    marked = [Outlined.of_cell(cell) for cell in _labels(part)]
    return [replace(one, file=_name(Path(one.file), 0, i) if one.file else "").cell for i, one in enumerate(marked)]


def _is_test(part: Dataset, position: int) -> bool:
    return part.split is not None and part.split[position] == "test"


def _group(part: Dataset, position: int, row: int) -> str:
    """The group of a row; one of a source without groups, or without one, belongs to nobody else."""
    own = None if part.groups is None else part.groups[position]
    return f"(row {row})" if own is None or own.startswith("(row ") else own


def _own_places(part: Dataset) -> tuple[tuple[int, str, Places], ...]:
    """First row, name and places of each source that rows are of."""
    return part.places.parts if isinstance(part.places, SeveralPlaces) else ((0, part.source, part.places),)


def _called(part: Dataset, position: int) -> str:
    name = part.called(position)
    known = isinstance(part.items[position], Path) or isinstance(part.places, SeveralPlaces)
    return name if known else f"{name} of {part.source}"


def _name(item: Any, source: int, position: int) -> str:
    """The name of an item by its content; one that cannot be opened is like no other."""
    try:
        return item_hash(item)
    except (OSError, DataError):  # extraction says why
        return f"{source} {position}"


def are_sources(source: Any) -> bool:
    """Whether a list names sources rather than items: paths, of which one at least is there."""
    if not isinstance(source, list | tuple) or len(source) < 2:
        return False
    return all(isinstance(one, str | Path) for one in source) and any(_is_there(one) for one in source)


def _is_there(one: str | Path) -> bool:
    try:
        return Path(one).exists()
    except (OSError, ValueError):  # a text that no file can be called
        return False
