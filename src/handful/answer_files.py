"""Answers written beside the rows that they belong to, so that they can be joined with what they were made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.atomic import replaced_file
from handful.data.cells import shown
from handful.data.names import listed
from handful.data.row_files import DelimitedRows, Rows, rows_for
from handful.data.streams import Chunk, Source, stream
from handful.prediction import Answers, Written, check_column, nothing_answered

# Prompts that are read ahead: answers take long, and one wants to see them come.
PROMPTS = 16

Say = Callable[[str], None]
"""Told what the user should know."""


@dataclass(frozen=True)
class Form:
    """How answers are written."""

    file: Path | None = None
    """The file to write, whose ending says the format; None for standard output."""
    probabilities: bool = False
    """Whether to add a column per class."""
    short: bool = False
    """Whether the other columns of a table are left out."""
    about_to_print: Callable[[], None] = lambda: None
    """Called before rows go to standard output, so that nothing else is on the screen."""


@dataclass
class Page:
    """A file of answers that is being written: what a row was, then what was answered to it."""

    rows: Rows
    """What takes the rows."""
    say: Say
    """Told of columns that are called otherwise, or are not kept."""
    short: bool = False
    """Whether the other columns of a table are left out."""
    prepare: Callable[[], None] = lambda: None
    """Called before rows are written."""
    columns: tuple[str, ...] = ()
    """The columns of the table that are kept."""
    begun: bool = False
    """Whether the names of the columns are written."""
    lost: bool = False
    """Whether it was said that some row has columns that the first rows lack."""

    def begin(self, chunk: Chunk, answered: Sequence[str]) -> None:
        """Make ready for the rows of a chunk; before the first row, write the names of the columns.

        Args:
            chunk: the rows.
            answered: how what is answered is called; a name that the table has already is changed, and that is said.
        """
        self.prepare()
        if self.begun:
            return
        self.begun = True
        self.columns = () if self.short else chunk.columns
        own = list(self.columns or ["input"])
        place = [free_name(chunk.counted, own, f"file {chunk.counted}")] if chunk.counted else []
        names = [*place, *own]
        for name in answered:
            names.append(free_name(name, names))
            if names[-1] != name and name in self.columns:
                self.say(f'column "{shown(name)}" of the table is kept; what is answered stands in "{names[-1]}"')
        self.rows.header(names)

    def write(self, chunk: Chunk, at: int, answered: Sequence[Any]) -> None:
        """Write a row of a chunk and what is answered to it."""
        place = [chunk.places[at]] if chunk.counted else []
        cells = chunk.cells[at] if self.columns else {}
        own = [cells.get(name) for name in self.columns] or [chunk.names[at]]
        if self.columns and not self.lost and (more := [name for name in cells if name not in self.columns]):
            self.lost = True
            self.say(f"{chunk.counted} {chunk.places[at]} has {listed(more)}, which the first rows lack: not kept")
        self.rows.row([*place, *own, *answered])


def free_name(name: str, taken: Iterable[str], instead: str = "") -> str:
    """A name for a column that no other has: the name itself, or one that says that it was predicted."""
    used = set(taken)
    other = instead or f"predicted {name}"
    numbered = (f"{other} ({number})" for number in range(2, len(used) + 3))
    return next(free for free in (name, other, *numbered) if free not in used)


def opened(stack: ExitStack, form: Form, say: Say) -> Page:
    """A page to write answers on; a file appears under its name only when the stack is closed without an error.

    Raises:
        OptionError: the file is a folder.
        MachineError: it cannot be written, or the disk is full.
    """
    if form.file is None:
        return Page(DelimitedRows(sys.stdout), say, form.short, form.about_to_print)
    target = stack.enter_context(replaced_file(form.file))
    out = stack.enter_context(target.open("wb"))
    return Page(stack.enter_context(rows_for(form.file.suffix.lower(), out)), say, form.short)


def write_answers(found: Iterator[Answers], column: str, form: Form, say: Say) -> Written:
    """Write each row, the answer to it and what stands beside it; rows that cannot be read have an empty answer.

    Before the answer stand the line of the file and the columns of the table, or what was read of a row of anything
    else. Where it was asked, ``refused`` says ``yes`` for rows that are too unlike the training rows, whose answer is
    empty too, and ``set`` holds all that an answer may be, joined by ``|``.

    Args:
        found: chunks of answers.
        column: how the answers are called, where the table has no column of that name.
        form: where to, and how.
        say: told of guesses, of columns that are called otherwise, and of rows that could not be read.

    Returns:
        How many rows were written, and how many of them have no answer, and why.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: the file is a folder, or cannot hold such rows.
        MachineError: the file cannot be written, or the disk is full.
    """
    return write_together(({column: chunk} for chunk in found), form, say)


def write_together(found: Iterator[Mapping[str, Answers]], form: Form, say: Say) -> Written:
    """Write each row, and beside it what each of several models answers.

    Args:
        found: chunks of answers of each model, by what its column is called; what stands beside the answer of one of
            several is called like it too: ``topic``, ``topic confidence``.
        form: where to, and how.
        say: as for ``write_answers``.

    Returns:
        How many rows were written, how many have no answer by any model, and why.

    Raises:
        DataError, OptionError, MachineError: as ``write_answers``.
    """
    written = Written()
    with ExitStack() as stack:
        page = opened(stack, form, say)
        for chunks in found:
            source = next(iter(chunks.values())).source
            for note in source.notes:
                say(note)
            page.begin(source, [name for column, chunk in chunks.items()
                                for name in _names(column, chunk, form.probabilities, len(chunks) > 1)])  # fmt: skip
            for i in range(len(source.names)):
                cells = [_cells(chunk, i, form.probabilities, page.rows.typed) for chunk in chunks.values()]
                page.write(source, i, [cell for own in cells for cell in own])
                for why in dict.fromkeys(chunk.failed[i] for chunk in chunks.values() if i in chunk.failed):
                    say(f"not answered: {source.told(i)}: {why}")
            written = written.with_chunks(list(chunks.values()))
    return written


def _names(column: str, chunk: Answers, probabilities: bool, several: bool) -> list[str]:
    """How the columns of what a model answers are called."""
    asked = ["refused"] * (chunk.refused is not None) + ["set"] * (chunk.sets is not None)
    beside = [*chunk.beside, *asked, *(chunk.probabilities if probabilities else ())]
    return [column, *(f"{column} {name}" if several else name for name in beside)]


def _cells(chunk: Answers, i: int, probabilities: bool, typed: bool) -> list[Any]:
    """What is answered to a row: as text, or with its numbers as numbers; names stay texts, whatever they look like."""
    failed, refused = i in chunk.failed, chunk.refused is not None and bool(chunk.refused[i])
    silent, value = failed or refused, _value if typed else str
    answer: Any = None if silent and typed else "" if silent else chunk.words[i]
    if chunk.values is not None and not silent:
        answer = chunk.values[i]
    beside = [value("" if silent else cells[i]) for cells in chunk.beside.values()]
    asked = [] if chunk.refused is None else ["yes" if refused else ""]
    if chunk.sets is not None:
        asked.append("" if silent else chunk.sets[i])
    shares = chunk.probabilities.values() if probabilities else ()
    extra = [value("" if failed else f"{p[i]:.4f}") for p in shares]
    plain = chunk.probabilities or chunk.values is not None
    return [answer if plain else value(answer or ""), *beside, *asked, *extra]


def _value(cell: str) -> str | int | float | None:
    """A cell as a number where it is one, and nothing where it is empty."""
    if cell.isascii() and cell.isdecimal():
        return int(cell)
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


def write_texts(
    run: str | Path,
    source: Source,
    form: Form,
    input: str | None,  # noqa: A002
    tick: Callable[[int], None],
    say: Say,
) -> Written:
    """Let a language model answer every prompt of a source, and write each row with its answer.

    Args:
        run: the run or model folder of who answers.
        source: a table with a column of prompts or of chat messages (an answer that ends them is left out), a text file
            with one prompt per line, or one prompt.
        form: where to, and how.
        input: the column that holds the prompts; by default ``prompt``, ``instruction`` (with ``input`` below it) or
            ``messages``, where there is one.
        tick: called with the number of rows just answered.
        say: told what the user should know.

    Returns:
        How many rows were written, and how many of them have no answer.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source.
        MachineError: the file cannot be written, or the disk is full.
    """
    from handful.export.language_model import LanguageModel  # classifiers do without language models

    if input:
        check_column(source, input)
    model = LanguageModel.load(run)
    written = missed = 0
    with ExitStack() as stack:
        page = opened(stack, form, say)
        for chunk in stream(source, modality="language", input=input, chunk=PROMPTS):
            for note in chunk.notes:
                say(note)
            page.begin(chunk, ["answer"])
            readable = chunk.readable
            said = model.predict([chunk.items[i] for i in readable], tell=_increments(tick))
            texts = dict(zip(readable, said, strict=True))
            for i in range(len(chunk.names)):
                page.write(chunk, i, [texts.get(i, "")])
                if i not in texts:
                    say(f"not answered: {chunk.told(i)}: {chunk.failed[chunk.rows[i]]}")
            written += len(chunk.names)
            missed += len(chunk.names) - len(texts)
            tick(len(chunk.names) - len(texts))
    if written == missed:
        raise nothing_answered(source)
    return Written(written, missed)


def _increments(tick: Callable[[int], None]) -> Callable[[int, int], None]:
    """What turns how many rows are answered into how many more there are each time."""
    seen = 0

    def tell(done: int, total: int) -> None:
        nonlocal seen
        tick(done - seen)
        seen = done

    return tell
