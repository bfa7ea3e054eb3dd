"""Labelled rows and the vectors that another program made of the same items: joined by ID, or by their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from handful.data.cells import shown
from handful.data.columns import GROUP_NAMES, Wanted
from handful.data.label_column import guess_label
from handful.data.names import either, listed
from handful.data.places import id_column, is_called_id
from handful.data.split_names import SPLIT_NAME
from handful.data.tables import Columns, Table
from handful.data.vector_files import Arrays, VectorTable, opened_vectors
from handful.data.vectors import VECTORS, NoVector, Vector, numbers_among, vector_of_cells
from handful.errors import DataError, OptionError, suggestion

OWN = "columns"
"""What ``--features`` names where the numbers stand in the labelled table itself."""

# So many columns of numbers are named.
_NAMED = 5


def with_vectors(columns: Columns, wanted: Wanted, table: Table) -> tuple[Columns, Wanted, tuple[str, ...]]:
    """A labelled table with a further column, the vector of each row.

    Args:
        columns: the rows of the table.
        wanted: what the user named, with the features; the input is the column of IDs.
        table: the table.

    Returns:
        The rows with their vectors, what is wanted of them now, and what was done, one sentence each.

    Raises:
        DataError: the vectors cannot be read, or do not belong to the rows.
        OptionError: a column that was named is not there, or several could be the one of IDs.
    """
    if wanted.modality not in (None, VECTORS):
        raise OptionError(f"features are vectors, got rows of {wanted.modality}. Leave one of the two out.")
    if wanted.input and wanted.input not in columns.cells:
        raise OptionError(
            f'column "{wanted.input}", given as the input, is not in {table.source} ({listed(list(columns.cells))}). '
            f"With features it names the column of IDs.{suggestion(wanted.input, columns.cells)}"
        )
    if wanted.features == OWN:
        return _own_columns(columns, wanted, table)
    opened = opened_vectors(wanted.features, wanted.input)
    source = opened.table.source if isinstance(opened, VectorTable) else _called(wanted.features)
    ids, vectors = _named_vectors(opened, columns, wanted, source)
    if ids:
        return _joined(columns, wanted, vectors, ids, source, table.source)
    if len(vectors) != len(columns) + len(columns.broken):
        raise DataError(
            f"{source} must have a column of IDs that {table.source} has too, or as many rows as it "
            f"({len(columns) + len(columns.broken)}), got {len(vectors)} rows and no such column. Add the IDs to both "
            "files, and name their column with --input."
        )
    note = f"vectors of {shown(source)} are joined with the rows by their order, since no column of IDs is in both"
    return _added(columns, wanted, [vectors[row] for row in columns.rows], "", (note,))


def _own_columns(columns: Columns, wanted: Wanted, table: Table) -> tuple[Columns, Wanted, tuple[str, ...]]:
    """The numbers of a table are the features of its rows."""
    ids = wanted.input or id_column(columns.cells, [wanted.label or ""])
    asked = [*filter(None, (wanted.label, wanted.group, wanted.split)), *wanted.beside, ids]
    asked = [part.strip() for name in asked for part in ([name] if name in columns.cells else name.split(","))]
    usual = [name for name in columns.cells if name.lower() in (*GROUP_NAMES, SPLIT_NAME)]
    label = wanted.label or guess_label(columns, table.source, [*asked, *usual], unlikely=GROUP_NAMES)
    numbers = numbers_among(columns.cells, [*asked, *usual, label])
    if not numbers:
        raise DataError(
            f"{table.source} must have columns of numbers beside its labels, got none ({listed(list(columns.cells))}). "
            "Leave --features out, or name the file that holds the numbers."
        )
    names = columns.cells[ids] if ids else [""] * len(columns)
    cells = zip(*(columns.cells[name] for name in numbers), strict=True)
    vectors = [vector_of_cells(row, name or "", numbers) for row, name in zip(cells, names, strict=True)]
    rest = replace(columns, cells={name: column for name, column in columns.cells.items() if name not in numbers})
    more = f" and {len(numbers) - _NAMED:,} more" if len(numbers) > _NAMED else ""
    one = "1 column of numbers is" if len(numbers) == 1 else f"{len(numbers):,} columns of numbers are"
    note = f"{one} taken as the features: {listed(numbers[:_NAMED])}{more}"
    return _added(rest, replace(wanted, label=label), vectors, ids, (note,))


def _named_vectors(
    opened: VectorTable | Arrays, columns: Columns, wanted: Wanted, source: str
) -> tuple[str, list[Vector | NoVector]]:
    """The column of IDs in the labelled rows, empty where there is none, and the vectors, with their IDs as names."""
    if isinstance(opened, Arrays):
        return _column_of(opened.ids, columns, wanted, source), list(opened.vectors())
    ids = _shared(opened, columns, wanted, source)
    left_out = [name for name in opened.table.columns if name in columns.cells and name != ids]
    texts = [name for name in opened.others if name not in (ids, *left_out)]
    if texts and not ids and opened.ids in texts:
        texts.remove(opened.ids)
    if texts:
        raise DataError(
            f'column "{shown(texts[0])}" of {source} must hold numbers, got something else. Leave it out of the file; '
            "a column of IDs needs the same name in both files, or --input names it."
        )
    numbers = tuple(name for name in opened.numbers if name not in (ids, *left_out))
    if not numbers:
        raise DataError(
            f"{source} must have columns of numbers that belong to it alone, got numbers only in columns that the "
            f"labels have too ({listed(opened.numbers[:_NAMED])}). Where they stand beside the labels, give --features "
            f"{OWN}."
        )
    return ids, [vector for _, vector, _ in replace(opened, ids=ids, numbers=numbers).rows()]


def _shared(opened: VectorTable, columns: Columns, wanted: Wanted, source: str) -> str:
    """The column of IDs that the labelled rows and the vectors share; empty where there is none."""
    names = opened.table.columns
    if wanted.input:
        if wanted.input not in names:
            raise OptionError(
                f'column "{wanted.input}", given as the input, must hold IDs in both files, got {source} without it '
                f"({listed(names)}).{suggestion(wanted.input, names) or ' Name one that both have.'}"
            )
        return wanted.input
    taken = {wanted.label, wanted.group, wanted.split, *wanted.beside}
    both = [name for name in names if name in columns.cells and name not in taken]
    called = [name for name in both if is_called_id(name)]
    texts = [name for name in both if name not in opened.numbers]
    likely = called or texts or both
    if len(likely) > 1:
        raise OptionError(f"the IDs of {source} could be {either(likely)}. Choose with --input.")
    return likely[0] if likely else ""


def _column_of(ids: Sequence[str], columns: Columns, wanted: Wanted, source: str) -> str:
    """The column of the labelled rows whose cells are IDs of an archive."""
    if not ids:
        if wanted.input:
            raise OptionError(
                f'column "{wanted.input}", given as the input, must hold IDs in both files, got {source} without IDs. '
                "Save them beside the vectors: np.savez(file, vectors=array, ids=names)."
            )
        return ""
    if wanted.input:
        return wanted.input
    known = set(ids)
    fits = [
        name for name, column in columns.cells.items() if 2 * sum(_key(cell) in known for cell in column) > len(column)
    ]
    return fits[0] if fits else ""


def _joined(
    columns: Columns, wanted: Wanted, vectors: Sequence[Vector | NoVector], ids: str, source: str, labelled: str
) -> tuple[Columns, Wanted, tuple[str, ...]]:
    """Each row with the vector of its ID."""
    by_id = {vector.name: vector for vector in vectors if isinstance(vector, Vector)}
    twice = [name for name, times in Counter(v.name for v in vectors if isinstance(v, Vector)).items() if times > 1]
    if twice:
        raise DataError(
            f'{source} must hold every ID once, got "{shown(twice[0])}" more than once (column "{shown(ids)}"). Keep '
            "one row of each."
        )
    broken = {vector.name: vector.why for vector in vectors if isinstance(vector, NoVector)}
    keys = [_key(cell) for cell in columns.cells[ids]]
    if not set(keys) & by_id.keys():
        raise DataError(
            f'{source} must hold vectors for the IDs of {labelled} (column "{shown(ids)}", such as '
            f'"{shown(next(iter(keys), ""))}"), got none of them (it has IDs such as '
            f'"{shown(next(iter(by_id), ""))}"). Choose another column with --input.'
        )
    none = f"{shown(source)} has no vector of it"
    cells = [by_id.get(key) or NoVector(broken.get(key, none)) for key in keys]
    note = f'vectors of {shown(source)} are joined with the rows by column "{shown(ids)}"'
    return _added(columns, wanted, cells, ids, (note,))


def _added(
    columns: Columns, wanted: Wanted, vectors: Sequence[Vector | NoVector], ids: str, notes: tuple[str, ...]
) -> tuple[Columns, Wanted, tuple[str, ...]]:
    """The vectors as one more column, which is the input from now on."""
    name = "features"
    while name in columns.cells:
        name += "_"
    beside = (*wanted.beside, ids) if ids else wanted.beside
    asked = replace(wanted, input=name, modality=VECTORS, features=None, beside=beside)
    return replace(columns, cells={**columns.cells, name: list(vectors)}, ids=ids), asked, notes


def _key(cell: Any) -> str:
    return " ".join(cell.split()) if isinstance(cell, str) else ""


def _called(features: Any) -> str:
    return shown(str(features)) if isinstance(features, str | Path) else "the array of features"
