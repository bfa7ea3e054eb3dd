"""Items to predict, from a file, folder or table of any length, a chunk at a time in the order of the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from handful.data.cells import shown
from handful.data.columns import GROUP_NAMES, SPLIT_NAME
from handful.data.conversation_columns import questions
from handful.data.conversations import Fields, read_question
from handful.data.dataset import CLASSIFIED, MODALITIES
from handful.data.delimited import Broken
from handful.data.encodings import detect, open_text
from handful.data.folders import Walk
from handful.data.input_column import choose_input, input_note, named_columns
from handful.data.items import PLURAL, make_items, media_kind
from handful.data.label_column import LABEL_NAMES
from handful.data.long_cells import LONGEST, line_too_long, whole_lines
from handful.data.pairs import Pair, make_pair
from handful.data.readers import that_exists
from handful.data.tables import SAMPLE_ROWS, TABLE_SUFFIXES, Table, collect, open_table
from handful.errors import DataError, OptionError, suggestion
from handful.files import kind_of_file, not_ordinary


@dataclass(frozen=True)
class Chunk:
    """Some rows of a source, one after the other; every row of the source is in exactly one chunk."""

    rows: tuple[int, ...]
    """Zero-based position in the source of each row."""
    names: tuple[str, ...]
    """What the user sees of each row: the text, or the name of the file."""
    items: list[Any]
    """The item of each row; what it was in the source where it failed."""
    failed: Mapping[int, str] = field(default_factory=dict)
    """Row → why it cannot be predicted."""
    notes: tuple[str, ...] = ()
    """In the first chunk: what was guessed about the source, one sentence each."""

    @property
    def readable(self) -> list[int]:
        """Positions in this chunk of the rows that did not fail."""
        return [i for i, row in enumerate(self.rows) if row not in self.failed]


# What a line of a text file is called while it is a record.
_LINE = "text"

# One row before it is an item: what the user sees, and the value or what is wrong with it.
_Row = tuple[str, Any]


def stream(source: str | Path, *, modality: str, input: str | None = None, chunk: int = 1024) -> Iterator[Chunk]:  # noqa: A002
    """Read what is to be predicted; at no time are more than two chunks in memory.

    Args:
        source: a folder of images or sounds (read at any depth, in sorted order), one image or sound, a table, JSON
            lines, or a ``.txt`` file with one text per line.
        modality: what the model reads: text, image or sound; language for what is asked, messages or a text.
        input: the column the model learned from; taken where the table has it, otherwise a column is guessed.
        chunk: rows per chunk.

    Yields:
        Chunks with every row of the source, in its order; only the last is shorter. Rows that cannot be read are
        there too, with the reason.

    Raises:
        DataError: the source does not exist, cannot be read at all, or holds nothing of that modality.
        OptionError: the modality is unknown, or several columns could be the input.
        MachineError: a file or folder cannot be opened.
    """
    if modality not in MODALITIES:
        near = suggestion(modality, CLASSIFIED) or " Choose one of these."
        raise OptionError(f"modality must be text, image or sound, got {modality!r}.{near}")
    if chunk < 1:
        raise OptionError(f"chunk must be at least 1 row, got {chunk}. Choose more.")
    path = that_exists(source)
    folder, notes, values = _open(path, modality.replace("language", "text"), input, modality == "language")
    return _chunks(values, modality, folder, notes, chunk)


def _open(path: Path, modality: str, column: str | None, asks: bool) -> tuple[Path, tuple[str, ...], Iterator[_Row]]:
    """Open a source; of one that ``asks`` the values are messages."""
    if path.is_dir():
        return Path(), (), _folder_rows(path, modality)
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return _open_table(open_table(path), modality, column, asks)
    if suffix == ".txt" and modality == "text":
        encoding = detect(path)
        notes = () if encoding.usual else (f"{path.name} is read as {encoding.name}, because it is not UTF-8",)

        def lines() -> Iterator[_Row]:
            with open_text(path, encoding) as file:
                for number, (line, length) in enumerate(whole_lines(file), 1):
                    if length > LONGEST:
                        yield f"line {number}", Broken(line_too_long(number, length, LONGEST))
                        continue
                    text = line.rstrip("\r\n")
                    yield _asked({_LINE: text}, Fields(prompt=_LINE), text) if asks else (text, text)

        return Path(), notes, lines()
    if found := kind_of_file(path):
        raise DataError(not_ordinary(path, found))
    kind = media_kind(path.name)
    if kind == modality:
        return Path(), (), iter([(shown(str(path)), path)])
    what = f"one {kind}" if kind else f"a file with the suffix {suffix!r}"
    raise DataError(f"the model reads {PLURAL[modality]}, but {shown(str(path))} is {what}. {_GIVE[modality]}")


_GIVE = {
    "text": f"Give a table ({', '.join(TABLE_SUFFIXES)}) or a .txt file with one text per line.",
    "image": "Give an image, a folder of images or a table with their names.",
    "sound": "Give a sound, a folder of sounds or a table with their names.",
}


def _folder_rows(root: Path, modality: str) -> Iterator[_Row]:
    if modality == "text":
        raise DataError(f"the model reads texts, but {shown(str(root))} is a folder. {_GIVE['text']}")
    found = (path for path, kind in Walk(root).files() if kind == modality)
    first = next(found, None)
    if first is None:
        raise DataError(f"{shown(str(root))} holds no {PLURAL[modality]}. {_GIVE[modality]}")
    return ((shown(str(path)), path) for path in chain([first], found))


def _asked(record: Mapping[str, Any], fields: Fields, name: str) -> _Row:
    """What a record asks; what the user sees of it is a text, or what was said last."""
    prompt, why = read_question(record, fields)
    if not prompt:
        return name, Broken("the text is empty" if why.endswith(" is empty") else why)
    value = record.get(fields.prompt)
    return (value if isinstance(value, str) and len(prompt) == 1 else prompt[-1].content), prompt


def _open_table(
    table: Table, modality: str, column: str | None, asks: bool
) -> tuple[Path, tuple[str, ...], Iterator[_Row]]:
    start = collect(table, SAMPLE_ROWS)
    if not len(start) and not start.broken:
        raise DataError(f"{table.source} holds no rows. Add rows below the names of the columns.")
    notes = table.notes
    name = column or ""
    two = named_columns(name, start.cells)
    if len(two) == 2 and all(part in start.cells for part in two):
        return table.folder or Path(), notes, _pairs(table, two)
    fields = Fields(prompt=name) if name in start.cells else questions(start) if asks else None
    if name not in start.cells and fields is None:
        usual = {*GROUP_NAMES, SPLIT_NAME, *chain(*LABEL_NAMES)}
        taken = [name for name in start.cells if name.lower() in usual]
        if len(taken) == len(start.cells):
            taken = []
        name, _ = choose_input(start, table.source, None, modality, taken)
        if len(start.cells) > 1:
            notes = (*notes, input_note(name, modality))

    def rows() -> Iterator[_Row]:
        for number, record in enumerate(table.records()):
            value = record if isinstance(record, Broken) else record.get(name)
            if asks and not isinstance(record, Broken):
                yield _asked(record, fields or Fields(prompt=name), f"row {number}")
                continue
            yield (value if isinstance(value, str) else f"row {number}"), value

    return table.folder or Path(), notes, rows()


def _pairs(table: Table, columns: tuple[str, ...]) -> Iterator[_Row]:
    """Two texts of every row."""
    for number, record in enumerate(table.records()):
        if isinstance(record, Broken):
            yield f"row {number}", record
            continue
        value = tuple(record.get(column) for column in columns)
        pair, _ = make_pair(value)
        yield pair if isinstance(pair, Pair) else f"row {number}", value


def _chunks(values: Iterator[_Row], modality: str, folder: Path, notes: tuple[str, ...], size: int) -> Iterator[Chunk]:
    start = 0
    while piece := list(islice(values, size)):
        rows = tuple(range(start, start + len(piece)))
        found = [None if isinstance(value, Broken) else value for _, value in piece]
        items, problems = (found, {}) if modality == "language" else make_items(found, modality, folder)
        failed = {rows[i]: problem for i, problem in problems.items()}
        failed.update({rows[i]: value.reason for i, (_, value) in enumerate(piece) if isinstance(value, Broken)})
        yield Chunk(rows, tuple(name for name, _ in piece), items, failed, notes if not start else ())
        start += len(piece)
