"""A pool to be labelled: its items, what each is called, and the labels that some of them have already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.cells import label_text, shown
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.input_column import choose_input, named_columns
from handful.data.items import PLURAL, kind_of
from handful.data.label_column import LABEL_NAMES
from handful.data.names import all_names
from handful.data.places import is_called_id
from handful.data.pool import kinds_in, named_kinds, skipped
from handful.data.records import SAMPLE_ROWS
from handful.data.sentences import Sentence, bounds_of
from handful.data.sources import that_exists
from handful.data.span_tables import span_fields
from handful.data.spans import span_of, written
from handful.data.streams import Chunk, stream
from handful.data.tables import TABLE_SUFFIXES, Columns, collect, open_table
from handful.data.targets import SPANS
from handful.data.vectors import numbers_among
from handful.errors import DataError, OptionError

MOST = 100_000
"""At most so many items of a pool are asked about, however many it has."""
MOST_MARKED = 10_000
"""The same of texts in which spans are marked, of which every word is kept in mind."""
MOST_WORDS = 500
"""Longer texts are not asked about where spans are marked: nobody sees all of them at once."""


@dataclass
class LabelPool:
    """N items, of which some have labels."""

    modality: str
    """text, image or sound."""
    items: list[Any]
    """The N items: texts, pairs of texts, or paths."""
    names: list[str]
    """What a person calls each: the name of its file, or where it stands; for texts, empty."""
    given: dict[int, str] = field(default_factory=dict)
    """Position → the label that it came with, as a label column holds it."""
    source: str = "items"
    """Where they came from."""
    count: int = 0
    """How many items can be read there; more than N where a part was drawn by chance."""
    notes: tuple[str, ...] = ()
    """What was guessed, skipped or left out, one sentence each."""
    task: str = ""
    """What its labels are where the table says so: marked spans."""
    skipped: int = 0
    """How many items cannot be asked about."""
    why: str = ""
    """Why the first of these cannot."""

    def __len__(self) -> int:
        return len(self.items)


def read_label_pool(
    source: str | Path, rng: np.random.Generator, *, label: str | None = None,
    input: str | None = None, task: str | None = None, most: int = MOST,  # noqa: A002 - the name of the option
) -> LabelPool:  # fmt: skip
    """Read a pool to be labelled; memory does not grow beyond ``most`` items.

    Args:
        source: a folder of pictures or of sounds, a table, JSON lines, or a text file with one text per line.
        rng: chooses items where there are too many.
        label: the column of a table in which some rows have a label; by default one called label, if there is one.
        input: the column of the texts or of the names of the files; guessed where that is safe.
        task: what the labels are; None: classes, or spans where the table has them.
        most: at most so many items; those with a label are all kept.

    Raises:
        DataError: the source cannot be read, holds nothing or different kinds of things.
        OptionError: there is no such column, or several columns could be meant.
    """
    path = that_exists(source)
    modality, column, label, task = _kinds(path, label, input, task)
    if task == SPANS:
        most = min(most, MOST_MARKED)
    drawn: list[tuple[int, Any, str, str]] = []
    labelled: list[tuple[int, Any, str, str]] = []
    count = failed = 0
    notes: tuple[str, ...] = ()
    first = ""
    for chunk in stream(path, modality=modality, input=column):
        notes = notes or chunk.notes
        for i in range(len(chunk.rows)):
            if why := _problem(chunk, i, task):
                failed, first = failed + 1, first or why
                continue
            count += 1
            said = _said(chunk.cells[i].get(label), task) if label and chunk.cells else ""
            row = (chunk.rows[i], chunk.items[i], _name(chunk, i, path), said)
            if said:
                labelled.append(row)
            elif len(drawn) < most:
                drawn.append(row)
            elif (at := int(rng.integers(count - len(labelled)))) < most:
                drawn[at] = row
    rows = sorted([*drawn, *labelled], key=lambda row: row[0])
    if not rows:
        why = f" The first cannot be read: {shown(first)}." if first else ""
        raise DataError(
            f"{shown(str(path))} holds nothing that can be labelled.{why} Name a folder or table with items."
        )
    told = [*notes, *([skipped(failed, shown(str(path)), first)] if failed else [])]
    if len(rows) < count:
        told.append(f"of {count:,} items {len(rows):,} drawn by chance are asked about")
    given = {i: said for i, (*_, said) in enumerate(rows) if said}
    items, names = [row[1] for row in rows], [row[2] for row in rows]
    return LabelPool(modality, items, names, given, shown(str(path)), count, tuple(told), task or "", failed, first)


def with_labelled(pool: LabelPool, data: Dataset) -> LabelPool:
    """A pool with labelled rows after its own items.

    Args:
        pool: what is to be labelled.
        data: rows with labels.

    Raises:
        DataError: they are of another kind, or lie in a table themselves.
    """
    if data.modality != pool.modality:
        raise DataError(
            f"{pool.source} must hold {PLURAL.get(data.modality, data.modality)}, as {data.source} does, got "
            f"{PLURAL[pool.modality]}. Name a pool of the same kind."
        )
    if not all(isinstance(item, str | Path) for item in data.items):
        raise DataError(
            f"rows of {data.source} must be texts or files, got pictures or sounds in a table. Unpack them."
        )
    if any(isinstance(item, Sentence) for item in data.items):
        raise DataError(
            f"{data.source} holds tokens, and marks are made in texts here. Give texts with spans, or label without "
            "--run."
        )
    start, labels = len(pool), data.labels or ()
    names = [item.name if isinstance(item, Path) else "" for item in data.items]
    given = {start + i: label for i, label in enumerate(labels)}
    return replace(pool, items=[*pool.items, *data.items], names=[*pool.names, *names], given={**pool.given, **given})


def _said(cell: Any, task: str | None) -> str:
    """The label of a row as text; empty where it has none."""
    if task != SPANS:
        return label_text(cell)
    if cell is None or cell == "":
        return ""
    marks = [span_of(mark) for mark in cell] if isinstance(cell, list) else [None]
    if any(mark is None or mark[2] is None for mark in marks):
        return str(cell)  # is none; whoever takes labels says so
    return written([own for own in marks if own is not None])


def _problem(chunk: Chunk, at: int, task: str | None) -> str:
    """Why an item cannot be asked about, or nothing."""
    if chunk.rows[at] in chunk.failed:
        return f"{chunk.told(at)}: {chunk.failed[chunk.rows[at]]}"
    if not isinstance(chunk.items[at], str | Path):
        return "it lies in the table itself, not in a file of its own"
    words = len(bounds_of(chunk.items[at])) if task == SPANS and isinstance(chunk.items[at], str) else 0
    if words > MOST_WORDS:
        place = f"{chunk.counted} {chunk.places[at]}: " if chunk.counted else ""
        return f"{place}a text to mark must have {MOST_WORDS} words at most, got {words:,}; cut it into parts"
    return ""


def _name(chunk: Chunk, at: int, path: Path) -> str:
    """What a person calls an item; texts are read as they are."""
    item = chunk.items[at]
    if not isinstance(item, Path):
        return ""
    inside = path.is_dir() and item.is_relative_to(path)
    return shown(item.relative_to(path).as_posix() if inside else item.name)


def _kinds(
    path: Path, label: str | None, column: str | None, task: str | None
) -> tuple[str, str | None, str | None, str | None]:
    """(what the items are, their column, the column of labels, what these are where that is known)."""
    table = not path.is_dir() and path.suffix.lower() in TABLE_SUFFIXES
    if not table:
        given = "--label" if label else "--input" if column else ""
        if given:
            raise OptionError(
                f"{given} names a column of a table, got {shown(str(path))}, which is none. Leave it out."
            )
        kinds = kinds_in(path)
        if len(kinds) > 1:
            raise DataError(
                f"a pool must hold items of one kind, got {named_kinds(kinds)} in {shown(str(path))}. "
                "Put them into folders of their own."
            )
        if not kinds and path.is_dir():
            raise DataError(
                f"{shown(str(path))} holds no images and no sounds. Name a folder that does; texts are read from a "
                "table or a .txt file with one per line."
            )
        return (kinds.pop() if kinds else "text"), None, None, task
    start = collect(open_table(path), SAMPLE_ROWS)
    source = shown(str(path))
    for flag, wanted in (
        ("--label", [label] if label else []),
        ("--input", named_columns(column, start.cells) if column else []),
    ):
        for name in wanted:
            if name not in start.cells:
                raise OptionError(f'{flag} names no column of {source}: "{shown(name)}" ({all_names(start.cells)}).')
    fields = span_fields(start) if task in (None, SPANS) else None
    if fields is not None and label in (None, fields.marks) and column in (None, fields.item):
        if fields.tokens:
            raise DataError(
                f'{source} holds tokens and tags, and marks are made in texts here. Give it columns "text" and "spans".'
            )
        return "text", fields.item, fields.marks, SPANS
    if label is None and task != SPANS:
        label = next((name for name in start.cells if name.lower() in LABEL_NAMES[0] and name != column), None)
    named = named_columns(column, start.cells) if column else ()
    if len(named) > 1:
        _check_no_files(start, source, named)
        return "text", column, label, task
    chosen, modality = choose_input(start, source, column, None, [label] if label else [])
    _check_no_numbers(start, source, chosen, (label, column))
    return modality, column, label, task


def _check_no_files(start: Columns, source: str, named: tuple[str, ...]) -> None:
    """Refuse two columns of which one names pictures: what is asked about is one picture, or one or two texts.

    Raises:
        OptionError: one does.
    """
    if any(kind_of(start.cells[name]) == "image" for name in named):
        raise OptionError(
            f"label asks about one text, picture or sound at a time, got {PLURAL[IMAGE_TEXT]} in {source}. Name one of "
            "the two columns with --input."
        )


def _check_no_numbers(start: Columns, source: str, chosen: str, named: tuple[str | None, str | None]) -> None:
    """Refuse a table of vectors, of which only the IDs could be shown.

    Raises:
        DataError: it is one.
    """
    label, column = named
    if column is None and is_called_id(chosen) and numbers_among(start.cells, [chosen, label or ""]):
        raise DataError(
            f"{source} must hold texts, pictures or sounds to be labelled, got IDs and numbers, which nobody can see a "
            f'class in. Write the labels of known items into a table with column "{shown(chosen)}", and learn with '
            f"`handful tune labels.csv --features {source}`; --input {shown(chosen)} labels the IDs as texts."
        )
