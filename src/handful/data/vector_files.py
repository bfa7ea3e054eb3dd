"""Vectors as other programs write them: arrays of numpy in files, and tables whose columns are numbers."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.cells import cell_text, shown
from handful.data.delimited import Broken
from handful.data.in_memory import memory_table
from handful.data.names import listed
from handful.data.places import id_column
from handful.data.records import SAMPLE_ROWS
from handful.data.sources import that_exists
from handful.data.tables import TABLE_SUFFIXES, Table, collect, open_table
from handful.data.vectors import NoVector, Vector, numbers_among, vector_of, vector_of_cells
from handful.errors import DataError, MachineError, suggestion
from handful.files import TABLE_BYTES, check_growth, open_ordinary

ARRAY_SUFFIXES = (".npy", ".npz")

# How the two kinds begin.
_MAGIC, _ZIP = b"\x93NUMPY", b"PK"

VECTOR_SUFFIXES = (*ARRAY_SUFFIXES, *TABLE_SUFFIXES)
"""What files of vectors end with."""


@dataclass(frozen=True)
class VectorTable:
    """A table whose rows are vectors: which of its columns are the numbers, and which is the ID."""

    table: Table
    """The table."""
    ids: str
    """The column of IDs; empty where there is none."""
    numbers: tuple[str, ...]
    """The columns of numbers, in the order in which they are read."""

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that are no numbers of a vector, the IDs among them."""
        return tuple(name for name in self.table.columns if name not in self.numbers)

    @property
    def counted(self) -> str:
        """What its rows are counted as."""
        return "row" if self.table.lines is None else self.table.word

    def rows(self) -> Iterator[tuple[int, Vector | NoVector, Mapping[str, Any]]]:
        """Where each row stands, what it is, and its other cells."""
        places: Iterator[int] = count() if self.table.lines is None else self.table.lines()
        others = self.others
        for record, place in zip(self.table.values(), places, strict=False):
            if isinstance(record, Broken):
                yield place, NoVector(record.reason), {}
                continue
            name = " ".join(str(cell_text(record.get(self.ids)) or "").split()) if self.ids else ""
            cells = [record.get(column) for column in self.numbers]
            yield place, vector_of_cells(cells, name, self.numbers), {name: record.get(name) for name in others}


def vector_table(table: Table, ids: str | None, numbers: Sequence[str] = ()) -> VectorTable:
    """Decide which columns of a table are what.

    Args:
        table: the table.
        ids: the column of IDs where one was named or learned from; else one that is called like IDs is taken.
        numbers: the columns of numbers that a model learned from; by default all that hold numbers.

    Raises:
        DataError: it holds no rows or no numbers, or lacks a column that was learned from.
    """
    start = collect(table, SAMPLE_ROWS)
    if not len(start) and not start.broken:
        raise DataError(f"{table.source} holds no rows. Add rows below the names of the columns.")
    wanted = tuple(dict.fromkeys(name if name in start.cells else name.rpartition("[")[0] or name for name in numbers))
    for name in wanted:
        if name not in start.cells:
            raise DataError(
                f'{table.source} must have the column "{shown(name)}" of numbers, which was learned from, got '
                f"{listed(list(start.cells))}.{suggestion(name, start.cells) or ' Add it.'}"
            )
    known = ids if ids and ids in start.cells else id_column(start.cells, wanted)
    found = wanted or numbers_among(start.cells, [known])
    if not found:
        raise DataError(
            f"{table.source} must have columns of numbers, one row for each item, got none "
            f"({listed(list(start.cells))}). Give the table that holds the vectors."
        )
    return VectorTable(table, known, found)


@dataclass(frozen=True)
class Arrays:
    """What a file of numpy holds: vectors, and perhaps an ID for each."""

    numbers: NDArray[Any]
    """(N, D)."""
    ids: tuple[str, ...] = ()
    """N IDs; empty where there are none."""

    def vectors(self) -> Iterator[Vector | NoVector]:
        """Each row."""
        names = self.ids or [""] * len(self.numbers)
        return (vector_of(row, name) for row, name in zip(self.numbers, names, strict=True))


