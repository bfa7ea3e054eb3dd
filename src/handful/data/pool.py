"""A pool: items without labels, to compare or to learn from, as a seeded sample of a source of any length."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.cells import shown
from handful.data.conversation_columns import recognise
from handful.data.dataset import Dataset
from handful.data.folders import Walk
from handful.data.input_column import named_columns
from handful.data.items import PLURAL
from handful.data.media_names import media_kind
from handful.data.records import SAMPLE_ROWS
from handful.data.sources import that_exists
from handful.data.streams import stream
from handful.data.tables import TABLE_SUFFIXES, collect, open_table
from handful.errors import DataError

# Files of a folder that are looked at to say what it holds.
_LOOKED_AT = 1000


def read_pool(
    source: str | Path,
    modality: str,
    most: int,
    rng: np.random.Generator,
    input: str | None = None,  # noqa: A002 - the name of the option
) -> tuple[Dataset, int]:
    """Read a pool; memory does not grow with its length.

    Args:
        source: what ``handful predict`` takes: a folder, a table, JSON lines or a text file.
        modality: what its items have to be: text, image or sound.
        most: at most so many rows are kept, each with the same chance (Vitter 1985, algorithm R).
        rng: chooses them.
        input: the column of a table that holds the items.

    Returns:
        The rows that were kept, in the order of the source, and how many readable rows there were.

    Raises:
        DataError: the source cannot be read, or holds items of another modality.
    """
    path = that_exists(source)
    _check_kind(path, modality)
    reservoir: list[tuple[int, Any]] = []
    count = failed = 0
    first = ""
    for chunk in stream(path, modality=modality, input=input):
        failed += len(chunk.failed)
        first = first or next(iter(chunk.failed.values()), "")
        for i in chunk.readable:
            count += 1
            if len(reservoir) < most:
                reservoir.append((chunk.rows[i], chunk.items[i]))
            elif (at := int(rng.integers(count))) < most:
                reservoir[at] = (chunk.rows[i], chunk.items[i])
    reservoir.sort(key=lambda pair: pair[0])
    rows = tuple(row for row, _ in reservoir)
    notes = (skipped(failed, shown(str(path)), first),) if failed else ()
    return Dataset([item for _, item in reservoir], modality, rows=rows, source=shown(str(path)), notes=notes), count


def skipped(count: int, source: str, first: str) -> str:
    """What to tell the user about items of a pool that cannot be read."""
    items = "1 item" if count == 1 else f"{count:,} items"
    return f"{items} of {source} cannot be read and {'is' if count == 1 else 'are'} skipped; the first: {shown(first)}"


def check_table(path: Path, column: str | None) -> None:
    """Refuse a table of rows for a language model, of which a pool has no use.

    Args:
        path: the pool.
        column: the input of the labelled rows; where the table has it, that is what is read.
    """
    if path.is_dir() or path.suffix.lower() not in TABLE_SUFFIXES:
        return
    start = collect(open_table(path), SAMPLE_ROWS)
    there = column is not None and all(name in start.cells for name in named_columns(column, start.cells))
    if not there and recognise(start):
        raise DataError(
            f"unlabelled items of {shown(str(path))} must be items like the labelled ones, got rows for a language "
            "model (prompts, answers or messages). Name a table with a column of items."
        )


def _check_kind(path: Path, modality: str) -> None:
    """Refuse a pool that plainly holds something else than the labelled rows."""
    kinds = kinds_in(path)
    if kinds and modality not in kinds:
        raise DataError(
            f"pool {shown(str(path))} must hold {PLURAL[modality]}, as the labelled rows do, got {named_kinds(kinds)}. "
            "Name a pool of the same kind."
        )


def kinds_in(path: Path) -> set[str]:
    """The kinds of items that the names of files tell of; none for tables and texts."""
    if path.is_dir():
        return {kind for _, kind in islice(Walk(path).files(), _LOOKED_AT)}
    kind = media_kind(path.name)
    return {kind} if kind else set()


def named_kinds(kinds: Collection[str]) -> str:
    """Kinds of items in words: ``pictures and sounds``."""
    return " and ".join(PLURAL[kind] for kind in sorted(kinds))
