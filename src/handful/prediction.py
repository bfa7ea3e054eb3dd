"""Prediction of whole sources, streamed: memory does not grow with the number of rows."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.atomic import replaced_file
from handful.data.cells import defuse, shown
from handful.data.input_column import named_columns
from handful.data.names import all_names
from handful.data.readers import exists
from handful.data.streams import stream
from handful.data.tables import TABLE_SUFFIXES, open_table
from handful.errors import DataError, OptionError, suggestion
from handful.evaluation.conformal import threshold
from handful.evaluation.novelty import mostly_strange
from handful.export.bundle import Bundle
from handful.regimes.together import correction, refusal

CHUNK = 1024

# Items of a source by which a model is put right for the whole of it.
MOST_TOGETHER = 10_000

# Prompts that are read ahead: answers take long, and one wants to see them come.
PROMPTS = 16


@dataclass(frozen=True)
class Answers:
    """What the model says about one chunk of a source."""

    names: tuple[str, ...]
    """The text or file name of each row."""
    outputs: NDArray[np.float64]
    """(B, K); rows that failed are not used."""
    words: list[str]
    """B answers as labels are written; those of rows that failed are not used."""
    confidence: NDArray[np.float64]
    """(B,) how sure each answer is of itself, from 0 to 1."""
    failed: Mapping[int, str]
    """Position in the chunk → why it could not be answered."""
    refused: NDArray[np.bool_] | None = None
    """(B,) whether an input is too unlike the training rows to be answered; None where that was not asked."""
    sets: list[str] | None = None
    """B texts of all that an answer may be; None where that was not asked."""
    beside: Mapping[str, list[str]] = field(default_factory=dict)
    """What stands beside each answer: column → B cells."""
    probabilities: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Name → (B,) how probable it is; empty where answers have no names."""
    notes: tuple[str, ...] = field(default=())
    """What was guessed about the source."""
    rarity: NDArray[np.float64] | None = None
    """(B,) the share of rows like the training rows that look as strange, 1 of rows that failed; None where the model
    keeps nothing of its training rows."""
    strange_below: float = 1.0
    """Rows that are as rare as this, or rarer, are called strange; 1: none can be."""


@dataclass(frozen=True)
class Written:
    """What became of the rows of a source."""

    rows: int = 0
    """How many were written."""
    missed: int = 0
    """How many of them could not be read, and have no answer."""
    refused: int = 0
    """How many of them are too unlike the training rows, and have no answer."""
    strange: int = 0
    """How many of them are rarer than ``level``, whether that was asked or not."""
    level: float = 1.0
    """The share of rows like the training rows that are called strange; 1 where nothing can be called so."""

    def with_chunk(self, chunk: Answers) -> Written:
        """The same with one chunk more."""
        return Written(
            self.rows + len(chunk.names),
            self.missed + len(chunk.failed),
            self.refused + (0 if chunk.refused is None else int(chunk.refused.sum())),
            self.strange + (0 if chunk.rarity is None else int((chunk.rarity <= chunk.strange_below).sum())),
            chunk.strange_below,
        )

    @property
    def sentence(self) -> str:
        """How many rows have an answer, and how many were refused."""
        refused = f", {self.refused} refused as too unlike the training rows" if self.refused else ""
        return f"{self.rows - self.missed - self.refused} of {self.rows} rows answered{refused}"

    @property
    def warning(self) -> str:
        """That most rows are unlike the training rows; empty where few are, or where so few may be so by chance."""
        read = self.rows - self.missed
        if not mostly_strange(self.strange, read, self.level):
            return ""
        said = (
            f"{self.strange} of {read} rows look stranger than {1 - self.level:.0%} of the training rows: the model "
            "has learned from nothing like them, and what it answers to them is a guess"
        )
        return f"{said}." if self.refused else f"{said}; --reject {math.ceil(100 * self.level)}% refuses such rows."


@dataclass(frozen=True)
class Doubts:
    """What is said about an answer beside its confidence."""

    reject: float | None = None
    """Refuse what is stranger than all but this share of the training rows."""
    level: float | None = None
    """Give all that an answer may be, so that the right one is among it this often."""


