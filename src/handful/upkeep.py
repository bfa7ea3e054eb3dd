"""Upkeep: a saved run compared with new rows, labelled or not, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.cells import label_text, shown
from handful.data.classes import all_names
from handful.data.delimited import Broken
from handful.data.items import make_items
from handful.data.label_column import LABEL_NAMES
from handful.data.readers import exists
from handful.data.streams import stream
from handful.data.tables import TABLE_SUFFIXES, open_table
from handful.errors import DataError, OptionError, suggestion
from handful.evaluation.checkup import USUAL, Checkup
from handful.evaluation.drift import compare, spread_out
from handful.evaluation.scores import Scores
from handful.export.bundle import Bundle, Judged
from handful.export.reference import Reference
from handful.run import Run
from handful.seeding import generator
from handful.tasks.classification.task import score_answers

MOST = 2000
"""Of a longer source at least this many rows are looked at, and at most twice as many, evenly spread over it."""
CHUNK = 1024
# Features that differ by less than this are the same picture, sound or text.
_SAME = 1e-5


@dataclass(frozen=True)
class _Row:
    """One row that could be read."""

    place: int
    """Zero-based position in the source."""
    item: Any
    """What the model reads."""
    label: str | None
    """Its class; empty where the row has none, None where the source has none."""


@dataclass(frozen=True)
class _New:
    """What is to be checked."""

    rows: list[_Row]
    """What could be read; of a long source some of it, evenly spread."""
    failed: int
    """How many rows could not be read."""
    total: int
    """How many rows the source has."""
    labelled: bool
    """Whether the source says which class a row belongs to."""
    name: str
    """The source, for messages."""


def check(
    run: Run | str | Path,
    source: Any,
    *,
    labels: Sequence[Any] | None = None,
    label: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the option
    seed: int = 0,
    tell: Callable[[str], None] = lambda note: None,
) -> Checkup:
    """Compare new rows with the rows a run was made from, and labelled ones with the score that it promised.

    A table is labelled where ``label`` names a column or a column is called like one; a folder, where one of its
    sub-folders is called like a class.

    Args:
        run: a Run, or the folder of one; of a model folder alone no promise is known.
        source: anything that ``predict`` reads, or a list of items.
        labels: the labels of a list.
        label: the column that holds the labels; an empty text means that there are none.
        input: the column that holds the items; the one used in training by default.
        seed: fixes how rows are dealt anew.
        tell: called with what was guessed about the source, and how much of it was looked at.

    Returns:
        The checkup; its ``verdict`` is ``as promised``, ``unsure``, ``drifted`` or ``retrain``.

    Raises:
        DataError: the source cannot be read, is of another modality, or all its rows are the same.
        BundleError: the run is damaged, or keeps nothing of its training rows.
    """
    model, scores = (run.model, run.scores) if isinstance(run, Run) else _opened(Path(run))
    reference = model.known_rows()
    new = _listed(source, labels, model) if _is_list(source) else _read(Path(source), label, input, model, tell)
    rows = [row for row in new.rows if row.label != ""]
    if len(rows) < len(new.rows):
        tell(f"{len(new.rows) - len(rows)} rows without a label are left out")
    if len(new.rows) + new.failed < new.total:
        tell(f"{len(new.rows)} of {new.total} rows are looked at, evenly spread")
    judged = model.judge([row.item for row in rows]) if rows else None
    good = [] if judged is None else [i for i in range(len(rows)) if i not in judged.failed]
    if judged is None or not good:
        raise DataError(f"{new.name} has no row that can be read{' and has a label' * new.labelled}. Give other rows.")
    seen = Judged(judged.proba[good], judged.features[good], {})
    if len(good) > 1 and np.ptp(seen.features, axis=0).max() < _SAME:
        raise DataError(
            f"all {len(good)} rows of {new.name} look the same to {reference.view.name}, so that nothing can be "
            "compared. Give rows that differ."
        )
    found = _compared(model, reference, scores, seen, [rows[i] for i in good], seed)
    return replace(found, unreadable=new.failed + len(judged.failed))


def _compared(
    model: Bundle,
    reference: Reference,
    scores: Scores | None,
    judged: Judged,
    rows: Sequence[_Row],
    seed: int,
) -> Checkup:
    """The checkup of rows that could all be read."""
    labels = None if rows[0].label is None else [row.label or "" for row in rows]
    best = judged.proba.argmax(1)
    predicted = [model.labels[i] for i in best]
    part = spread_out(len(rows))
    drift = compare(
        reference.rows.astype(np.float32), reference.answered, judged.features[part], best[part],
        generator(seed, "drift"),
    )  # fmt: skip
    rarity = reference.novelty.rarity(reference.novelty.scores(judged.features, judged.proba))
    enough = len(reference.novelty.strange) + 1 >= 1 / USUAL
    metric = "accuracy" if scores is None else scores.metric
    measured = None if labels is None else score_answers(predicted, labels, metric, generator(seed, "check"))
    unknown = Counter(name for name in labels or () if name not in model.labels)
    return Checkup(
        rows=len(rows),
        unreadable=0,
        answered=dict(Counter(predicted).most_common()),
        strange=float((rarity <= USUAL).mean()) if enough else None,
        drift=drift,
        furthest=() if drift is None else tuple(rows[part[i]].place for i in drift.furthest),
        promised=None if scores is None else scores.test or scores.estimate,
        measured=measured,
        metric=metric,
        unknown=dict(unknown.most_common()),
    )


def _opened(folder: Path) -> tuple[Bundle, Scores | None]:
    model, file = Bundle.load(folder), folder / "scores.json"
    return model, Scores.read(file) if file.is_file() else None


def _is_list(source: Any) -> bool:
    return not isinstance(source, str | Path)


def _listed(source: Sequence[Any], labels: Sequence[Any] | None, model: Bundle) -> _New:
    if labels is not None and len(labels) != len(source):
        raise OptionError(f"labels= must have one entry per item ({len(source)}), got {len(labels)}. Correct it.")
    items, failed = make_items(list(source), model.modality, None)
    rows = [
        _Row(i, items[i], None if labels is None else label_text(labels[i]))
        for i in range(len(items))
        if i not in failed
    ]
    return _New(rows, len(failed), len(items), labels is not None, "the list")


def _read(path: Path, label: str | None, column: str | None, model: Bundle, tell: Callable[[str], None]) -> _New:
    """Every row of a source, or every second, fourth … of a long one."""
    column = column or model.input
    labels = _labels(path, label, column, model, tell)
    rows: list[_Row] = []
    step, failed, total = 1, 0, 0
    for chunk in stream(path, modality=model.modality, input=column, chunk=CHUNK):
        for note in chunk.notes:
            tell(note)
        failed, total = failed + len(chunk.failed), total + len(chunk.rows)
        for i, row in enumerate(chunk.rows):
            name = None if labels is None else labels(row, chunk.items[i])
            if row not in chunk.failed and row % step == 0:
                rows.append(_Row(row, chunk.items[i], name))
        while len(rows) > 2 * MOST:
            step *= 2
            rows = [row for row in rows if row.place % step == 0]
    return _New(rows, failed, total, labels is not None, shown(str(path)))


def _labels(
    path: Path, label: str | None, column: str | None, model: Bundle, tell: Callable[[str], None]
) -> Callable[[int, Any], str] | None:
    """How to find the label of a row from its position and item; None where the source has no labels."""
    if label == "" or not exists(path):
        return None
    if path.is_dir():
        if label:
            raise OptionError(f"--label names a column of a table, but {shown(str(path))} is a folder. Leave it out.")
        if not any((path / name).is_dir() for name in model.labels):
            return None
        return lambda row, item: label_text(shown(Path(item).relative_to(path).parts[0]))
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return None
    table = open_table(path)
    if label is None:
        free = [name for name in table.columns if name != column]
        label = next((name for tier in LABEL_NAMES for name in free if name.lower() in tier), None)
        if label is None:
            return None
        tell(f"column \"{label}\" is taken as the labels; use --label '' to check without them")
    elif label not in table.columns:
        near = suggestion(label, table.columns) or " Name one of these."
        raise OptionError(
            f'column "{label}", given as the label, is not in {shown(str(path))} ({all_names(table.columns)}).{near}'
        )
    records = table.records()  # read beside the items, one for one

    def next_label(row: int, item: Any) -> str:
        record = next(records)
        return "" if isinstance(record, Broken) else label_text(record.get(label))

    return next_label
