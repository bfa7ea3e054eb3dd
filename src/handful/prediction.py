"""Prediction of whole sources, streamed: memory does not grow with the number of rows."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.atomic import replaced_file
from handful.data.cells import shown
from handful.data.classes import all_names
from handful.data.readers import exists
from handful.data.streams import stream
from handful.data.tables import TABLE_SUFFIXES, open_table
from handful.errors import DataError, OptionError, suggestion
from handful.export.bundle import Bundle
from handful.run import defuse

CHUNK = 1024


@dataclass(frozen=True)
class Answers:
    """What the model says about one chunk of a source."""

    names: tuple[str, ...]
    """The text or file name of each row."""
    proba: NDArray[np.float64]
    """(B, C); rows that failed are not used."""
    failed: Mapping[int, str]
    """Position in the chunk → why it could not be answered."""
    notes: tuple[str, ...] = field(default=())
    """What was guessed about the source."""


def answers(
    model: Bundle,
    source: str | Path,
    input: str | None = None,
    tick: Callable[[int], None] = lambda done: None,  # noqa: A002
) -> Iterator[Answers]:
    """Answer every row of a source, a chunk at a time, in the order of the source.

    Args:
        model: the fitted model.
        source: a folder, table, JSON lines, text file or single picture or sound.
        input: the column that holds the items; the one used in training by default.
        tick: called with the number of rows just answered.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source.
    """
    if input:
        _check_column(Path(source), input)
    some = False
    for chunk in stream(source, modality=model.modality, input=input or model.input, chunk=CHUNK):
        readable = chunk.readable
        failed = {i: chunk.failed[row] for i, row in enumerate(chunk.rows) if row in chunk.failed}
        proba = np.zeros((len(chunk.rows), len(model.labels)))
        if readable:
            proba[readable], worse = model.answer([chunk.items[i] for i in readable])
            failed.update({readable[i]: why for i, why in worse.items()})
        some = some or len(failed) < len(chunk.rows)
        yield Answers(chunk.names, proba, failed, chunk.notes)
        tick(len(chunk.rows))
    if not some:
        raise DataError(f"{source} has no row that can be answered. See the reasons above.")


def _check_column(path: Path, name: str) -> None:
    """Refuse a column that was named and is not there; nothing is guessed in its place."""
    if not exists(path):
        return
    if path.is_dir() or path.suffix.lower() not in TABLE_SUFFIXES:
        raise OptionError(f"--input names a column of a table, but {shown(str(path))} is none. Leave it out.")
    columns = open_table(path).columns
    if name not in columns:
        near = suggestion(name, columns) or " Name one of these."
        raise OptionError(
            f'column "{name}", given as the input, is not in {shown(str(path))} ({all_names(columns)}).{near}'
        )


def write_answers(
    found: Iterator[Answers],
    labels: tuple[str, ...],
    file: Path | None,
    probabilities: bool,
    say: Callable[[str], None],
) -> tuple[int, int]:
    """Write ``input, label, confidence`` per row; rows that cannot be read have an empty label.

    Args:
        found: chunks of answers.
        labels: the class names.
        file: where to; None for standard output.
        probabilities: whether to add a column per class.
        say: called with what the user should know: guesses and rows that could not be read.

    Returns:
        How many rows were written, and how many of them have no answer.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``file`` is a folder.
        MachineError: ``file`` cannot be written, or the disk is full.
    """
    written = missed = 0
    with ExitStack() as stack:
        target = stack.enter_context(replaced_file(file)) if file else None
        out = stack.enter_context(target.open("w", newline="", encoding="utf-8")) if target else sys.stdout
        writer = csv.writer(out, lineterminator="\n")
        for chunk in found:
            if not written:
                writer.writerow(["input", "label", "confidence", *(map(defuse, labels) if probabilities else ())])
            for note in chunk.notes:
                say(note)
            for i, name in enumerate(chunk.names):
                writer.writerow(_cells(chunk, i, name, labels, probabilities))
                if i in chunk.failed:
                    say(f"not answered: {name.strip() or f'row {written + i}'}: {chunk.failed[i]}")
            written += len(chunk.names)
            missed += len(chunk.failed)
    return written, missed


def _cells(chunk: Answers, i: int, name: str, labels: tuple[str, ...], probabilities: bool) -> list[str]:
    if i in chunk.failed:
        return [defuse(name), "", "", *([""] * len(labels) if probabilities else ())]
    row = chunk.proba[i]
    best = int(row.argmax())
    extra = [f"{p:.4f}" for p in row] if probabilities else []
    return [defuse(name), defuse(labels[best]), f"{row[best]:.4f}", *extra]
