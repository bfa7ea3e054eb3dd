"""Outlines of things in pictures, as COCO JSON has them: polygons become the masks of their pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handful.data.cells import shown
from handful.data.coco import is_coco, pictures_named, size_problem
from handful.data.dataset import Dataset
from handful.data.mask_files import BACKGROUND, MOST_CLASSES, Outlined
from handful.data.names import listed
from handful.data.split_names import split_of
from handful.data.targets import MASKS
from handful.errors import DataError
from handful.readback import damage_is, parsed

Polygon = tuple[float, ...]

# A polygon has three corners at least.
_FEWEST = 6


def coco_file(tables: Sequence[Path]) -> Path | None:
    """The one file among these that says what lies in which picture; None where there is none, or several."""
    found = [path for path in tables if is_coco(path)]
    return found[0] if len(found) == 1 else None


def read_outlines(file: Path, pictures: Sequence[Path], source: str) -> Dataset:
    """Read pictures and the polygons that a file says of them; pictures are not decoded.

    Args:
        file: COCO JSON.
        pictures: all picture files of the folder.
        source: what the folder is called.

    Raises:
        DataError: the file cannot be read, names no picture, or holds no outline.
    """

    def refusal(why: str) -> DataError:
        return DataError(f"{shown(str(file))} cannot be read as COCO JSON ({why}). Export it again.")

    with damage_is(refusal):
        return _read(file, parsed(file), pictures, source)


def _read(file: Path, raw: Mapping[str, Any], pictures: Sequence[Path], source: str) -> Dataset:
    names = {one["id"]: str(one["name"]) for one in raw["categories"]}
    outlines, odd = _outlines(raw["annotations"], names)
    if not any(outlines.values()):
        raise DataError(
            f"{shown(str(file))} must outline things by polygons, got {len(raw['annotations'])} annotations and none "
            "of them. Export polygons (segmentation), or PNG masks."
        )
    classes = sorted({name for each in outlines.values() for name, _ in each} | {BACKGROUND})
    if len(classes) > MOST_CLASSES:
        raise DataError(f"{shown(str(file))} must have at most {MOST_CLASSES} classes, got {len(classes)}. Join some.")
    found, lost = pictures_named(raw["images"], file, pictures)
    if not found:
        raise DataError(
            f"{shown(str(file))} must name pictures that are there, got {listed(lost[:3])}, which are not. Move it "
            "beside its pictures."
        )
    rows = [(found[one["id"]], one) for one in raw["images"] if one["id"] in found]
    failed = {
        i: why
        for i, (path, one) in enumerate(rows)
        if (why := size_problem(path, (one.get("width"), one.get("height")), "outlines"))
    }
    cells = []
    for _, one in rows:
        own = tuple(outlines.get(one["id"], ()))
        cells.append(Outlined(tuple(sorted({BACKGROUND, *(name for name, _ in own)})), outlines=own).cell)
    split = [split_of(one.get("split")) or "train" for _, one in rows]
    used = {path for path, _ in rows}
    data = Dataset(
        items=[path for path, _ in rows],
        modality="image",
        labels=tuple(cells),
        split=tuple(split) if "test" in split else None,
        source=source,
        task=MASKS,
        notes=(
            f"outlines of {sum(map(len, outlines.values()))} things are read from {shown(file.name)}; what lies in "
            f'none of them is "{BACKGROUND}"',
            *(f"{count} annotations {what}" for what, count in odd.items()),
            *([f"{len(lost)} pictures that it names are not there: {listed(lost[:3])}"] * bool(lost)),
            *([f"{len(pictures) - len(used)} pictures that it does not name left out"] * (len(pictures) > len(used))),
        ),
    )
    return data.without(failed)


def _outlines(
    annotations: Sequence[Mapping[str, Any]], names: Mapping[Any, str]
) -> tuple[dict[Any, list[tuple[str, tuple[Polygon, ...]]]], Counter[str]]:
    """Picture → class and polygons of each thing in it, and how many annotations were left out, and why."""
    outlines: dict[Any, list[tuple[str, tuple[Polygon, ...]]]] = {}
    odd: Counter[str] = Counter()
    for one in annotations:
        polygons = one.get("segmentation")
        if isinstance(polygons, dict):
            odd["with run lengths in place of polygons left out"] += 1
            continue
        whole = tuple(
            tuple(map(float, polygon))
            for polygon in polygons or ()
            if len(polygon) >= _FEWEST and len(polygon) % 2 == 0
        )
        if not whole:
            odd["without a polygon of three corners left out"] += 1
            continue
        outlines.setdefault(one["image_id"], []).append((names[one["category_id"]], whole))
    return outlines, odd
