"""JSON files as rows: one object per line, a list of objects, or one object that is a whole table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.data.cells import shown
from handful.data.delimited import Broken
from handful.data.encodings import Encoding, detect, open_text
from handful.data.label_studio import task_row
from handful.data.long_cells import LONGEST_LINE, line_too_long, whole_lines
from handful.data.names import listed
from handful.data.records import Record, names_in, sized
from handful.errors import DataError

# Names below which rows stand in one object, in lower case.
_BELOW = frozenset({"data", "dataset", "rows", "records", "examples", "samples", "instances", "items"})

# Characters in which the first one that is no blank is looked for.
_START = 1024


@dataclass(frozen=True)
class JsonFile:
    """A file of rows in JSON."""

    columns: tuple[str, ...]
    """The names that its first rows have."""
    records: Callable[[], Iterator[Record]]
    """Starts reading from the first row."""
    notes: tuple[str, ...]
    """What is unusual about how it is written, one sentence each."""
    lines: Callable[[], Iterator[int]]
    """Starts reading the number of each row, counted from 1."""
    word: str
    """What is counted: lines, or the entries of a list."""


def open_json(path: Path) -> JsonFile:
    """Open a JSON file, however its rows are laid out.

    Raises:
        DataError: the file is empty, damaged or no table.
        MachineError: the file cannot be opened.
    """
    encoding = detect(path)
    rows = _whole_rows(path, encoding)

    def records() -> Iterator[Record]:
        if rows is not None:
            yield from (_record(row, f"entry {number}") for number, row in enumerate(rows, 1))
            return
        with open_text(path, encoding) as file:
            yield from _json_lines(whole_lines(file))

    def filled() -> Iterator[int]:
        with open_text(path, encoding) as file:
            yield from (number for number, (line, _) in enumerate(whole_lines(file), 1) if line.strip())

    if rows is None:
        return JsonFile(names_in(records()), records, encoding.notes(path), filled, "line")
    count = len(rows)
    return JsonFile(names_in(records()), records, encoding.notes(path), lambda: iter(range(1, count + 1)), "entry")


def _whole_rows(path: Path, encoding: Encoding) -> list[Any] | None:
    """The rows of a file that is one value; None of one with an object per line, be they sound or not."""
    with open_text(path, encoding) as file:
        start = file.read(_START).lstrip()
    if start.startswith("["):
        with open_text(path, encoding) as file:
            return _parse_array(path, file.read())
    if not start.startswith("{"):
        return None
    with open_text(path, encoding) as file:
        filled = (line for line, _ in whole_lines(file) if line.strip())
        first, more = next(filled), next(filled, "")
    if _parsed(first) is not None and (more or path.suffix.lower() != ".json"):
        return None
    with open_text(path, encoding) as file:
        whole = _parsed(file.read())
    return rows_in(whole, str(path)) if isinstance(whole, dict) else None


def _parsed(text: str) -> Any:
    """The value that a text says in JSON; None where it says none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def rows_in(whole: Mapping[str, Any], source: str) -> list[Any]:
    """The rows of a table that is one object.

    Args:
        whole: the rows below one name (``{"data": [{…}, …]}``), the columns (``{"text": {"0": …}}`` or
            ``{"text": […]}``), or what pandas writes with orient split, table or index. An object with a text or with
            the turns of a chat is one row.
        source: its name, for messages.

    Raises:
        DataError: it is none of these.
    """
    data, columns = whole.get("data"), whole.get("columns")
    if isinstance(data, list) and isinstance(columns, list):  # pandas: split
        return [dict(zip(map(str, columns), row, strict=False)) if isinstance(row, list) else row for row in data]
    if isinstance(data, list) and isinstance(whole.get("schema"), dict):  # pandas: table
        index = whole["schema"].get("primaryKey") or []
        return [_without(row, index) for row in data]
    below = [name for name, value in whole.items() if name.lower() in _BELOW and _are_objects(value)]
    if len(below) == 1:
        return _plain_rows(whole[below[0]], source)
    parts = list(whole.values())
    if any(isinstance(part, str) or _are_turns(part) for part in parts) or not any(map(_holds_more, parts)):
        return [dict(whole)]
    if all(isinstance(part, list) and not _are_objects(part) for part in parts) and len(set(map(len, parts))) == 1:
        return [dict(zip(whole, row, strict=True)) for row in zip(*parts, strict=True)]
    if all(isinstance(part, dict) for part in parts):
        return _by_key(whole)
    raise DataError(
        f"{source} must be rows, got one JSON object that holds {listed(list(whole))}. Give a list of objects, or "
        'write one per line, such as {"text": "…", "label": "…"}.'
    )


def _by_key(whole: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Rows of columns by row number, or of row numbers by column, as pandas writes both."""
    if all(name.isdecimal() for name in whole) and not all(key.isdecimal() for row in whole.values() for key in row):
        return list(whole.values())
    keys = dict.fromkeys(key for column in whole.values() for key in column)
    return [{name: column.get(key) for name, column in whole.items()} for key in keys]


def _plain_rows(rows: list[Any], source: str) -> list[Any]:
    if any("paragraphs" in row for row in rows):
        raise DataError(
            f"{shown(source)} holds paragraphs with questions in them, as SQuAD does, not rows. Write one object per "
            'question, with "context", "question" and "answer".'
        )
    return rows


def _are_turns(value: Any) -> bool:
    return _are_objects(value) and all(row.keys() & {"role", "from"} for row in value)


def _holds_more(value: Any) -> bool:
    return isinstance(value, list | dict)


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(row, dict) for row in value)


def _without(row: Any, names: list[str]) -> Any:
    return {name: cell for name, cell in row.items() if name not in names} if isinstance(row, dict) else row


def _parse_array(path: Path, text: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} begins like a JSON list but is not one ({error}). Repair it, or write one object per line."
        ) from error


def _json_lines(lines: Iterable[tuple[str, int]]) -> Iterator[Record]:
    for number, (line, length) in enumerate(lines, 1):
        if length > len(line):
            yield Broken(line_too_long(number, length, LONGEST_LINE))
            continue
        if not line.strip():
            continue
        try:
            yield _record(json.loads(line), f"line {number}")
        except (ValueError, RecursionError) as error:
            yield Broken(f"line {number} is not JSON ({error})")


def _record(value: Any, place: str) -> Record:
    if isinstance(value, list) and [type(part) for part in value] == [str, dict]:  # as spaCy's examples are written
        value = {"text": value[0], **value[1]}
    if not isinstance(value, dict):
        return Broken(f"{place} must be an object with names and values, got {type(value).__name__}")
    row = task_row(value, place)
    return row if isinstance(row, Broken) else sized(row, place)
