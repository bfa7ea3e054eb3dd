"""The rows that a run learned from, as ``rows.json`` keeps them: enough to know them again, without their content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.data.cells import shown, shown_json
from handful.data.dataset import Dataset, item_hash
from handful.errors import BundleError, DataError
from handful.readback import checked, read_json

FILE = "rows.json"
"""The file in a run folder."""

_FORMAT = 1


@dataclass(frozen=True)
class LearnedRow:
    """One row that was learned from."""

    row: int
    """Its zero-based position in the source, as in ``predictions.csv``."""
    item: str
    """The name of its item by its content; empty where that could not be read."""
    label: str = ""
    """Its label as it was read; empty where the answer is a part of the item."""
    group: str | None = None
    """What it belongs to; None where nothing does."""


@dataclass(frozen=True)
class LearnedRows:
    """All rows that a run learned from, without those kept for a test."""

    rows: tuple[LearnedRow, ...]
    """In the order in which they were read."""
    format: int = _FORMAT
    """The version of this format."""

    @classmethod
    def of(cls, data: Dataset) -> LearnedRows:
        """What is kept of the rows of a run."""
        labels = data.labels or ("",) * len(data)
        groups = data.groups or (None,) * len(data)
        cells = zip(data.rows, data.items, labels, groups, strict=True)
        return cls(tuple(LearnedRow(row, _name(item), label, group) for row, item, label, group in cells))

    def write(self, folder: Path) -> None:
        """Write it into a run folder: a list of four cells per row."""
        rows = [[one.row, one.item, one.label, one.group] for one in self.rows]
        (folder / FILE).write_text(shown_json({"format": self.format, "rows": rows}) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> LearnedRows | None:
        """Read back what ``write`` wrote; None in a run of old, which has no such file.

        Raises:
            BundleError: the file is damaged.
        """
        file = folder / FILE
        if not file.is_file():
            return None
        return read_json(file, cls._from_dict, lambda why: _damaged(file, why))

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> LearnedRows:
        if raw["format"] != _FORMAT:
            raise ValueError(f"its format is {raw['format']!r}, and this version of handful reads {_FORMAT}")
        return checked(cls(tuple(LearnedRow(*row) for row in raw["rows"])))


def _damaged(file: Path, why: str) -> BundleError:
    return BundleError(f"{shown(str(file))} cannot be read ({why}). Restore it, or delete it: sources are then read.")


def _name(item: Any) -> str:
    try:
        return item_hash(item)
    except (OSError, DataError):  # it is gone since it was learned from
        return ""
