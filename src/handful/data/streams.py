"""Items to predict, from a file, folder or table of any length, a chunk at a time in the order of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

from handful.data.cells import cell_text, shown
from handful.data.columns import GROUP_NAMES
from handful.data.conversation_columns import questions
from handful.data.conversations import Fields, read_question
from handful.data.dataset import CLASSIFIED, MODALITIES
from handful.data.delimited import Broken
from handful.data.encodings import detect, open_text
from handful.data.folders import Walk
from handful.data.image_text import IMAGE_TEXT
from handful.data.input_column import choose_input, choose_two, input_note, named_columns
from handful.data.items import PLURAL, make_items
from handful.data.label_column import LABEL_NAMES
from handful.data.long_cells import LONGEST, line_too_long, whole_lines
from handful.data.media_names import media_kind
from handful.data.names import all_names
from handful.data.pairs import BETWEEN, Pair, make_pair
from handful.data.records import SAMPLE_ROWS
from handful.data.sources import that_exists
from handful.data.split_names import SPLIT_NAME
from handful.data.tables import TABLE_SUFFIXES, Columns, Table, collect, open_table
from handful.data.typed_items import Typed
from handful.data.vector_files import VECTOR_SUFFIXES, Arrays, opened_vectors, vector_table
from handful.data.vectors import VECTORS
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
    columns: tuple[str, ...] = ()
    """The names of the columns of a table; empty where there is none."""
    cells: tuple[Mapping[str, Any], ...] = ()
    """Column → value of each row of a table, as the table has it; empty for a row that cannot be read."""
    places: tuple[int, ...] = ()
    """Where each row stands in its file, as ``counted`` says; empty where items are files."""
    counted: str = ""
    """What ``places`` count: ``line``, from 1, or ``row`` of a table without lines, from 0; empty without places."""

    @property
    def readable(self) -> list[int]:
        """Positions in this chunk of the rows that did not fail."""
        return [i for i, row in enumerate(self.rows) if row not in self.failed]

    def told(self, at: int) -> str:
        """What a row is called in a message: its text or file, or where it stands if there is nothing to see."""
        return self.names[at].strip() or (f"{self.counted} {self.places[at]}" if self.counted else "the text")


# What a line of a text file is called while it is a record.
_LINE = "text"
_TEXT = Fields(prompt=_LINE)

# A row of a text, or of a file, of which there are no other cells.
_ALONE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class _Row:
    """One row before it is an item."""

    name: str
    """What the user sees of it."""
    value: Any
    """What it holds, or what is wrong with it."""
    cells: Mapping[str, Any] = field(default_factory=lambda: _ALONE)
    """Column → value of a row of a table."""
    place: int = 0
    """Where it stands in its file."""


@dataclass(frozen=True)
class _Opened:
    """A source whose rows are still to be read."""

    rows: Iterator[_Row]
    """Its rows, from the first."""
    folder: Path = Path()
    """Where names of files start from."""
    notes: tuple[str, ...] = ()
    """What was guessed, one sentence each."""
    columns: tuple[str, ...] = ()
    """The names of the columns of a table."""
    counted: str = ""
    """What the places of its rows count."""


Source = str | Path | Table | Typed
"""What can be answered: a path, a table that is open already, or a text that was typed."""


def stream(
    source: Source,
    *,
    modality: str,
    input: str | None = None,  # noqa: A002 - the name of the option
    chunk: int = 1024,
    numbers: Sequence[str] = (),
) -> Iterator[Chunk]:
    """Read what is to be predicted; at no time are more than two chunks in memory.

    Args:
        source: a folder of images or sounds (read at any depth, in sorted order), one image or sound, a table, JSON
            lines, a ``.txt`` file with one text per line, a table that is open already, or a text that was typed.
        modality: what the model reads: text, image, sound, vectors or image+text; language for what is asked, messages
            or a text.
        input: the column the model learned from, or two joined by a comma, of vectors that of IDs; taken where the
            table has it, otherwise a column is guessed.
        chunk: rows per chunk.
        numbers: of vectors the columns that the model learned from; by default all that hold numbers.

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
        raise OptionError(f"modality must be {', '.join(MODALITIES[:-2])} or {MODALITIES[-2]}, got {modality!r}.{near}")
    if chunk < 1:
        raise OptionError(f"chunk must be at least 1 row, got {chunk}. Choose more.")
    if modality == VECTORS:
        return _chunks(_opened_vectors(source, input, numbers), modality, chunk)
    reads, asks = modality.replace("language", "text"), modality == "language"
    if modality == IMAGE_TEXT:
        return _chunks(_opened_both(source, input), modality, chunk)
    if isinstance(source, Typed):
        name, value = _asked({_LINE: source.text}, _TEXT, source.text) if asks else (source.text, source.text)
        return _chunks(_Opened(iter([_Row(name, value)])), modality, chunk)
    if isinstance(source, Table):
        return _chunks(_open_table(source, reads, input, asks), modality, chunk)
    return _chunks(_open(that_exists(source), reads, input, asks), modality, chunk)


