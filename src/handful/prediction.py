"""Answers to whole sources, streamed: memory does not grow with the number of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.cells import shown
from handful.data.input_column import named_columns
from handful.data.label_types import as_written
from handful.data.names import all_names
from handful.data.sources import exists
from handful.data.streams import Chunk, Source, stream
from handful.data.tables import TABLE_SUFFIXES, Table, open_table
from handful.data.typed_items import Typed
from handful.errors import DataError, OptionError, suggestion
from handful.evaluation.conformal import threshold
from handful.evaluation.novelty import mostly_strange
from handful.export.bundle import Bundle
from handful.export.heads import Heads
from handful.export.loading import columns_read
from handful.export.reference import Judged
from handful.features.cache import FeatureCache, MemoryCache
from handful.regimes.together import correction, refusal

CHUNK = 1024
CHUNK_OF_PARTS = 64
"""Rows of a chunk whose parts are answered: each then takes as much room as the longest of them."""

# Items of a source by which a model is put right for the whole of it.
MOST_TOGETHER = 10_000


@dataclass(frozen=True)
class Answers:
    """What the model says about one chunk of a source."""

    source: Chunk
    """The B rows as they were read."""
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
    rarity: NDArray[np.float64] | None = None
    """(B,) the share of rows like the training rows that look as strange, 1 of rows that failed; None where the model
    keeps nothing of its training rows."""
    values: list[Any] | None = None
    """B answers as lists and objects, where they are more than a text; None where they are not."""
    strange_below: float = 1.0
    """Rows that are as rare as this, or rarer, are called strange; 1: none can be."""

    @property
    def names(self) -> tuple[str, ...]:
        """The text or file name of each row."""
        return self.source.names


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

    def with_chunks(self, chunks: Sequence[Answers]) -> Written:
        """The same with one chunk more, answered by one model or more.

        A row is missed that none could read, refused where any refuses it, and strange where it is strange to all.
        """
        missed = set.intersection(*(set(chunk.failed) for chunk in chunks))
        refused = [chunk.refused for chunk in chunks if chunk.refused is not None]
        strange = [chunk.rarity <= chunk.strange_below for chunk in chunks if chunk.rarity is not None]
        return Written(
            self.rows + len(chunks[0].names),
            self.missed + len(missed),
            self.refused + (int(np.any(refused, axis=0).sum()) if refused else 0),
            self.strange + (int(np.all(strange, axis=0).sum()) if strange else 0),
            chunks[0].strange_below,
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
class Judgement:
    """What a model says about B items, and no more than answers are made of."""

    outputs: NDArray[np.float64]
    """(B, K); rows that failed are not used."""
    rarity: NDArray[np.float64]
    """(B,) as ``with_rarity`` has it."""
    failed: Mapping[int, str]
    """Position → why it cannot be read."""


Judging = Callable[[Iterator[Chunk]], Iterator[tuple[Chunk, Judgement]]]
"""Has chunks answered: each with what is said about those of its items that are readable, in their order."""


@dataclass(frozen=True)
class Doubts:
    """What is said about an answer beside its confidence."""

    reject: float | None = None
    """Refuse what is stranger than all but this share of the training rows."""
    level: float | None = None
    """Give all that an answer may be, so that the right one is among it this often."""

    def limit(self, model: Bundle) -> float | None:
        """The misfit up to which a model counts something to what an answer may be; None where that is not asked.

        Raises:
            OptionError: the training rows are too few for what is asked.
            BundleError: the model keeps nothing of its training rows.
        """
        if self.reject is not None:
            model.known_rows().novelty.check_share(self.reject)
        return None if self.level is None else threshold(model.known_rows().misfit, self.level)


def answers(
    model: Bundle,
    source: Source,
    input: str | None = None,  # noqa: A002
    tick: Callable[[int], None] = lambda done: None,
    doubts: Doubts = Doubts(),  # noqa: B008 - frozen
    judging: Judging | None = None,
) -> Iterator[Answers]:
    """Answer every row of a source, a chunk at a time, in the order of the source.

    Args:
        model: the fitted model.
        source: a folder, table, JSON lines, text file or single picture or sound; a table that is open already; or a
            text that was typed.
        input: the column that holds the items; the one used in training by default.
        tick: called with the number of rows just answered.
        doubts: what is said beside the confidence.
        judging: where chunks are answered; None: here, one after the other.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source, or the training rows are too few for ``doubts``.
        BundleError: ``doubts`` ask for what the model does not keep.
    """
    if input:
        check_column(source, input)
    limit = doubts.limit(model)
    some = False
    size = CHUNK_OF_PARTS if model.task.grain else CHUNK
    column, numbers = input or model.input, columns_read(model) or ()
    chunks = stream(source, modality=model.modality, input=column, chunk=size, numbers=numbers)
    for chunk, judged in (judging or _here(model))(chunks):
        found = _answers(model, chunk, judged, doubts.reject, limit)
        some = some or len(found.failed) < len(chunk.rows)
        yield found
        tick(len(chunk.rows))
    if not some:
        raise nothing_answered(source)


def answers_of_heads(
    heads: Heads,
    source: Source,
    input: str | None = None,  # noqa: A002
    tick: Callable[[int], None] = lambda done: None,
    doubts: Doubts = Doubts(),  # noqa: B008 - frozen
) -> Iterator[dict[str, Answers]]:
    """Answer every row of a source with several models, which read it once and share what a backbone sees.

    Args:
        heads: the models.
        source: what ``answers`` takes.
        input: the column that holds the items; the one used in training by default.
        tick: called with the number of rows just answered.
        doubts: what is said beside the confidence, by each model for itself.

    Yields:
        Head → its answers to a chunk.

    Raises:
        DataError, OptionError, BundleError: as ``answers``.
    """
    if input:
        check_column(source, input)
    limits = {name: doubts.limit(model) for name, model in heads.models.items()}
    some = False
    column, numbers = input or heads.input, columns_read(next(iter(heads.models.values()))) or ()
    for chunk in stream(source, modality=heads.modality, input=column, chunk=CHUNK, numbers=numbers):
        items, seen = [chunk.items[i] for i in chunk.readable], MemoryCache()
        found = {
            name: _answers(model, chunk, judgement(model, items, seen), doubts.reject, limits[name])
            for name, model in heads.models.items()
        }
        some = some or any(len(one.failed) < len(chunk.rows) for one in found.values())
        yield found
        tick(len(chunk.rows))
    if not some:
        raise nothing_answered(source)


def _answers(model: Bundle, chunk: Chunk, judged: Judgement, reject: float | None, limit: float | None) -> Answers:
    """What a model says about a chunk, in the words of its task."""
    readable = chunk.readable
    failed = {i: chunk.failed[row] for i, row in enumerate(chunk.rows) if row in chunk.failed}
    outputs, rarity = np.ones((len(chunk.rows), judged.outputs.shape[1])), np.ones(len(chunk.rows))
    outputs[readable], rarity[readable] = judged.outputs, judged.rarity
    failed.update({readable[i]: why for i, why in judged.failed.items()})
    rarity[list(failed)] = 1.0
    task = model.task
    names = tuple(as_written(name, model.label_type) for name in model.labels)
    return Answers(
        chunk, outputs, task.words(outputs, names), task.confidence(outputs), failed,
        None if reject is None else rarity <= reject,
        None if limit is None else task.within(outputs, limit, names),
        task.beside(outputs, model.limit), task.probabilities(outputs, names),
        None if model.reference is None else rarity,
        task.values(outputs, names) if task.structured else None,
        1.0 if model.reference is None else model.reference.novelty.level,
    )  # fmt: skip


def _here(model: Bundle) -> Judging:
    """Chunks are answered in this process."""

    def judged(chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Judgement]]:
        for chunk in chunks:
            yield chunk, judgement(model, [chunk.items[i] for i in chunk.readable])

    return judged


def judgement(model: Bundle, items: Sequence[Any], cache: FeatureCache | None = None) -> Judgement:
    """What a model says about B items, which may be none; what its backbones see is looked up in a cache, and kept."""
    if not items:
        return Judgement(unread(model, 0), np.ones(0), {})
    judged, rarity = with_rarity(model, items, cache)
    return Judgement(judged.outputs, rarity, judged.failed)


def unread(model: Bundle, count: int) -> NDArray[np.float64]:
    """Answers to so many items that could not be read; what they say is not used."""
    nothing = model.task.gathered_items(np.ones((0, len(model.intercept))), ())
    return np.ones((count, nothing.shape[1]))


def with_rarity(
    model: Bundle, items: Sequence[Any], cache: FeatureCache | None = None
) -> tuple[Judged, NDArray[np.float64]]:
    """What a model says about B items, and (B,) how rare such items are among rows like the training rows.

    A model that keeps nothing of its training rows calls nothing rare, and shows no features; nor is a row rare that
    could not be read where none could.
    """
    if model.reference is None:
        outputs, failed = model.answer(items, cache)
        return Judged(outputs, np.zeros((len(items), 0), np.float32), failed), np.ones(len(items))
    judged = model.judge(items, cache)
    if len(judged.failed) == len(items):
        return judged, np.ones(len(items))
    return judged, model.reference.novelty.rarity_of(judged.features, model.task.confidence(judged.outputs))


def put_together(
    model: Bundle,
    source: Source,
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


def name_of(source: Source) -> str:
    """What a source is called in messages."""
    if isinstance(source, Typed):
        return "the text"
    return shown(source.source if isinstance(source, Table) else str(source))


def nothing_answered(source: Source) -> DataError:
    """The error for a source none of whose rows has an answer."""
    return DataError(f"{name_of(source)} has no row that can be answered. See the reasons above.")


def check_column(source: Source, name: str) -> None:
    """Refuse a column that was named and is not there; nothing is guessed in its place.

    Raises:
        OptionError: the source is no table, or has no such column.
    """
    columns: tuple[str, ...] = ()
    if isinstance(source, Table):
        columns = source.columns
    elif not isinstance(source, Typed):
        if not exists(Path(source)):
            return
        if not Path(source).is_dir() and Path(source).suffix.lower() in TABLE_SUFFIXES:
            columns = open_table(Path(source)).columns
    if not columns:
        raise OptionError(f"--input names a column of a table, but {name_of(source)} is none. Leave it out.")
    for part in named_columns(name, columns):
        if part in columns:
            continue
        near = suggestion(part, columns) or " Name one of these."
        raise OptionError(
            f'column "{part}", given as the input, is not in {name_of(source)} ({all_names(columns)}).{near}'
        )
