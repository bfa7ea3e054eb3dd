"""Where a run and its model lie on disk: told from everything else, and named in messages, without loading anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from handful.atomic import tidy
from handful.data.cells import shown
from handful.errors import BundleError
from handful.readback import FAILURES, damage_is, parsed

RECORD = "bundle.json"
"""What a folder with a model is known by."""
SCORES = "scores.json"
"""What a run folder is known by."""
MANIFEST = "manifest.json"
"""What a folder with a model in ONNX is known by."""
HEADS = "heads.json"
"""What a folder with a run for each of several targets is known by."""
RUNS = Path("runs")
"""The folder that runs are written to where nothing else is said."""

HEAD, LANGUAGE, DETECTOR, SEGMENTER, FINDER = "head", "language", "detector", "segmenter", "finder"
"""The kinds of models: a linear map on what backbones see, a language model, what normal items look like, what the
pixels of each class look like, and what the middles of things look like."""

# How the name of a folder ends in which trainings keep their state.
_TRAINING = ".training"
# Folders that are looked at for one with a name like that of a run that is not there.
_LOOKED_AT = 1000


def model_folder(folder: str | Path) -> Path:
    """The folder of a model: the one given, or ``model/`` in a run folder.

    What commands that were killed left beside the model or its run is put right first.
    """
    place = Path(folder)
    for above in list(Path(os.path.realpath(place)).parents)[:2]:
        tidy(above)
    return place / "model" if (place / "model" / RECORD).exists() else place


def record_of(folder: str | Path) -> dict[str, Any]:
    """What the model in a run or model folder says of itself, unchecked; empty where nothing can be read."""
    try:
        record = parsed(model_folder(folder) / RECORD)
    except FAILURES:
        return {}
    return record if isinstance(record, dict) else {}


def is_language(folder: str | Path) -> bool:
    """Whether a run or model folder holds a language model; False where nothing can be read."""
    return record_of(folder).get("kind") == LANGUAGE


def is_onnx(folder: str | Path) -> bool:
    """Whether this is the folder of a model in ONNX, as ``handful export --format onnx`` wrote it."""
    return (Path(folder) / MANIFEST).is_file() and (Path(folder) / "model.onnx").is_file()


def reads_vectors(folder: str | Path) -> bool:
    """Whether a run or model folder holds a model of vectors; False where nothing can be read."""
    from handful.data.vectors import VECTORS  # loads numpy, which commands that only name things do without

    return bool(record_of(folder).get("modality") == VECTORS)


def reads_two(folder: str | Path) -> bool:
    """Whether a run or model folder holds a model of pictures with texts; False where nothing can be read."""
    from handful.data.image_text import IMAGE_TEXT  # as above

    return bool(record_of(folder).get("modality") == IMAGE_TEXT)


def answers_parts(folder: str | Path) -> bool:
    """Whether a run or model folder holds a model of defects, masks or boxes; False where nothing can be read."""
    return record_of(folder).get("kind") in (DETECTOR, SEGMENTER, FINDER)


def is_detector(folder: str | Path) -> bool:
    """Whether a run or model folder holds a detector of what is unlike normal items; False where nothing is read."""
    return record_of(folder).get("kind") == DETECTOR


def is_segmenter(folder: str | Path) -> bool:
    """Whether a run or model folder holds a model of the classes of pixels; False where nothing can be read."""
    return record_of(folder).get("kind") == SEGMENTER


def is_finder(folder: str | Path) -> bool:
    """Whether a run or model folder holds a model of boxes around things; False where nothing can be read."""
    return record_of(folder).get("kind") == FINDER


def heads_of(folder: str | Path) -> dict[str, Path]:
    """Target → the run folder that learned it, of a folder with several of them; empty where it is no such folder.

    Raises:
        BundleError: the list of targets is damaged, or one of the runs is not there.
    """
    file = Path(folder) / HEADS
    if not file.is_file():
        return {}

    def refusal(why: str) -> BundleError:
        return BundleError(f"{file} cannot be read ({why}). Restore it, or tune again.")

    with damage_is(refusal):
        heads = {str(name): Path(folder) / str(own) for name, own in parsed(file)["heads"].items()}
        inside = all(run.parent == Path(folder) and run.name not in ("", ".", "..") for run in heads.values())
    if not heads or not inside:
        raise refusal("it must name folders beside it")
    for name, run in heads.items():
        if not (run / SCORES).is_file():
            raise refusal(f"the run of {shown(name)}, {shown(run.name)}, is not there")
    return heads


def is_run(folder: str | Path) -> bool:
    """Whether this is a run folder, one with a run for each of several targets, or the folder of a model."""
    place = Path(folder)
    try:
        return any((place / name).is_file() for name in (RECORD, SCORES, HEADS, f"model/{RECORD}"))
    except (OSError, ValueError):  # a name that no file can have
        return False


def run_with(part: str | Path) -> Path | None:
    """The run that a file or folder is a part of, such as its report; None where it is none."""
    try:
        return next((above for above in islice(Path(part).parents, 2) if (above / SCORES).is_file()), None)
    except (OSError, ValueError):
        return None


def known_runs(beside: Path | None = None) -> list[Path]:
    """The runs in ``runs/``, the newest first, and those in a further folder."""
    found = dict.fromkeys([*_runs_in(RUNS), *(() if beside is None else _runs_in(beside))])
    return sorted(found, key=lambda run: run.stat().st_mtime, reverse=True)


def _runs_in(folder: Path) -> Iterator[Path]:
    try:
        inside = list(islice(folder.iterdir(), _LOOKED_AT))
    except (OSError, ValueError):
        return
    yield from (place for place in inside if is_run(place))


def no_run(folder: str | Path, what: str, marker: str) -> BundleError:
    """The error for what should be a run and is none, with the run that was probably meant.

    Args:
        folder: what was named.
        what: what it must be.
        marker: the file that it lacks.
    """
    near = nearest_run(folder)
    advice = "Name the folder that `handful tune` wrote." if near is None else f"Did you mean {shown(str(near))!r}?"
    return BundleError(f"{shown(str(folder))} must be {what}, but there is no {marker} in it. {advice}")


def nearest_run(folder: str | Path) -> Path | None:
    """The run that something is a part of, or one whose name is like it; None where there is none."""
    if (whole := run_with(folder)) is not None:
        return whole
    itself = os.path.realpath(folder)  # which may be a run that lost something
    runs = [run for run in known_runs(Path(folder).parent) if os.path.realpath(run) != itself]
    close = get_close_matches(Path(folder).name, [run.name for run in runs], n=1)
    return next((run for run in runs if run.name in close), None)


def checkpoints_of(folder: Path) -> Path:
    """Where trainings that belong to a run folder keep their state until it is written."""
    return folder.parent / f".{folder.name}{_TRAINING}"


def checkpoints_in(folder: Path) -> list[Path]:
    """What trainings of the targets in a folder of several keep there until the run of each is written."""
    return [path for path in folder.glob(f".*{_TRAINING}") if path.is_dir()]