def _open(path: Path, modality: str, column: str | None, asks: bool) -> _Opened:
    """Open a source; of one that ``asks`` the values are messages."""
    if path.is_dir():
        return _Opened(_folder_rows(path, modality))
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return _open_table(open_table(path), modality, column, asks)
    if suffix == ".txt" and modality == "text":
        encoding = detect(path)

        def lines() -> Iterator[_Row]:
            with open_text(path, encoding) as file:
                for number, (line, length) in enumerate(whole_lines(file), 1):
                    if length > LONGEST:
                        yield _Row(f"line {number}", Broken(line_too_long(number, length, LONGEST)), place=number)
                        continue
                    text = line.rstrip("\r\n")
                    name, value = _asked({_LINE: text}, _TEXT, text) if asks else (text, text)
                    yield _Row(name, value, place=number)

        return _Opened(lines(), notes=encoding.notes(path), counted="line")
    if found := kind_of_file(path):
        raise DataError(not_ordinary(path, found))
    kind = media_kind(path.name)
    if kind == modality:
        return _Opened(iter([_Row(shown(str(path)), path)]))
    what = f"one {kind}" if kind else f"a file with the suffix {suffix!r}"
    raise DataError(f"the model reads {PLURAL[modality]}, but {shown(str(path))} is {what}. {_GIVE[modality]}")


def _opened_vectors(source: Source, column: str | None, numbers: Sequence[str]) -> _Opened:
    """Rows of numbers; of a table the other columns stay beside what is answered."""
    if isinstance(source, Typed):
        raise DataError(
            f"the model reads vectors, but {shown(repr(source.text))} is no file. Give a file that ends with "
            f"{', '.join(VECTOR_SUFFIXES)}."
        )
    opened = (
        vector_table(source, column, numbers)
        if isinstance(source, Table)
        else (opened_vectors(source, column, numbers))
    )
    if isinstance(opened, Arrays):
        named = zip(opened.vectors(), opened.ids or [f"row {i}" for i in range(len(opened.numbers))], strict=True)
        return _Opened((_Row(name, vector, place=i) for i, (vector, name) in enumerate(named)), counted="row")
    rows = (
        _Row(vector.name or f"{opened.counted} {place}", vector, cells, place) for place, vector, cells in opened.rows()
    )
    return _Opened(rows, notes=opened.table.notes, columns=opened.others, counted=opened.counted)


def _start(table: Table) -> Columns:
    """The first rows of a table, which are enough to know its columns by."""
    start = collect(table, SAMPLE_ROWS)
    if not len(start) and not start.broken:
        raise DataError(f"{table.source} holds no rows. Add rows below the names of the columns.")
    return start


