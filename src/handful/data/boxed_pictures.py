"""Pictures with boxes beside them as a Dataset: what each holds, what was put right, and what is out of reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from handful.data.box_files import SaidBoxes, said_boxes
from handful.data.boxes import MOST_LABELS, Box, Boxed, fitted
from handful.data.cells import shown
from handful.data.coco import size_problem
from handful.data.dataset import Dataset
from handful.data.images import full_size
from handful.data.names import listed
from handful.data.targets import BOXES
from handful.errors import DataError

FEWEST_BOXED = 3
"""Fewer different pictures with boxes than this cannot be learned from, chosen by and scored on."""
LARGE = 0.5
"""Things that are typically wider than this share of the shorter side of their picture are large."""
UNLIKE = 4.0
"""Things of a label of which one in ten is so many times wider than another one in ten are unlike in size."""

# So many boxes of a label say how much they differ.
_SOME = 5


def read_boxes(root: Path, pictures: Sequence[Path], files: Sequence[Path]) -> Dataset:
    """Read pictures and the boxes that files beside them say; pictures are not decoded.

    Args:
        root: the folder.
        pictures: all picture files in it, in order.
        files: all other files in it.

    Raises:
        DataError: no file says boxes as they can be read, or too many say what cannot be.
    """
    said = said_boxes(root, pictures, files)
    paths = [path for path in pictures if path in said.boxes]
    if not paths:
        raise DataError(
            f"{said.format} in {shown(str(root))} must name pictures that are there, got {listed(said.lost[:3])}, "
            "which are not. Move it beside its pictures."
        )
    odd, cells, failed = Counter(said.odd), list[str](), dict[int, str]()
    shares = {name: list[float]() for name in sorted({box.label for boxes in said.boxes.values() for box in boxes})}
    sizes = {name: list[float]() for name in shares}
    for i, path in enumerate(paths):
        why = said.failed.get(path) or size_problem(path, said.drawn_on.get(path), "boxes")
        if why:
            failed[i] = why
            cells.append(Boxed(()).cell)
            continue
        width, height = full_size(path)
        boxed = fitted(_in_pixels(said, path, width, height), width, height, odd)
        cells.append(boxed.cell)
        for box in boxed.boxes:
            side = float(np.sqrt((box.right - box.left) * (box.bottom - box.top)))
            sizes[box.label].append(side)
            shares[box.label].append(side / min(width, height))
    split = [said.splits.get(path, "train") for path in paths]
    data = Dataset(
        items=paths, modality="image", labels=tuple(cells), split=tuple(split) if "test" in split else None,
        source=shown(str(root)), task=BOXES,
        notes=(*_notes(said, cells, len(pictures) - len(paths), odd), *out_of_reach(shares, sizes)),
    )  # fmt: skip
    return data.without(failed)


def _in_pixels(said: SaidBoxes, path: Path, width: int, height: int) -> Iterable[Box]:
    """The boxes of a picture in its pixels."""
    if not said.relative:
        return said.boxes[path]
    return [
        Box(box.left * width, box.top * height, box.right * width, box.bottom * height, box.label)
        for box in said.boxes[path]
    ]


def _notes(said: SaidBoxes, cells: Sequence[str], unnamed: int, odd: Counter[str]) -> Iterable[str]:
    counts = [len(Boxed.of_cell(cell).boxes) for cell in cells]
    yield f"{sum(counts)} boxes in {len(cells)} pictures are read from {said.format}"
    empty = counts.count(0) - len(said.failed)
    if empty:
        yield f"pictures without boxes, taken to hold nothing of the kind: {empty}"
    for what, count in odd.items():
        yield f"boxes {what}: {count}"
    if said.lost:
        yield f"pictures that are named and not there: {len(said.lost)}, such as {listed(said.lost[:3])}"
    if unnamed:
        yield f"pictures left out, of which nothing says what they hold: {unnamed}"


def out_of_reach(shares: dict[str, list[float]], sizes: dict[str, list[float]]) -> Iterable[str]:
    """Labels of things that are too large, or too unlike in size, to be found well from few pictures, and what to do.

    Args:
        shares: label → sides of its boxes as shares of the shorter side of their pictures.
        sizes: label → the same in pixels.
    """
    large = [name for name, some in shares.items() if some and float(np.median(some)) > LARGE]
    unlike = [
        name
        for name, some in sizes.items()
        if len(some) >= _SOME and float(np.quantile(some, 0.9) / np.quantile(some, 0.1)) > UNLIKE
    ]
    advice = "that takes a detector which was trained on many thousands of pictures; small things that look alike are"
    if large:
        yield f"{listed(large)}: typically wider than half of the picture, which is out of reach here: {advice} found"
    if unlike:
        yield (
            f"{listed(unlike)}: some are more than {UNLIKE:.0f} times as wide as others. Boxes around things that "
            f"differ so are out of reach here: {advice} found. Give small and large ones labels of their own"
        )


def check_boxes(dataset: Dataset) -> tuple[str, ...]:
    """Refuse boxes that nothing can be learned from.

    Returns:
        What is odd about them but no reason to refuse them, one sentence each.

    Raises:
        DataError: too few pictures hold any, or there are too many labels.
    """
    train = dataset.part("train") if dataset.split else dataset
    filled = [cell for cell in train.labels or () if Boxed.of_cell(cell).boxes]
    if len(filled) < FEWEST_BOXED:
        raise too_few_boxed(dataset.source, len(filled))
    if len(dataset.classes) > MOST_LABELS:
        raise DataError(
            f"the boxes in {dataset.source} must have at most {MOST_LABELS} labels, got {len(dataset.classes)}. Join "
            "some; things that are all different are out of reach here."
        )
    once = sorted(name for name, count in train.counts.items() if count == 1)
    return (f"one picture only has {listed(once)}: whether it is found in others cannot be measured",) if once else ()


def too_few_boxed(source: str, different: int) -> DataError:
    """The error for pictures that cannot be held out from each other."""
    return DataError(
        f"{source} has {different} different {'picture' if different == 1 else 'pictures'} with boxes to learn from "
        f"(copies, and pictures of one group, count once); at least {FEWEST_BOXED} are needed: one to learn from, one "
        "to choose by and one to be scored on. Mark more."
    )
