"""The check of a model of masks or boxes in use: what it answers to new pictures of which it is known what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from handful.data.cells import shown
from handful.data.columns import Wanted
from handful.data.several import load_part
from handful.data.sources import is_archive
from handful.errors import DataError
from handful.evaluation.intervals import interval
from handful.evaluation.scores import Scores
from handful.export.finder import Finder
from handful.export.segmenter import Segmenter
from handful.marked_items import outputs_to
from handful.monitoring.checkup import Checkup, promised_metric
from handful.monitoring.known_rows import unknown_rows
from handful.seeding import generator


def check_marked(
    model: Segmenter | Finder, scores: Scores | None, source: str | Path, seed: int = 0,
    tell: Callable[[str], None] = lambda note: None,
) -> Checkup:  # fmt: skip
    """Compare what a model of masks or boxes is worth on new pictures with what its run promised.

    Args:
        model: the model.
        scores: what its run measured; None of a model folder alone, of which no promise is known.
        source: a folder of pictures with masks or boxes, as ``tune`` reads it; one picture is enough.
        seed: fixes how pictures are drawn for the interval.
        tell: told what was guessed about the source, and left out.

    Raises:
        DataError: the source holds no such pictures, or one cannot be read.
        BundleError: the scores of the run are of another task.
    """
    task = model.task
    if Path(source).is_file() and not is_archive(Path(source)):
        raise DataError(
            f"new pictures must be a folder with {task.name} beside them, got the file {shown(str(source))}. Name a "
            f"folder as `handful tune FOLDER --task {task.name}` reads it."
        )
    data = load_part(source, Wanted(modality=model.modality, task=task.name))
    for note in (*data.notes, *data.unreadable.values()):
        tell(note)
    metric = promised_metric(task, scores)
    data = data.take(unknown_rows(model.learned_from(data.items), shown(str(source)), "pictures", tell))
    measured = interval(metric.of(*outputs_to(model, data)), rng=generator(seed, "check"))
    return Checkup(
        rows=len(data), unreadable=len(data.unreadable), answered={},
        promised=None if scores is None else scores.test or scores.estimate, measured=measured,
        metric=metric.name, scale=metric.scale,
        unknown={name: count for name, count in data.counts.items() if name not in model.names},
    )  # fmt: skip
