"""Files that say where things are in pictures: COCO JSON, YOLO text files and Pascal VOC XML beside their pictures."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from handful.data.boxes import Box, around
from handful.data.cells import shown
from handful.data.coco import is_coco, pictures_named
from handful.data.split_names import SPLITS, split_of
from handful.errors import DataError
from handful.files import read_ordinary
from handful.readback import damage_is, parsed, reason

# Bytes of a file with the boxes of one picture, and of one with the names of labels.
_MOST = 16 << 20

# What folders of such files are called, and of pictures beside them, in small letters.
_FOLDERS = frozenset({
    "labels", "label", "annotations", "annotation", "xml", "xmls", "images", "image", "imgs", "img", "pictures",
    "photos", "jpegimages",
})  # fmt: skip

# Files of YOLO that say what the labels are called, the most trusted first.
_NAMES = (".yaml", ".yml", ".names")
_CLASSES = "classes.txt"

# Numbers behind the label of a line of YOLO: of an upright box, and of one with how sure somebody was.
_UPRIGHT, _SURE = 4, 5

COCO, VOC, YOLO = "COCO JSON", "Pascal VOC XML", "YOLO text files"
"""The formats that are read."""
TURNED = "that are turned, or outlines, taken as the upright box around each"
"""What was done to boxes that are not upright."""


@dataclass
class SaidBoxes:
    """What files say of the pictures of one folder."""

    format: str
    """What they are."""
    boxes: dict[Path, list[Box]] = field(default_factory=dict)
    """Picture → boxes; a picture with none is known to hold nothing."""
    relative: bool = False
    """Whether they are shares of the picture rather than pixels."""
    drawn_on: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Picture → width and height of the one that the boxes were drawn on, where that is said."""
    splits: dict[Path, str] = field(default_factory=dict)
    """Picture → ``train`` or ``test``, where that is said."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Picture → why what is said of it cannot be read."""
    lost: list[str] = field(default_factory=list)
    """Pictures that are named and not there."""
    odd: Counter[str] = field(default_factory=Counter)
    """What was done to how many boxes."""