def answers(
    model: Bundle,
    source: str | Path,
    input: str | None = None,  # noqa: A002
    tick: Callable[[int], None] = lambda done: None,
    doubts: Doubts = Doubts(),  # noqa: B008 - frozen
) -> Iterator[Answers]:
    """Answer every row of a source, a chunk at a time, in the order of the source.

    Args:
        model: the fitted model.
        source: a folder, table, JSON lines, text file or single picture or sound.
        input: the column that holds the items; the one used in training by default.
        tick: called with the number of rows just answered.
        doubts: what is said beside the confidence.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source, or the training rows are too few for ``doubts``.
        BundleError: ``doubts`` ask for what the model does not keep.
    """
    if input:
        _check_column(Path(source), input)
    limit = None if doubts.level is None else threshold(model.known_rows().misfit, doubts.level)
    if doubts.reject is not None:
        model.known_rows().novelty.check_share(doubts.reject)
    some = False
    for chunk in stream(source, modality=model.modality, input=input or model.input, chunk=CHUNK):
        readable = chunk.readable
        failed = {i: chunk.failed[row] for i, row in enumerate(chunk.rows) if row in chunk.failed}
        outputs, rarity = np.ones((len(chunk.rows), len(model.intercept))), np.ones(len(chunk.rows))
        if readable:
            outputs[readable], rarity[readable], worse = _with_rarity(model, [chunk.items[i] for i in readable])
            failed.update({readable[i]: why for i, why in worse.items()})
        rarity[list(failed)] = 1.0
        some = some or len(failed) < len(chunk.rows)
        task, names = model.task, model.labels
        yield Answers(
            chunk.names, outputs, task.words(outputs, names), task.confidence(outputs), failed,
            None if doubts.reject is None else rarity <= doubts.reject,
            None if limit is None else task.within(outputs, limit, names),
            task.beside(outputs, model.limit), task.probabilities(outputs, names), chunk.notes,
            None if model.reference is None else rarity,
            1.0 if model.reference is None else model.reference.novelty.level,
        )  # fmt: skip
        tick(len(chunk.rows))
    if not some:
        raise DataError(f"{source} has no row that can be answered. See the reasons above.")


def _with_rarity(model: Bundle, items: list[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], Mapping[int, str]]:
    """(B, K) answers, (B,) how rare such items are among rows like the training rows, and why some cannot be read.

    A model that keeps nothing of its training rows calls nothing rare.
    """
    if model.reference is None:
        outputs, failed = model.answer(items)
        return outputs, np.ones(len(items)), failed
    judged, novelty = model.judge(items), model.reference.novelty
    if len(judged.failed) == len(items):
        return judged.outputs, np.ones(len(items)), judged.failed
    scores = novelty.scores(judged.features, model.task.confidence(judged.outputs))
    return judged.outputs, novelty.rarity(scores), judged.failed


def put_together(
    model: Bundle,
    source: str | Path,
    input: str | None = None,
    tick: Callable[[int], None] = lambda done: None,  # noqa: A002
) -> tuple[Bundle, int]:
    """A model that takes into account how frequent the classes are among the items of a source.

    The source is answered once to learn that, so that answering it together takes twice as long; of each item its
    C probabilities stay in memory, and of longer sources the first ``MOST_TOGETHER`` items count.

    Args:
        model: the fitted model.
        source: what ``answers`` takes.
        input: the column that holds the items; the one used in training by default.
        tick: called with the number of rows just answered.

    Returns:
        The model for these items, and how many of them it was put right by.

    Raises:
        OptionError: the task has no classes.
        BundleError: the model keeps nothing of its training rows.
    """
    if why := refusal(model.task):
        raise OptionError(f"--together is for classes that shut each other out: {why}. Leave it out.")
    targets, parts, count = model.known_rows().targets, [], 0
    for chunk in answers(model, source, input, tick):
        good = [i for i in range(len(chunk.names)) if i not in chunk.failed]
        parts.append(chunk.outputs[good])
        count += len(good)
        if count >= MOST_TOGETHER:
            break
    shift = correction(targets, np.concatenate(parts))
    return replace(model, intercept=model.intercept + shift), count


def _check_column(path: Path, name: str) -> None:
    """Refuse a column that was named and is not there; nothing is guessed in its place."""
    if not exists(path):
        return
    if path.is_dir() or path.suffix.lower() not in TABLE_SUFFIXES:
        raise OptionError(f"--input names a column of a table, but {shown(str(path))} is none. Leave it out.")
    columns = open_table(path).columns
    for part in named_columns(name, columns):
        if part in columns:
            continue
        near = suggestion(part, columns) or " Name one of these."
        raise OptionError(
            f'column "{part}", given as the input, is not in {shown(str(path))} ({all_names(columns)}).{near}'
        )


