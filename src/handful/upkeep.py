"""Upkeep: a saved run compared with new rows, labelled or not, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.cells import shown
from handful.data.delimited import Broken
from handful.data.input_column import named_columns
from handful.data.items import make_items
from handful.data.label_column import LABEL_NAMES
from handful.data.names import all_names
from handful.data.readers import exists
from handful.data.streams import stream
from handful.data.tables import TABLE_SUFFIXES, open_table
from handful.data.target_column import read_column, read_indicators
from handful.data.targets import counts_of
from handful.errors import DataError, OptionError, suggestion
from handful.evaluation.checkup import USUAL, Checkup
from handful.evaluation.drift import compare, spread_out
from handful.evaluation.intervals import interval
from handful.evaluation.scores import Scores
from handful.export.bundle import Bundle, Judged
from handful.export.reference import Reference
from handful.run import Run
from handful.seeding import generator

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
    label: Any
    """What the source says, as it stands there; after reading a text that is empty where it says nothing."""


@dataclass(frozen=True)
class _New:
    """What is to be checked."""

    rows: list[_Row]
    """What could be read; of a long source some of it, evenly spread."""
    failed: int
    """How many rows could not be read."""
    total: int
    """How many rows the source has."""
    label: str | None
    """Where labels stand in the source; None where it has none."""
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
    model, scores = (run.bundle, run.scores) if isinstance(run, Run) else _opened(Path(run))
    reference = model.known_rows()
    new = _listed(source, labels, model) if _is_list(source) else _read(Path(source), label, input, model, tell)
    rows = _labelled(new, model, tell)
    if len(new.rows) + new.failed < new.total:
        tell(f"{len(new.rows)} of {new.total} rows are looked at, evenly spread")
    judged = model.judge([row.item for row in rows]) if rows else None
    good = [] if judged is None else [i for i in range(len(rows)) if i not in judged.failed]
    if judged is None or not good:
        raise DataError(
            f"{new.name} has no row that can be read{' and has a label' * (new.label is not None)}. Give other rows."
        )
    seen = Judged(judged.outputs[good], judged.features[good], {})
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
    task, outputs = model.task, judged.outputs
    labels = None if rows[0].label is None else [row.label for row in rows]
    part, kinds = spread_out(len(rows)), task.kinds(outputs)
    drift = compare(
        reference.rows.astype(np.float32), reference.answered, judged.features[part], kinds[part],
        generator(seed, "drift"),
    )  # fmt: skip
    novelty = reference.novelty
    rarity = novelty.rarity(novelty.scores(judged.features, task.confidence(outputs)))
    enough = len(novelty.strange) + 1 >= 1 / USUAL
    metric = task.metrics[task.headline.name if scores is None else scores.metric]
    measured = None
    if labels is not None:
        answers, targets = task.against(outputs, labels, model.labels)
        measured = interval(metric.of(answers[None], targets), rng=generator(seed, "check"))
    unknown = {name: count for name, count in counts_of(labels or (), task.name).items() if name not in model.labels}
    return Checkup(
        rows=len(rows),
        unreadable=0,
        answered=counts_of(task.words(outputs, model.labels), task.name),
        strange=float((rarity <= USUAL).mean()) if enough else None,
        drift=drift,
        furthest=() if drift is None else tuple(rows[part[i]].place for i in drift.furthest),
        promised=None if scores is None else scores.test or scores.estimate,
        measured=measured,
        metric=metric.name,
        scale=metric.scale,
        unknown=unknown,
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
    rows = [_Row(i, items[i], None if labels is None else labels[i]) for i in range(len(items)) if i not in failed]
    return _New(rows, len(failed), len(items), None if labels is None else "labels=", "the list")


def _labelled(new: _New, model: Bundle, tell: Callable[[str], None]) -> list[_Row]:
    """The rows whose labels can be read, as the task of the model reads them; all where there are no labels."""
    if new.label is None:
        return new.rows
    raw = [row.label for row in new.rows]
    if "," in new.label and raw and isinstance(raw[0], tuple):
        columns = {name: [cells[i] for cells in raw] for i, name in enumerate(named_columns(new.label, ()))}
        column = read_indicators(columns, new.name)
    else:
        column = read_column(raw, new.label, model.task.name)
    rows = [replace(row, label=cell) for row, cell in zip(new.rows, column.cells, strict=True) if cell]
    if len(rows) < len(new.rows):
        tell(f"{len(new.rows) - len(rows)} rows without a label are left out")
    return rows


def _read(path: Path, label: str | None, column: str | None, model: Bundle, tell: Callable[[str], None]) -> _New:
    """Every row of a source, or every second, fourth … of a long one."""
    column = column or model.input
    label, labels = _labels(path, label, column, model, tell)
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
    return _New(rows, failed, total, label, shown(str(path)))


def _labels(
    path: Path, label: str | None, column: str | None, model: Bundle, tell: Callable[[str], None]
) -> tuple[str | None, Callable[[int, Any], Any] | None]:
    """Where labels stand, and how to find that of a row from its position and item; None where there are none."""
    if label == "" or not exists(path):
        return None, None
    if path.is_dir():
        if label:
            raise OptionError(f"--label names a column of a table, but {shown(str(path))} is a folder. Leave it out.")
        if not any((path / name).is_dir() for name in model.labels):
            return None, None
        return "folder names", lambda row, item: shown(Path(item).relative_to(path).parts[0])
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return None, None
    table = open_table(path)
    if label is None:
        free = [name for name in table.columns if name != column]
        called = next((name for tier in LABEL_NAMES for name in free if name.lower() in tier), None)
        label = model.target if model.target in free else called
        if label is None:
            return None, None
        tell(f"column \"{label}\" is taken as the labels; use --label '' to check without them")
    names = named_columns(label, table.columns)
    for name in names:
        if name not in table.columns:
            near = suggestion(name, table.columns) or " Name one of these."
            raise OptionError(
                f'column "{name}", given as the label, is not in {shown(str(path))} ({all_names(table.columns)}).{near}'
            )
    records = table.records()  # read beside the items, one for one

    def next_label(row: int, item: Any) -> Any:
        record = next(records)
        cells = tuple(None if isinstance(record, Broken) else record.get(name) for name in names)
        return cells if len(names) > 1 else cells[0]

    return label, next_label