def formats_of(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Format of boxes → its files among those of a folder; only formats that are there."""
    coco = [path for path in files if is_coco(path)]
    voc = [path for path in files if path.suffix.lower() == ".xml"]
    there = {COCO: coco, VOC: voc, YOLO: _yolo_among(files)}
    return {form: some for form, some in there.items() if some}


def said_boxes(root: Path, pictures: Sequence[Path], files: Sequence[Path]) -> SaidBoxes:
    """Read the boxes of a folder, in the one format that is there.

    Args:
        root: the folder.
        pictures: all picture files in it.
        files: all other files in it.

    Raises:
        DataError: there is no format that is known, or several, or a file cannot be read.
    """
    there = formats_of(files)
    if len(there) > 1:
        raise DataError(
            f"{shown(str(root))} must hold boxes in one format, got {' and '.join(there)}. Move the others elsewhere."
        )
    if not there:
        raise DataError(_no_boxes(root, pictures, files))
    ((form, own),) = there.items()
    if form == COCO:
        return _read_coco(root, own, pictures)
    if form == VOC:
        return _each(root, VOC, own, pictures, _voc)
    names = _names(files)
    found = _each(root, YOLO, own, pictures, lambda path, odd: _yolo(path, names, odd))
    found.relative = True
    return found


def _no_boxes(root: Path, pictures: Sequence[Path], files: Sequence[Path]) -> str:
    kinds = Counter(path.suffix.lower() or "without suffix" for path in files).most_common(3)
    beside = f" and other files ({', '.join(f'{count} {kind}' for kind, count in kinds)})" if kinds else " alone"
    return (
        f"{shown(str(root))} must hold pictures with boxes beside them, got {len(pictures)} pictures{beside}. Export "
        "COCO JSON, YOLO text files (NAME.txt for NAME.jpg) or Pascal VOC XML (NAME.xml) into it; other formats are "
        "not read."
    )


# COCO ----------------------------------------------------------------------------------------------------------------


def _read_coco(root: Path, files: Sequence[Path], pictures: Sequence[Path]) -> SaidBoxes:
    """The boxes of one file, or of one per part of a split, whose name or folder then says which."""
    said = SaidBoxes("COCO JSON")
    for file in files:

        def refusal(why: str, file: Path = file) -> DataError:
            return DataError(f"{shown(str(file))} cannot be read as COCO JSON ({why}). Export it again.")

        with damage_is(refusal):
            _add_coco(said, file, parsed(file), pictures, _split_named(root, file) if len(files) > 1 else "")
    return said


def _add_coco(said: SaidBoxes, file: Path, raw: Mapping[str, Any], pictures: Sequence[Path], part: str) -> None:
    names = {one["id"]: str(one["name"]) for one in raw["categories"]}
    there, lost = pictures_named(raw["images"], file, pictures)
    said.lost += lost
    for one in raw["images"]:
        if (path := there.get(one["id"])) is None:
            continue
        said.boxes.setdefault(path, [])
        if one.get("width") and one.get("height"):
            said.drawn_on[path] = (int(one["width"]), int(one["height"]))
        if split := split_of(one.get("split")) or part:
            said.splits[path] = split
    for one in raw["annotations"]:
        path, corners = there.get(one["image_id"]), one.get("bbox")
        if path is None:
            continue
        if one.get("iscrowd"):
            said.odd["around crowds of things left out"] += 1
        elif not isinstance(corners, list) or len(corners) != _UPRIGHT:
            turned = isinstance(corners, list) and len(corners) == _UPRIGHT + 1
            said.odd["that are turned by an angle left out" if turned else "without four numbers left out"] += 1
        else:
            left, top, width, height = map(_finite, corners)
            said.boxes[path].append(Box(left, top, left + width, top + height, names[one["category_id"]]))


def _split_named(root: Path, file: Path) -> str:
    """Which part of a split the name of a file or of its folders says."""
    words = [word for part in file.relative_to(root).parts for word in re.split(r"[\W_]+", part.lower())]
    return next((SPLITS[word] for word in words if word in SPLITS), "")


# One file per picture -------------------------------------------------------------------------------------------------


def _each(
    root: Path, what: str, files: Sequence[Path], pictures: Sequence[Path],
    read: Callable[[Path, Counter[str]], list[Box]],
) -> SaidBoxes:  # fmt: skip
    """What files say that are called as their pictures; a picture without one says nothing of what it holds."""
    said = SaidBoxes(what)
    by_key = {_key(root, path): path for path in files}
    for picture in pictures:
        file = by_key.get(_key(root, picture))
        if file is None:
            continue
        if split := next((SPLITS[part.lower()] for part in picture.relative_to(root).parts[:-1]
                          if part.lower() in SPLITS), ""):  # fmt: skip
            said.splits[picture] = split
        try:
            said.boxes[picture] = read(file, said.odd)
        except (DataError, OSError, ValueError, ElementTree.ParseError) as error:
            said.boxes[picture] = []
            said.failed[picture] = f"{shown(str(file))} cannot be read as {what} ({reason(error)})"
    if not said.boxes:
        raise DataError(
            f"{shown(str(root))} must hold boxes under the names of its pictures, got {shown(files[0].name)} and the "
            f"like for {shown(pictures[0].name)} and the like. Rename them."
        )
    return said


def _key(root: Path, path: Path) -> tuple[tuple[str, ...], str]:
    """The folders of a file without that of its kind, and its name without ending."""
    parts = list(path.relative_to(root).parts[:-1])
    own = next((part for part in parts if part.lower() in _FOLDERS), None)
    if own is not None:
        parts.remove(own)
    return tuple(parts), path.stem


def _yolo_among(files: Sequence[Path]) -> list[Path]:
    """The text files of YOLO: a number of a label and four numbers or more on the first line, and empty ones beside."""
    texts = [path for path in files if path.suffix.lower() == ".txt" and path.name.lower() != _CLASSES]
    first = {path: _first_line(path) for path in texts}
    marked = {path for path, cells in first.items() if len(cells) > _UPRIGHT and cells[0].isdecimal()}
    return [path for path in texts if path in marked or not first[path]] if marked else []


def _first_line(path: Path) -> list[str]:
    """The words of the first line of a text that holds any; of what is no text, one that no box begins with."""
    try:
        lines = read_ordinary(path, _MOST).decode("utf-8").split("\n")
    except (OSError, DataError, ValueError):
        return [path.name]
    return next((line.split() for line in lines if line.strip()), [])


def _yolo(path: Path, names: Mapping[int, str], odd: Counter[str]) -> list[Box]:
    """The boxes of a text file, in shares of the picture."""
    boxes = []
    for number, line in enumerate(read_ordinary(path, _MOST).decode("utf-8").split("\n"), 1):
        if not (cells := line.split()):
            continue
        if not cells[0].isdecimal() or len(cells) <= _UPRIGHT:
            raise ValueError(f"line {number} must be a label and four numbers, got {line.strip()[:40]!r}")
        label, numbers = names.get(int(cells[0]), cells[0]), [_finite(cell) for cell in cells[1:]]
        if len(numbers) in (_UPRIGHT, _SURE):
            x, y, width, height = numbers[:_UPRIGHT]
            if max(abs(value) for value in numbers[:_UPRIGHT]) > 2:  # centres are within, whatever sticks out
                raise ValueError(
                    f"line {number} must have shares of the picture from 0 to 1, got {line.strip()[:40]!r}"
                )
            boxes.append(Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, label))
        elif len(numbers) % 2:
            raise ValueError(f"line {number} must have pairs of numbers behind its label, got {len(numbers)}")
        else:
            odd[TURNED] += 1
            boxes.append(around(numbers, label))
    return boxes


def _names(files: Sequence[Path]) -> dict[int, str]:
    """The names of labels by their number; none where no file says them."""
    for path in files:
        if path.name.lower() == _CLASSES or path.suffix.lower() == ".names":
            lines = read_ordinary(path, _MOST).decode("utf-8").splitlines()
            return {i: line.strip() for i, line in enumerate(lines) if line.strip()}
    for path in files:
        if path.suffix.lower() in _NAMES[:2] and (names := _names_in_yaml(path)):
            return names
    return {}


def _names_in_yaml(path: Path) -> dict[int, str]:
    import yaml

    def refusal(why: str) -> DataError:
        return DataError(f"{shown(str(path))} cannot be read ({why}). Put it right, or remove it.")

    with damage_is(refusal, yaml.YAMLError):
        raw = yaml.safe_load(read_ordinary(path, _MOST))
        names = raw.get("names") if isinstance(raw, dict) else None
        pairs: Iterable[tuple[Any, Any]] = names.items() if isinstance(names, dict) else enumerate(names or ())
        return {int(number): str(name) for number, name in pairs}


def _voc(path: Path, odd: Counter[str]) -> list[Box]:
    """The boxes of an XML file, in pixels."""
    content = read_ordinary(path, _MOST)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it defines entities of its own")
    boxes = []
    for thing in ElementTree.fromstring(content).iter("object"):
        label = (thing.findtext("name") or "").strip()
        if not label:
            raise ValueError("an object has no name")
        upright, turned = thing.find("bndbox"), thing.find("robndbox")
        if upright is not None:
            corners = [_finite(upright.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax")]
            boxes.append(Box.of(corners, label))
        elif turned is not None:
            odd[TURNED] += 1
            boxes.append(_turned(*(_finite(turned.findtext(name) or "") for name in ("cx", "cy", "w", "h", "angle")),
                                 label=label))  # fmt: skip
        else:
            raise ValueError(f'an object "{label}" has no bndbox')
    return boxes


def _turned(x: float, y: float, width: float, height: float, angle: float, *, label: str) -> Box:
    """The upright box around one that is turned by an angle in radians."""
    across = abs(width * math.cos(angle)) + abs(height * math.sin(angle))
    down = abs(width * math.sin(angle)) + abs(height * math.cos(angle))
    return Box(x - across / 2, y - down / 2, x + across / 2, y + down / 2, label)


def _finite(cell: Any) -> float:
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"a number of a box is {number}")
    return number