def write_texts(
    run: str | Path,
    source: str | Path,
    file: Path | None,
    input: str | None,  # noqa: A002
    tick: Callable[[int], None],
    say: Callable[[str], None],
) -> tuple[int, int]:
    """Let a language model answer every prompt of a source; ``input, answer`` per row.

    Args:
        run: the run or model folder of who answers.
        source: a table with a column of prompts or of chat messages (an answer that ends them is left out), or a text
            file with one prompt per line.
        file: where to; None for standard output.
        input: the column that holds the prompts; by default ``prompt``, ``instruction`` (with ``input`` below it) or
            ``messages``, where there is one.
        tick: called with the number of rows just answered.
        say: called with what the user should know.

    Returns:
        How many rows were written, and how many of them have no answer.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source.
        MachineError: ``file`` cannot be written, or the disk is full.
    """
    from handful.export.language_model import LanguageModel  # classifiers do without language models

    if input:
        _check_column(Path(source), input)
    model = LanguageModel.load(run)
    written = missed = 0
    with ExitStack() as stack:
        target = stack.enter_context(replaced_file(file)) if file else None
        out = stack.enter_context(target.open("w", newline="", encoding="utf-8")) if target else sys.stdout
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["input", "answer"])
        for chunk in stream(source, modality="language", input=input, chunk=PROMPTS):
            for note in chunk.notes:
                say(note)
            readable = chunk.readable
            texts = dict(zip(readable, model.predict([chunk.items[i] for i in readable]), strict=True))
            for i, name in enumerate(chunk.names):
                writer.writerow([defuse(name), defuse(texts.get(i, ""))])
                if i not in texts:
                    say(f"not answered: {name.strip() or f'row {written + i}'}: {chunk.failed[chunk.rows[i]]}")
            written += len(chunk.names)
            missed += len(chunk.names) - len(texts)
            tick(len(chunk.names))
    if written == missed:
        raise DataError(f"{source} has no row that can be answered. See the reasons above.")
    return written, missed


def write_answers(
    found: Iterator[Answers],
    column: str,
    file: Path | None,
    probabilities: bool,
    say: Callable[[str], None],
) -> Written:
    """Write the input, the answer and what stands beside it per row; rows that cannot be read have an empty answer.

    Where it was asked, ``refused`` says ``yes`` for rows that are too unlike the training rows, whose answer is empty
    too, and ``set`` holds all that an answer may be, joined by ``|``.

    Args:
        found: chunks of answers.
        column: how the answers are called.
        file: where to; None for standard output.
        probabilities: whether to add a column per class.
        say: called with what the user should know: guesses and rows that could not be read.

    Returns:
        How many rows were written, and how many of them have no answer, and why.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``file`` is a folder.
        MachineError: ``file`` cannot be written, or the disk is full.
    """
    written = Written()
    with ExitStack() as stack:
        target = stack.enter_context(replaced_file(file)) if file else None
        out = stack.enter_context(target.open("w", newline="", encoding="utf-8")) if target else sys.stdout
        writer = csv.writer(out, lineterminator="\n")
        for chunk in found:
            if not written.rows:
                asked = ["refused"] * (chunk.refused is not None) + ["set"] * (chunk.sets is not None)
                classes = list(map(defuse, chunk.probabilities)) if probabilities else []
                writer.writerow(["input", defuse(column), *chunk.beside, *asked, *classes])
            for note in chunk.notes:
                say(note)
            for i, name in enumerate(chunk.names):
                writer.writerow(_cells(chunk, i, name, probabilities))
                if i in chunk.failed:
                    say(f"not answered: {name.strip() or f'row {written.rows + i}'}: {chunk.failed[i]}")
            written = written.with_chunk(chunk)
    return written


def _cells(chunk: Answers, i: int, name: str, probabilities: bool) -> list[str]:
    failed, refused = i in chunk.failed, chunk.refused is not None and bool(chunk.refused[i])
    asked = [] if chunk.refused is None else ["yes" if refused else ""]
    if chunk.sets is not None:
        asked.append("" if failed or refused else defuse(chunk.sets[i]))
    shares = chunk.probabilities.values() if probabilities else ()
    extra = ["" if failed else f"{p[i]:.4f}" for p in shares]
    answer = [defuse(chunk.words[i]), *(cells[i] for cells in chunk.beside.values())]
    if failed or refused:
        answer = [""] * len(answer)
    return [defuse(name), *answer, *asked, *extra]


def share_of(text: str, option: str) -> float:
    """Read a share such as ``5%`` or ``0.05``.

    Raises:
        OptionError: it is none.
    """
    number, sign, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if sign else 1)
    except ValueError:
        share = -1.0
    if rest.strip() or not 0 < share < 1:
        raise OptionError(f"{option} must be a share between 0 and 1, such as 5% or 0.05, got {text!r}. Correct it.")
    return share
