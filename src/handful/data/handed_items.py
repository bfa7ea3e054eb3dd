"""What a program hands over to be answered, as a list of items: of a table, its column of items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handful.data.cells import shown
from handful.data.in_memory import is_list, memory_table, record_table
from handful.data.input_column import named_columns
from handful.data.names import all_names
from handful.data.tables import Table, collect
from handful.data.vector_files import vector_table
from handful.errors import DataError, suggestion


def handed_items(
    source: Any, column: str | None, verb: str = "predict", numbers: Sequence[str] | None = None
) -> list[Any]:
    """The items of a list, or of the column that a model learned from.

    Args:
        source: any sequence of items; or a table: a DataFrame, a dataset of Hugging Face, a list of dictionaries, or a
            dictionary of columns.
        column: the column of the items, or two joined by a comma that belong together; where it is not known, a
            table must have one column alone.
        verb: what is asked, for messages.
        numbers: where vectors are learned from, the columns that hold their numbers; None where other items are.

    Returns:
        N items; of two columns tuples.

    Raises:
        DataError: it is one item, or a table without that column.
    """
    if isinstance(source, str | Path):
        raise DataError(f"{verb} needs a list of items, got one {type(source).__name__}. Wrap it: [item].")
    table = _table(source, verb)
    if table is None:
        return list(source)
    if numbers is not None:
        return [vector for _, vector, _ in vector_table(table, column, numbers).rows()]
    names = (column,) if column in table.columns else named_columns(column, table.columns) if column else ()
    if not names and len(table.columns) == 1:
        names = table.columns
    if not names:
        raise DataError(
            f"{verb} needs one column of items, got {table.source} with several ({all_names(table.columns)}). "
            "Give the column of the items alone."
        )
    for name in names:
        if name not in table.columns:
            near = suggestion(name, table.columns) or " Rename one of these, or give the column of the items alone."
            raise DataError(
                f'{table.source} must have the column "{name}", which was learned from, got {all_names(table.columns)}.'
                f"{near}"
            )
    cells = collect(table).cells
    return list(cells[names[0]]) if len(names) == 1 else list(zip(*(cells[name] for name in names), strict=True))


def _table(source: Any, verb: str) -> Table | None:
    """A source as a table; None where it is a sequence of items."""
    if (table := memory_table(source)) is not None:
        return table
    if not isinstance(source, Mapping):
        return None
    if not source or not all(map(is_list, source.values())):
        raise DataError(f"{verb} needs a list of items, got one {type(source).__name__}. Wrap it: [item].")
    sizes = {str(name): len(column) for name, column in source.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{shown(name)} {size}" for name, size in sizes.items())
        raise DataError(f"{verb} needs columns of one length, got {told}. Correct them.")
    rows = [dict(zip(source, row, strict=True)) for row in zip(*source.values(), strict=True)]
    return Table("the dictionary", tuple(map(str, source)), record_table(rows).values)
