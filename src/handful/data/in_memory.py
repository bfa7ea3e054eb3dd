"""Tables that a program holds: frames, lists of dictionaries, datasets of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from handful.data.class_labels import named_features, with_names
from handful.data.items import kind_of
from handful.data.records import Record
from handful.data.tables import Table
from handful.errors import DataError


def is_list(source: Any) -> bool:
    """Whether a program hands over items one after the other: a list, an array, a series."""
    if isinstance(source, str | Path | Mapping) or is_hub_dataset(source) or hasattr(source, "columns"):
        return False
    return hasattr(source, "__len__") and hasattr(source, "__iter__")


def is_records(source: Any) -> bool:
    """Whether a list holds dictionaries that are rows, not pictures or sounds."""
    return len(source) > 0 and all(isinstance(value, Mapping) for value in source) and kind_of(source) == "other"


def memory_table(source: Any) -> Table | None:
    """A frame, a dataset of Hugging Face or the splits of one, or a list of dictionaries as a table; else None.

    Raises:
        DataError: two columns have the same name.
    """
    if is_hub_dataset(source):
        return hub_table(source)
    if hasattr(source, "itertuples") and hasattr(source, "columns"):
        return frame_table(source)
    if isinstance(source, Mapping):
        return hub_splits_table(source) if source and all(map(is_hub_dataset, source.values())) else None
    return record_table(source) if is_list(source) and is_records(source) else None


def frame_table(frame: Any) -> Table:
    """A pandas DataFrame as a table; its index is not a column."""
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f'the DataFrame has several columns called "{repeated[0]}". Rename all but one.')

    def records() -> Iterator[Record]:
        for values in frame.itertuples(index=False, name=None):
            yield dict(zip(names, values, strict=True))

    return Table("the DataFrame", tuple(names), records)


def record_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """A list of dictionaries, one per row, as a table."""
    rows = [{str(name): cell for name, cell in record.items()} for record in records]
    return Table("the list", tuple(dict.fromkeys(name for row in rows for name in row)), lambda: iter(rows))


def is_hub_dataset(source: Any) -> bool:
    """Whether this looks like a Hugging Face ``datasets.Dataset``, without importing that library."""
    return all(hasattr(source, name) for name in ("column_names", "features", "cast_column"))


def hub_table(dataset: Any) -> Table:
    """A Hugging Face ``datasets.Dataset`` as a table.

    Pictures and sounds stay undecoded: as a path where there is one, as bytes otherwise.
    """
    named = named_features(dataset.features.to_dict())
    for name, feature in dataset.features.items():
        if hasattr(feature, "decode"):
            dataset = dataset.cast_column(name, type(feature)(decode=False))

    def records() -> Iterator[Record]:
        return (with_names(record, named) for record in dataset)

    return Table("the datasets.Dataset", tuple(dataset.column_names), records)


def hub_splits_table(splits: Mapping[str, Any]) -> Table:
    """A ``datasets.DatasetDict`` as one table, with the names of its parts as the column ``split``."""
    parts = {name: hub_table(dataset) for name, dataset in splits.items()}

    def records() -> Iterator[Record]:
        for name, part in parts.items():
            for record in part.values():
                yield {**record, "split": name} if isinstance(record, dict) else record

    columns = dict.fromkeys(column for part in parts.values() for column in (*part.columns, "split"))
    return Table("the datasets.DatasetDict", tuple(columns), records)
