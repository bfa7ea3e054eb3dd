"""The check of a run in use: what its model answers to new rows, set against its training rows and its promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.languages import Language, main_language
from handful.data.targets import counts_of
from handful.errors import DataError, OptionError
from handful.evaluation.intervals import interval
from handful.evaluation.novelty import USUAL
from handful.evaluation.scores import Scores
from handful.export.bundle import Bundle
from handful.export.finder import Finder
from handful.export.reference import Judged, Reference, spread_out
from handful.export.segmenter import Segmenter
from handful.features.view import unit_rows
from handful.keywords import known_keywords
from handful.monitoring.checkup import NAMED, Checkup, promised_metric
from handful.monitoring.drift import compare
from handful.monitoring.known_rows import unknown_rows
from handful.monitoring.marked_check import check_marked
from handful.monitoring.new_rows import Row, called_together, rows_of_list, rows_of_source
from handful.run import Run
from handful.run_folder import is_finder, is_segmenter
from handful.seeding import generator

# Features that differ by less than this are the same picture, sound or text.
_SAME = 1e-5
# A row and its copy, which is kept in half precision, have a cosine that falls short of one by less than this.
_COPY = 1e-6
# Where more than this share of the kept rows is among the new ones, these hold all that was learned from.
_MOST = 0.5


@known_keywords
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

    A run of masks or boxes is compared by new pictures that have these, as ``tune`` reads them.

    A table is labelled where ``label`` names a column, or one is called as in training or like a label; a folder,
    where one of its sub-folders is called like a class.

    Args:
        run: a Run, or the folder of one; of a model folder alone no promise is known.
        source: anything that ``predict`` reads, or a list of items.
        labels: the labels of a list.
        label: the column that holds the labels; an empty text means that there are none.
        input: the column that holds the items; the one used in training by default.
        seed: fixes how rows are dealt anew.
        tell: called with what to know of the model, what was guessed about the source, and how much was looked at.

    Returns:
        The checkup; its ``verdict`` is ``as promised``, ``unsure``, ``drifted``, ``retrain``, or, of
        what cannot be held against a promise, ``not measured`` or ``no promise``.

    Raises:
        DataError: the source cannot be read, is of another modality, or all its rows are the same.
        BundleError: the run is damaged, or keeps nothing of its training rows.
        OptionError: labels or columns are named for a run of masks or boxes.
    """
    model, scores = (_checked(run), run.scores) if isinstance(run, Run) else _opened(Path(run))
    if model.warning:
        tell(model.warning)
    if isinstance(model, Segmenter | Finder):
        if not (labels is None and label is None and input is None):
            raise OptionError(
                f"labels and columns are those of lists and tables, got a model of {model.task.name}: put "
                f"{model.task.name} beside the pictures, and leave label and input out."
            )
        return check_marked(model, scores, source, seed, tell)
    reference = model.known_rows()
    if isinstance(source, str | Path):
        new = rows_of_source(Path(source), label, input, model, tell)
    else:
        new = rows_of_list(source, labels, model)
    rows = new.labelled(model)
    if len(rows) < len(new.rows):
        tell(f"{len(new.rows) - len(rows)} rows without a label are left out")
    if len(new.rows) + new.failed < new.total:
        tell(f"{len(new.rows)} of {new.total} rows are looked at, evenly spread")
    judged = model.judge([row.item for row in rows]) if rows else None
    readable = [] if judged is None else [i for i in range(len(rows)) if i not in judged.failed]
    if judged is None or not readable:
        raise DataError(
            f"{new.name} has no row that can be read{' and has a label' * (new.label is not None)}. Give other rows."
        )
    answers = Judged(judged.outputs[readable], judged.features[readable], {})
    if len(readable) > 1 and np.ptp(answers.features, axis=0).max() < _SAME:
        raise DataError(
            f"all {len(readable)} rows of {new.name} look the same to {reference.view.name}, so that nothing can be "
            "compared. Give rows that differ."
        )
    unseen = unknown_rows(_known(reference, answers.features), new.name, "rows", tell)
    answers = Judged(answers.outputs[unseen], answers.features[unseen], {})
    checkup = _compared(model, reference, scores, answers, [rows[readable[i]] for i in unseen.tolist()], seed)
    return replace(checkup, unreadable=new.failed + len(judged.failed))


def _known(reference: Reference, features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of n rows the run learned from: they are like a row that it keeps, up to rounding.

    Of many rows some are kept. Where most of these are among the new rows, the source is what the run learned from, or
    holds it, and nothing tells its other rows from new ones: all count as known.
    """
    likeness = unit_rows(features) @ unit_rows(reference.rows.astype(np.float32)).T > 1 - _COPY  # (n, M)
    some_kept = len(reference.rows) < len(reference.misfit)
    if some_kept and likeness.any(0).mean() > _MOST:
        return np.ones(len(features), bool)
    return np.asarray(likeness.any(1))


def _compared(
    model: Bundle,
    reference: Reference,
    scores: Scores | None,
    judged: Judged,
    rows: Sequence[Row],
    seed: int,
) -> Checkup:
    """The checkup of rows that could all be read."""
    task, outputs = model.task, judged.outputs
    labels = None if rows[0].label is None else [row.label for row in rows]
    some, kinds = spread_out(len(rows)), task.kinds(outputs)
    drift = compare(
        reference.rows.astype(np.float32), reference.answered, judged.features[some], kinds[some],
        generator(seed, "drift"),
    )  # fmt: skip
    furthest = [] if drift is None else [int(some[i]) for i in drift.furthest]
    novelty = reference.novelty
    rarity = novelty.rarity_of(judged.features, task.confidence(outputs))
    enough = len(novelty.strange) + 1 >= 1 / USUAL
    metric = promised_metric(task, scores)
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
        furthest=tuple(rows[i].place for i in furthest),
        called=called_together(rows, furthest[:NAMED], [name for name in (model.input, model.target) if name])
        if furthest
        else "",
        promised=None if scores is None else scores.test or scores.estimate,
        measured=measured,
        metric=metric.name,
        scale=metric.scale,
        unknown=unknown,
        languages=_languages(model, [row.item for row in rows]),
    )


def _languages(model: Bundle, items: Sequence[Any]) -> tuple[str, str] | None:
    """What most new texts and what most training texts are in, where both are clear and differ."""
    if model.language is None:
        return None
    new, old = main_language(items), Language(model.language)
    return None if new is None or new == old else (new.name, old.name)


def _checked(run: Run) -> Bundle | Segmenter | Finder:
    """The model of a run that can be compared so."""
    return run.model if isinstance(run.model, Segmenter | Finder) else run.bundle


def _opened(folder: Path) -> tuple[Bundle | Segmenter | Finder, Scores | None]:
    """The model in a run folder, and the scores that it promised; None in a model folder alone."""
    file = folder / "scores.json"
    kind = Segmenter if is_segmenter(folder) else Finder if is_finder(folder) else Bundle
    return kind.load(folder), Scores.read(file) if file.is_file() else None
