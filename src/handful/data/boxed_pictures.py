"""Pictures with boxes beside them as a Dataset: what each holds, what was put right, and what is out of reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from handful.data.box_files import Found, found_in
from handful.data.boxes import Box, Boxed, fitted
from handful.data.cells import shown
from handful.data.coco import size_problem
from handful.data.dataset import Dataset
from handful.data.images import full_size
from handful.data.names import listed
from handful.data.targets import BOXES
from handful.errors import DataError

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
    found = found_in(root, pictures, files)
    paths = [path for path in pictures if path in found.boxes]
    if not paths:
        raise DataError(
            f"{found.format} in {shown(str(root))} must name pictures that are there, got {listed(found.lost[:3])}, "
            "which are not. Move it beside its pictures."
        )
    odd, cells, failed = Counter(found.odd), list[str](), dict[int, str]()
    shares = {name: list[float]() for name in sorted({box.label for boxes in found.boxes.values() for box in boxes})}
    sizes = {name: list[float]() for name in shares}
    for i, path in enumerate(paths):
        why = found.failed.get(path) or size_problem(path, found.drawn_on.get(path), "boxes")
        if why:
            failed[i] = why
            cells.append(Boxed(()).cell)
            continue
        width, height = full_size(path)
        boxed = fitted(_in_pixels(found, path, width, height), width, height, odd)
        cells.append(boxed.cell)
        for box in boxed.boxes:
            side = float(np.sqrt((box.right - box.left) * (box.bottom - box.top)))
            sizes[box.label].append(side)
            shares[box.label].append(side / min(width, height))
    split = [found.splits.get(path, "train") for path in paths]
    data = Dataset(
        items=paths, modality="image", labels=tuple(cells), split=tuple(split) if "test" in split else None,
        source=shown(str(root)), task=BOXES,
        notes=(*_notes(found, cells, len(pictures) - len(paths), odd), *out_of_reach(shares, sizes)),
    )  # fmt: skip
    return data.without(failed)


def _in_pixels(found: Found, path: Path, width: int, height: int) -> Iterable[Box]:
    """The boxes of a picture in its pixels."""
    if not found.relative:
        return found.boxes[path]
    return [
        Box(box.left * width, box.top * height, box.right * width, box.bottom * height, box.label)
        for box in found.boxes[path]
    ]


def _notes(found: Found, cells: Sequence[str], unnamed: int, odd: Counter[str]) -> Iterable[str]:
    counts = [len(Boxed.of_cell(cell).boxes) for cell in cells]
    yield f"{sum(counts)} boxes in {len(cells)} pictures are read from {found.format}"
    empty = counts.count(0) - len(found.failed)
    if empty:
        yield f"pictures without boxes, taken to hold nothing of the kind: {empty}"
    for what, count in odd.items():
        yield f"boxes {what}: {count}"
    if found.lost:
        yield f"pictures that are named and not there: {len(found.lost)}, such as {listed(found.lost[:3])}"
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