def _opened_both(source: Source, column: str | None) -> _Opened:
    """Rows of a table with a column of pictures and one of texts."""
    if not isinstance(source, Table | Typed) and (path := that_exists(source)).suffix.lower() in TABLE_SUFFIXES:
        source = open_table(path)
    if not isinstance(source, Table):
        got = "a text" if isinstance(source, Typed) else "no table"
        what = source.text if isinstance(source, Typed) else str(source)
        raise DataError(
            f"the model reads {PLURAL[IMAGE_TEXT]}, but {shown(what)} is {got}. Give a table "
            f"({', '.join(TABLE_SUFFIXES)}) with a column of each."
        )
    start = _start(source)
    names = named_columns(column, start.cells) if column else ()
    missing = [name for name in names if name not in start.cells]
    if missing or len(names) != 2:
        lacks = f'have the column "{shown(missing[0])}"' if missing else "have a column of images and one of texts"
        near = suggestion(missing[0], start.cells) if missing else ""
        raise DataError(
            f"{source.source} must {lacks}, got {all_names(start.cells)}.{near} Name both with --input IMAGE,TEXT."
        )
    (image, text), _ = choose_two(start, source.source, (names[0], names[1]), IMAGE_TEXT, ())

    def item(where: str, record: Mapping[str, Any]) -> tuple[str, Any]:
        value = (record.get(image), record.get(text))
        return (BETWEEN.join(cell for cell in value if isinstance(cell, str)) or where), value

    return _opened(source, item, source.notes)


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
    return (_Row(shown(str(path)), path) for path in chain([first], found))


def _asked(record: Mapping[str, Any], fields: Fields, name: str) -> tuple[str, Any]:
    """What a record asks; what the user sees of it is a text, or what was said last."""
    prompt, why = read_question(record, fields)
    if not prompt:
        return name, Broken("the text is empty" if why.endswith(" is empty") else why)
    value = record.get(fields.prompt)
    return (value if isinstance(value, str) and len(prompt) == 1 else prompt[-1].content), prompt


def _open_table(table: Table, modality: str, column: str | None, asks: bool) -> _Opened:
    start = _start(table)
    notes, name = table.notes, column or ""
    two = named_columns(name, start.cells)
    if len(two) == 2 and all(part in start.cells for part in two):
        return _opened(table, lambda where, record: _two(where, record, two), notes)
    fields = Fields(prompt=name) if name in start.cells else questions(start) if asks else None
    if name not in start.cells and fields is None:
        usual = {*GROUP_NAMES, SPLIT_NAME, *chain(*LABEL_NAMES)}
        taken = [name for name in start.cells if name.lower() in usual]
        if len(taken) == len(start.cells):
            taken = []
        name, _ = choose_input(start, table.source, None, modality, taken)
        if len(start.cells) > 1:
            notes = (*notes, input_note(name, modality))

    def item(where: str, record: Mapping[str, Any]) -> tuple[str, Any]:
        if asks:
            return _asked(record, fields or Fields(prompt=name), where)
        value = record.get(name)
        return (value if isinstance(value, str) else where), value

    return _opened(table, item, notes)


def _opened(table: Table, item: Callable[[str, Mapping[str, Any]], tuple[str, Any]], notes: tuple[str, ...]) -> _Opened:
    """A table whose rows become items by a function of where they stand and of their cells."""
    counted = "row" if table.lines is None else table.word

    def rows() -> Iterator[_Row]:
        places = count() if table.lines is None else table.lines()
        for record, place in zip(table.values(), places, strict=False):
            where = f"{counted} {place}"
            if isinstance(record, Broken):
                yield _Row(where, record, place=place)
                continue
            text = {name: cell_text(cell) for name, cell in record.items()}
            yield _Row(*item(where, text), record, place)

    return _Opened(rows(), table.folder or Path(), notes, table.columns, counted)


def _two(where: str, record: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, Any]:
    """Two texts of a row."""
    value = tuple(record.get(column) for column in columns)
    pair, _ = make_pair(value)
    return (pair if isinstance(pair, Pair) else where), value


def _chunks(opened: _Opened, modality: str, size: int) -> Iterator[Chunk]:
    start = 0
    while piece := list(islice(opened.rows, size)):
        rows = tuple(range(start, start + len(piece)))
        values = [None if isinstance(row.value, Broken) else row.value for row in piece]
        items, problems = (values, {}) if modality == "language" else make_items(values, modality, opened.folder)
        failed = {rows[i]: problem for i, problem in problems.items()}
        failed.update({rows[i]: row.value.reason for i, row in enumerate(piece) if isinstance(row.value, Broken)})
        yield Chunk(
            rows, tuple(row.name for row in piece), items, failed, opened.notes if not start else (),
            opened.columns, tuple(row.cells for row in piece) if opened.columns else (),
            tuple(row.place for row in piece) if opened.counted else (), opened.counted,
        )  # fmt: skip
        start += len(piece)
