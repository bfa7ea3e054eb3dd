"""Tables whose rows are texts with marked spans, or tokens with tags: recognised, checked, and made a Dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.cells import is_missing, label_text, shown
from handful.data.columns import Wanted, choose_parts
from handful.data.conll import CONLL_SUFFIXES, conll_table
from handful.data.dataset import Dataset
from handful.data.names import all_names, listed
from handful.data.places import places_of
from handful.data.row_values import check_share, groups_in, split_in
from handful.data.sentences import Sentence, bounds_of, text_of_tokens, words_of
from handful.data.spans import Repairs, Span, marked, span_of, spans_of_tags
from handful.data.tables import Columns, Table
from handful.data.targets import SPANS
from handful.errors import DataError, OptionError

# In lower case, the surest first.
_SPAN_NAMES = ("spans", "entities", "ents", "ner", "label", "labels", "annotations", "marks")
_TAG_NAMES = ("tags", "ner_tags", "ner", "labels", "label", "bio", "entities")
_TEXT_NAMES = ("text", "sentence", "content", "data", "raw")
_TOKEN_NAMES = ("tokens", "words")

_FEWEST = 3
# A unit other than characters is believed where so large a share of spans fits words in it.
_FITS = 0.8

_FORMATS = (
    'Write one object per line, {"text": "…", "spans": [{"start": 0, "end": 3, "label": "…"}]} or {"tokens": ["…"], '
    '"tags": ["B-…"]}, or a .conll file with a token and its tag per line.'
)


@dataclass(frozen=True)
class SpanFields:
    """The columns of marked texts."""

    item: str
    """The texts, or the tokens of each."""
    marks: str
    """The spans, or the tags."""
    tokens: bool
    """Whether they are tokens with tags."""


def span_fields(columns: Columns) -> SpanFields | None:
    """The columns of marked texts; None where a table holds none."""
    lower = {name.lower(): name for name in columns.cells}
    text = next((lower[name] for name in _TEXT_NAMES if name in lower and _are(columns.cells[lower[name]], str)), None)
    marks = next((lower[n] for n in _SPAN_NAMES if n in lower and _hold_spans(columns.cells[lower[n]])), None)
    if text and marks:
        return SpanFields(text, marks, tokens=False)
    tokens = next((lower[n] for n in _TOKEN_NAMES if n in lower and _hold_texts(columns.cells[lower[n]])), None)
    tags = next((lower[n] for n in _TAG_NAMES if n in lower and _hold_tags(columns.cells[lower[n]])), None)
    return SpanFields(tokens, tags, tokens=True) if tokens and tags else None


def span_dataset(columns: Columns, fields: SpanFields, wanted: Wanted, table: Table) -> Dataset:
    """Rows with marked texts as a Dataset.

    Raises:
        DataError: too many rows cannot be used, no span is marked anywhere, or there are too few rows.
        OptionError: a column that was named does not exist.
    """
    source = table.source
    group, split, guessed = choose_parts(columns, source, wanted)
    places = places_of(columns, table, (group, split, fields.item, fields.marks))
    rows = columns.rows
    texts, spans, wrong, repairs = _read(columns, fields)
    unit = "" if fields.tokens else _unit([texts[i] for i in sorted(spans)], [spans[i] for i in sorted(spans)])
    cells: dict[int, str] = {}
    for i, own in spans.items():
        text = texts[i]
        placed = [(_UNITS[unit](text, first), _UNITS[unit](text, end), label) for first, end, label in own]
        outside = next(((a, b) for a, b, _ in placed if not 0 <= a < b <= len(text)), None)
        if outside is not None:
            first, end = own[placed.index(next(one for one in placed if one[:2] == outside))][:2]
            wrong[i] = f"a span must lie within its text of {len(text)} characters, got {first} to {end}"
            continue
        cells[i] = marked(text, placed, repairs).cell
    unreadable = {**columns.broken, **{rows[i]: f"{places.called(rows[i])}: {why}" for i, why in wrong.items()}}
    check_share(unreadable, len(rows) + len(columns.broken), source)
    usable = sorted(cells)
    parts = tuple(split_in(columns.cells[split][i], rows[i]) for i in usable) if split else ()
    blank = len(rows) - len(usable) - len(wrong)
    dataset = Dataset(
        items=[texts[i] for i in usable],
        modality="text",
        labels=tuple(cells[i] for i in usable),
        groups=groups_in(columns, group, usable) if group else None,
        split=parts if "test" in parts else None,
        rows=tuple(rows[i] for i in usable),
        places=places,
        source=source,
        input=fields.item,
        task=SPANS,
        target=fields.marks,
        group=group or None,
        notes=(
            *table.notes,
            f'column "{fields.marks}" marks parts of the texts in column "{fields.item}": these are learned (tagging); '
            "use --task for something else",
            *guessed,
            *([f"spans are counted in {unit}, not in characters: they are put right"] if unit else []),
            *repairs.notes(),
            *([f'{blank:,} row{"s" * (blank > 1)} with nothing in column "{fields.marks}" left out'] * (blank > 0)),
        ),
        unreadable=unreadable,
    )
    return _checked(dataset)


def spans_in(columns: Columns, wanted: Wanted, table: Table) -> Dataset | None:
    """A table as a Dataset of marked texts, where it holds these and nothing else is wanted of it.

    Raises:
        DataError: marked texts are wanted, and it holds none; or as ``span_dataset``.
        OptionError: as ``span_dataset``.
    """
    asked = wanted.task == SPANS
    if not asked and (wanted.task or wanted.label or wanted.modality not in (None, "text")):
        return None
    fields = span_fields(columns)
    if fields is not None:
        return span_dataset(columns, fields, wanted, table)
    if asked:
        raise no_spans(columns, table.source)
    return None


def is_conll(path: Path) -> bool:
    """Whether a file holds a token and its tag per line."""
    return path.suffix.lower() in CONLL_SUFFIXES


def conll_dataset(path: Path, wanted: Wanted) -> Dataset:
    """A file of tokens with tags as a Dataset of marked texts.

    Raises:
        OptionError: something else is wanted of it.
        DataError: as ``span_dataset``, or it holds no tokens with tags.
    """
    if wanted.task not in (None, SPANS) or wanted.label or wanted.input or wanted.group or wanted.split:
        raise OptionError(
            f"{path} holds tokens and their tags, of which nothing but spans can be learned. Leave out --label, "
            "--input, --group, --split and --task."
        )
    table, columns = conll_table(path)
    return span_dataset(columns, SpanFields("tokens", "tags", tokens=True), wanted, table)


def cells_of(texts: Sequence[str], marks: Sequence[Any], where: str, called: Callable[[int], str]) -> list[str]:
    """What is marked in texts that a model is compared with, as a Dataset holds it; empty where nothing says so.

    Args:
        texts: N texts.
        marks: N lists of spans, or of tags where a text came as tokens.
        where: what they are called, for the message.
        called: position → how a person finds the row.

    Raises:
        DataError: one is neither.
    """
    tokens = bool(texts) and isinstance(texts[0], Sentence)
    items = [words_of(text) if tokens else text for text in texts]
    columns = Columns({"text": items, where: list(marks)}, tuple(range(len(texts))), {})
    read, spans, wrong, repairs = _read(columns, SpanFields("text", where, tokens))
    for i, own in spans.items():
        if any(not 0 <= first < end <= len(read[i]) for first, end, _ in own):
            wrong[i] = f"a span must lie within its text of {len(read[i])} characters"
    if wrong:
        at = min(wrong)
        raise DataError(f"{called(at)} cannot be used: {wrong[at]}. Correct {where}.")
    return [marked(read[i], spans[i], repairs).cell if i in spans else "" for i in range(len(texts))]


def no_spans(columns: Columns, source: str) -> DataError:
    """The error for a table that was to be read as marked texts and is none."""
    return DataError(f"{source} must hold texts with marked spans, got columns {all_names(columns.cells)}. {_FORMATS}")


def _read(
    columns: Columns, fields: SpanFields
) -> tuple[dict[int, str], dict[int, list[Span]], dict[int, str], Repairs]:
    """Texts and spans of the rows that have both, and why others cannot be used."""
    texts, spans, wrong, repairs = dict[int, str](), dict[int, list[Span]](), dict[int, str](), Repairs()
    for i, (item, marks) in enumerate(zip(columns.cells[fields.item], columns.cells[fields.marks], strict=True)):
        if marks is None or is_missing(item):
            continue
        if fields.tokens:
            if not (isinstance(item, list) and isinstance(marks, list) and len(item) == len(marks)):
                wrong[i] = f"it must have a tag per token, got {_size(item)} tokens and {_size(marks)} tags"
                continue
            text = text_of_tokens([label_text(token) for token in item])
            texts[i] = text
            spans[i] = spans_of_tags([label_text(tag) for tag in marks], bounds_of(text), repairs)
            continue
        if not isinstance(item, str):
            wrong[i] = f"{fields.item} must be a text, got {type(item).__name__}"
            continue
        found = [span_of(mark) for mark in (marks if isinstance(marks, list) else [None])]
        if any(not _sound(mark) for mark in found):
            wrong[i] = f"{fields.marks} must be a list of start, end and label, got {shown(label_text(marks))}"
            continue
        texts[i] = item
        spans[i] = [(int(first), int(end), label_text(label)) for first, end, label in filter(None, found)]
    return texts, spans, wrong, repairs


def _sound(mark: tuple[Any, Any, Any] | None) -> bool:
    return (
        mark is not None
        and all(isinstance(n, int | float) and not isinstance(n, bool) and float(n).is_integer() for n in mark[:2])
        and mark[2] is not None
        and bool(label_text(mark[2]))
    )


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _by_characters(text: str, at: int) -> int:
    return at


def _by_bytes(text: str, at: int) -> int:
    return len(text.encode("utf-8", "replace")[: max(0, at)].decode("utf-8", "ignore")) if at <= _bytes(text) else at


def _by_units(text: str, at: int) -> int:
    raw = text.encode("utf-16-le", "surrogatepass")
    return len(raw[: 2 * max(0, at)].decode("utf-16-le", "ignore")) if 2 * at <= len(raw) else at


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


_UNITS: dict[str, Callable[[str, int], int]] = {
    "": _by_characters,
    "bytes": _by_bytes,
    "UTF-16 units": _by_units,
}
"""What spans may be counted in → what turns a place into characters; nothing: characters."""


def _unit(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> str:
    """What spans are counted in, by how many of them fit words where the units differ."""
    fits: Counter[str] = Counter()
    total = 0
    for text, own in zip(texts, spans, strict=True):
        if text.isascii():
            continue
        starts, ends = (set(column) for column in bounds_of(text).T.tolist()) if text.strip() else (set(), set())
        for first, end, _ in own:
            if len({(at(text, first), at(text, end)) for at in _UNITS.values()}) == 1:
                continue
            total += 1
            for unit, at in _UNITS.items():
                fits[unit] += at(text, first) in starts and at(text, end) in ends
    best = max(_UNITS, key=lambda unit: fits[unit])  # of equals the first: characters
    return best if fits[best] > fits[""] and fits[best] >= _FITS * total else ""


def _are(cells: Sequence[Any], kind: type) -> bool:
    filled = [cell for cell in cells if not is_missing(cell)]
    return bool(filled) and sum(isinstance(cell, kind) for cell in filled) > 0.5 * len(filled)


def _hold_spans(cells: Sequence[Any]) -> bool:
    """Whether cells are lists of spans, of which one at least is not empty."""
    lists = [cell for cell in cells if isinstance(cell, list)]
    some = [cell for cell in lists if cell]
    right = [cell for cell in some if all(_sound(span_of(mark)) for mark in cell)]
    return _are(cells, list) and bool(right) and len(right) > 0.5 * len(some)


def _hold_texts(cells: Sequence[Any]) -> bool:
    return _are(cells, list) and all(
        not isinstance(part, dict | list) for c in cells if isinstance(c, list) for part in c
    )


def _hold_tags(cells: Sequence[Any]) -> bool:
    """Whether cells are lists of texts, one of which at least says that something is marked."""
    parts = [part for cell in cells if isinstance(cell, list) for part in cell]
    return _are(cells, list) and all(isinstance(part, str) for part in parts) and any(part == "O" for part in parts)


def _checked(dataset: Dataset) -> Dataset:
    """Refuse texts that nothing can be learned from, and say what is odd about them."""
    train = dataset if dataset.split is None else dataset.part("train")
    counts = train.counts
    if len(train) < _FEWEST or not counts:
        what = f"{len(train)} texts" if counts else "no span in any of them"
        raise DataError(
            f"{dataset.source} must have {_FEWEST} texts at least and spans in some of them, got {what}. Mark more."
        )
    rare = sorted(name for name, count in counts.items() if count == 1)
    note = f"one text only has {listed(rare)}: whether that is found cannot be measured"
    words = int(np.sum([len(bounds_of(text)) for text in train.items]))
    size = f"{words:,} words in {len(train)} texts"
    given = " as tokens" if any(isinstance(text, Sentence) for text in train.items) else ""
    return replace(dataset, notes=(*dataset.notes, size + given, *([note] if rare else [])))
