"""Items without labels to learn from: read, told apart from the labelled rows, and few enough to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.dataset import Dataset, item_hash
from handful.data.items import PLURAL, kind_of, make_items
from handful.data.languages import main_language
from handful.data.pairs import Pair
from handful.data.pool import check_table, read_pool, skipped
from handful.data.sources import that_exists
from handful.errors import DataError, OptionError

MOST = 1000
"""At most so many items are learned from, however many there are."""
FEWEST = 10
"""Fewer items than this say nothing about how items are spread."""


def read_unlabelled(
    source: Any, known: Dataset, most: int, rng: np.random.Generator
) -> tuple[Dataset | None, list[str]]:
    """Read the pool of a run: what a source holds, and the rows of the labelled source whose label is empty.

    Args:
        source: a path, a Dataset or a list of items; None where only rows without a label are there.
        known: the labelled rows, with the test rows where there are any.
        most: at most so many items are used.
        rng: chooses them.

    Returns:
        The items, or None where too few are left, and what to tell the user, one sentence each.

    Raises:
        DataError: the pool holds test rows, or items of another kind than the labelled rows.
        OptionError: it is nothing that can be read.
    """
    pool, count = Dataset([], known.modality, source=known.source), 0
    if source is not None:
        pool, count = _opened(source, known, most, rng)
        _check_like(pool, known)
    notes = list(pool.notes)
    items, sentences = _new([*pool.items, *known.unlabelled], pool, known)
    total = count - len(pool) + len(items)  # an estimate where the pool is a sample
    notes += sentences
    items = _some(items, most, rng)
    if len(items) < FEWEST:
        notes.append(
            f"{len(items)} unlabelled {'item is' if len(items) == 1 else 'items are'} left, of which nothing can be "
            f"learned: at least {FEWEST} are needed."
        )
        return None, notes
    if len(items) < total:
        notes.append(f"{len(items):,} of about {total:,} unlabelled items are learned from, drawn by chance.")
    if known.modality == "text":
        notes += _other_language(items, known.items)
    return replace(pool, items=items, rows=tuple(range(len(items))), notes=()), notes


def _other_language(items: Sequence[str], rows: Sequence[str]) -> list[str]:
    """A sentence where the pool is in another language than the rows; whether it teaches anything, the arms show."""
    theirs, ours = main_language(items), main_language(rows)
    if theirs is None or ours is None or theirs == ours:
        return []
    return [
        f"The unlabelled items look {theirs.name}, the labelled rows {ours.name}: little can be learned from these."
    ]


def _opened(source: Any, known: Dataset, most: int, rng: np.random.Generator) -> tuple[Dataset, int]:
    """At most so many items of a source, and how many it has."""
    if isinstance(source, Dataset):
        if source.modality != known.modality:
            raise _of_another_kind(source.source, known, f"{source.modality} items")
        items = _some(source.items, most, rng)
        return Dataset(items, source.modality, source=source.source), len(source)
    if isinstance(source, str | Path):
        check_table(that_exists(source), known.input)
        return read_pool(source, known.modality, most, rng, known.input)
    if not isinstance(source, Sequence | np.ndarray):
        raise OptionError(
            f"unlabelled= must be a path, a Dataset or a list of items, got {type(source).__name__}. Give one of these."
        )
    items, failed = make_items(_some(list(source), most, rng), known.modality, None)
    readable = [item for i, item in enumerate(items) if i not in failed]
    if kind_of(items) not in ("", known.modality):
        raise _of_another_kind("the list", known, PLURAL.get(kind_of(items), "other things"))
    notes = (skipped(len(failed), "the list", next(iter(failed.values()))),) if failed else ()
    return Dataset(readable, known.modality, source="the list", notes=notes), len(source) - len(failed)


def _some(items: Sequence[Any], most: int, rng: np.random.Generator) -> list[Any]:
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.sort(rng.permutation(len(items))[:most]).tolist()]


def _check_like(pool: Dataset, known: Dataset) -> None:
    """Refuse items that the labelled rows are not like: names of files for texts, one text for a pair of them."""
    kind = kind_of(pool.items)
    if kind not in ("", known.modality):
        raise _of_another_kind(pool.source, known, PLURAL.get(kind, "different things"))
    if len(pool) and known.pairs != isinstance(pool.items[0], Pair):
        raise _of_another_kind(pool.source, known, "one text each" if known.pairs else "pairs of texts")


def _of_another_kind(source: str, known: Dataset, got: str) -> DataError:
    must = "pairs of texts" if known.pairs else PLURAL[known.modality]
    return DataError(
        f"unlabelled items of {source} must be {must}, as the labelled rows of {known.source} are, got {got}. "
        "Name a pool of the same kind."
    )


def _new(items: Sequence[Any], pool: Dataset, known: Dataset) -> tuple[list[Any], list[str]]:
    """The items that are no labelled rows, each once, and what was left out.

    Raises:
        DataError: some are test rows, which nothing may learn from.
    """
    parts = known.split or ("train",) * len(known)
    of_rows = {name: i for i, item in enumerate(known.items) if (name := _hash(item))}
    new: dict[str, Any] = {}
    learned, tests, twice = 0, [], 0
    for at, item in enumerate(items):
        name = _hash(item) or f"unreadable {at}"  # extraction says why
        row = of_rows.get(name)
        if row is not None and parts[row] == "test":
            tests.append(known.rows[row])
        elif row is not None:
            learned += 1
        elif name in new:
            twice += 1
        else:
            new[name] = item
    if tests:
        raise DataError(
            f"unlabelled items of {pool.source} must not be test rows of {known.source}, got {len(set(tests))} of them "
            f"({known.places.called(min(tests))} first): what is learned from cannot be tested on. "
            "Remove them from the pool."
        )
    notes = []
    if learned:
        what = "1 item of the pool is a labelled row too and is" if learned == 1 else ""
        notes.append(f"{what or f'{learned:,} items of the pool are labelled rows too and are'} left out of it.")
    if twice:
        what = "1 item of the pool repeats another and is" if twice == 1 else ""
        notes.append(f"{what or f'{twice:,} items of the pool repeat others and are'} left out.")
    return list(new.values()), notes


def _hash(item: Any) -> str | None:
    """The name of an item by its content; None where it cannot be opened."""
    try:
        return item_hash(item)
    except (OSError, DataError):
        return None