def read_arrays(path: Path) -> Arrays:
    """Read a ``.npy`` or ``.npz`` file; nothing in it is run.

    Raises:
        DataError: it is empty, damaged, or holds something else than rows of numbers.
        MachineError: it cannot be opened.
    """
    try:
        with open_ordinary(path, TABLE_BYTES) as file:
            start = file.read(len(_MAGIC))
            file.seek(0)
            if not start:
                raise DataError(f"{path} is empty (0 bytes). Give a file with vectors.")
            if not start.startswith((_MAGIC, _ZIP)):
                raise DataError(
                    f"{path} must be a file of numpy, got something else. Write it with np.save or np.savez."
                )
            if path.suffix.lower() == ".npz":
                with zipfile.ZipFile(file) as archive:
                    check_growth(path, archive)
                file.seek(0)
                with np.load(file, allow_pickle=False) as members:
                    return _of_members({name: members[name] for name in members.files}, path)
            return Arrays(_rows_of(np.load(file, allow_pickle=False), str(path)))
    except PermissionError as error:
        raise MachineError(f"{path} cannot be opened: {error.strerror}. Check its permissions.") from error
    except DataError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        if "Object arrays" in str(error):
            raise DataError(
                f"{path} must hold numbers, got Python objects, which may run code when they are read. Save an array "
                "of numbers: np.save(file, array.astype(float))."
            ) from error
        why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read as a file of numpy ({why}). Write it again.") from error


def _of_members(members: Mapping[str, NDArray[Any]], path: Path) -> Arrays:
    """The one array of vectors of an archive, and the one of their IDs."""
    wide = [name for name, array in members.items() if array.ndim == 2]
    if len(wide) != 1:
        raise DataError(
            f"{path} must hold one array with two axes, the vectors, and at most one with one axis, their IDs, got "
            f"{listed(list(members)) if members else 'nothing'}. Save it with np.savez(file, vectors=array, ids=names)."
        )
    flat = [array for array in members.values() if array.ndim == 1]
    numbers = _rows_of(members[wide[0]], str(path))
    if not flat:
        return Arrays(numbers)
    if len(flat) > 1 or len(flat[0]) != len(numbers):
        sizes = " and ".join(str(len(array)) for array in flat)
        raise DataError(f"{path} must hold one ID for each of {len(numbers)} vectors, got {sizes}. Correct it.")
    return Arrays(numbers, tuple(" ".join(str(cell_text(one)).split()) for one in flat[0]))


def _rows_of(array: Any, source: str) -> NDArray[Any]:
    """An array whose rows are vectors.

    Raises:
        DataError: it is none.
    """
    if array.dtype.kind not in "fiub" or array.ndim != 2 or not array.size:
        raise DataError(
            f"{source} must hold numbers with two axes, a row for each item and a column for each number, got an array "
            f"of {array.dtype} with shape {array.shape}. Save one vector per row."
        )
    rows: NDArray[Any] = array
    return rows


def opened_vectors(source: Any, ids: str | None, numbers: Sequence[str] = ()) -> VectorTable | Arrays:
    """Vectors from a file, an array or a table in memory.

    Args:
        source: the path of a table or of a file of numpy, an array (N, D), or a DataFrame.
        ids: the column of IDs, see ``vector_table``.
        numbers: the columns of numbers that a model learned from; by default all that hold numbers.

    Raises:
        DataError, MachineError: it cannot be read, or holds no vectors.
    """
    if isinstance(source, np.ndarray):
        return Arrays(_rows_of(source, "the array of features"))
    if not isinstance(source, str | Path):
        table = memory_table(source)
        if table is None:
            raise DataError(
                f"features must be a file, an array with two axes or a DataFrame, got {type(source).__name__}. Give "
                "one of these."
            )
        return vector_table(table, ids, numbers)
    path = that_exists(source)
    suffix = path.suffix.lower()
    if suffix in ARRAY_SUFFIXES:
        return read_arrays(path)
    if path.is_dir() or suffix not in TABLE_SUFFIXES:
        got = "a folder" if path.is_dir() else f"a file with the suffix {suffix!r}"
        raise DataError(
            f"features must be in a file that ends with {', '.join(VECTOR_SUFFIXES)}, got {got} "
            f"({shown(str(path))}). Write them as one of these."
        )
    return vector_table(open_table(path), ids, numbers)
