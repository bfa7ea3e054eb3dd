"""Masks of pictures: one grey level or colour per class, or outlines, as the number of the class of every pixel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from handful.data.images import full_size, upright_picture
from handful.errors import DataError

Codes = NDArray[np.int32]
Map = NDArray[np.uint8]

BACKGROUND = "background"
"""What pixels are that lie in no outline."""
MOST_CLASSES = 32
"""More grey levels or colours than this are no classes."""

# Added to the three bytes of a colour that is no grey level, so that no grey level is the same.
_COLOUR = 1 << 24
# More different values than this are those of a photograph; nobody needs to know all of them.
_MANY = 4096


@dataclass(frozen=True)
class Outlined:
    """What is marked in one picture: a file with the class of every pixel, or outlines of things."""

    classes: tuple[str, ...]
    """The classes that occur in it, sorted."""
    file: str = ""
    """The mask picture; empty where there are outlines."""
    outlines: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...] = ()
    """Class, and polygons x, y, x, y, … in pixels, of each thing; what comes later lies above."""

    @property
    def cell(self) -> str:
        """The same as one text, which a Dataset holds as the label of the row."""
        return json.dumps({"classes": self.classes, "file": self.file, "outlines": self.outlines}, ensure_ascii=False)

    @classmethod
    def of_cell(cls, cell: str) -> Outlined:
        """Read back what ``cell`` says.

        Raises:
            DataError: it says nothing of the kind.
        """
        try:
            raw = json.loads(cell)
            outlines = tuple(
                (str(name), tuple(tuple(map(float, one)) for one in each)) for name, each in raw["outlines"]
            )
            return cls(tuple(map(str, raw["classes"])), str(raw["file"]), outlines)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"labels of masks must be masks as load reads them from a folder, got {cell[:60]!r}. Give a Dataset, "
                "or the name of a folder."
            ) from error


def classes_in_cell(cell: str) -> tuple[str, ...]:
    """The classes that occur in the mask of a row; none where the text is no mask, as that of an answer."""
    try:
        return Outlined.of_cell(cell).classes
    except DataError:
        return ()


def codes_of(file: Path) -> Codes:
    """The grey level or colour of every pixel of a mask as one number, (H, W).

    Raises:
        DataError: it cannot be read as a mask.
    """
    if file.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif", ".webp"):
        raise DataError(
            f"{file} must be a picture that keeps every value, got {file.suffix}, whose compression changes the "
            "classes of pixels. Save masks as PNG."
        )
    picture = upright_picture(file)
    if picture.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return np.asarray(np.asarray(picture), np.int32)
    if picture.mode == "1":
        return np.asarray(picture.convert("L"), np.int32)
    if picture.mode in ("L", "LA"):
        return np.asarray(picture.getchannel(0), np.int32)
    rgb = np.asarray(picture.convert("RGB"), np.int32)  # (H, W, 3)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    coloured = (red != green) | (green != blue)
    return np.asarray(np.where(coloured, _COLOUR + (red << 16) + (green << 8) + blue, red), np.int32)


def name_of_code(code: int) -> str:
    """What the class of a grey level or colour is called: ``255`` or ``#ff0000``."""
    return str(code) if code < _COLOUR else f"#{code - _COLOUR:06x}"


def code_of_name(name: str) -> int | None:
    """The grey level or colour of a class, None where its name says none."""
    if name.startswith("#") and len(name) == 7:
        try:
            return _COLOUR + int(name[1:], 16)
        except ValueError:
            return None
    return int(name) if name.isascii() and name.isdigit() and int(name) < 1 << 16 else None


def colours_of(names: Sequence[str]) -> NDArray[np.uint8]:
    """(C, 3) the colour in which each class is written: its own where its name says one up to 255, else one of ours."""
    codes = [code_of_name(name) for name in names]
    if any(code is None or 255 < code < _COLOUR for code in codes):
        return np.array([APART[c % len(APART)] for c in range(len(names))], np.uint8)
    rgb = [
        [(code >> shift) & 255 for shift in (16, 8, 0)] if code >= _COLOUR else [code] * 3
        for code in codes
        if code is not None
    ]
    return np.array(rgb, np.uint8)


APART = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (255, 255, 255),
)  # fmt: skip
"""Colours that the colour-blind can tell apart."""


@dataclass(frozen=True)
class Values:
    """Which grey levels and colours occur in a mask."""

    counts: Mapping[int, int]
    """Value → pixels."""
    solid: frozenset[int]
    """Values that fill a square of 3 × 3 pixels somewhere: no edge between two others does."""


def values_in(codes: Codes, name: str) -> Values:
    """Which values occur in a mask.

    Args:
        codes: (H, W) of it.
        name: what it is called in messages.

    Raises:
        DataError: it holds so many that it is a photograph.
    """
    values, counts = np.unique(codes, return_counts=True)
    if len(values) > _MANY:
        raise DataError(
            f"{name} must have one grey level or colour per class, got {len(values):,} different ones: {_PHOTO}"
        )
    same = np.ones((max(codes.shape[0] - 2, 0), max(codes.shape[1] - 2, 0)), bool)
    middle = codes[1:-1, 1:-1]
    for down in range(3):
        for right in range(3):
            same &= codes[down : down + same.shape[0], right : right + same.shape[1]] == middle
    return Values(dict(zip(values.tolist(), counts.tolist(), strict=True)), frozenset(np.unique(middle[same]).tolist()))


_PHOTO = "it looks like a photograph. Name the folder of the masks masks/, and save them as PNG without smooth edges."


def classes_among(each: Iterable[Values], source: str) -> tuple[tuple[int, ...], float]:
    """Which values of all masks together are classes, and the share of pixels that are none but lie between two.

    A value that nowhere fills a square of 3 × 3 pixels, and lies between two that do, is that of a smooth edge.

    Args:
        each: of all masks.
        source: where they lie, for messages.

    Raises:
        DataError: there are too many classes, or one alone.
    """
    counts: dict[int, int] = {}
    solid: set[int] = set()
    for one in each:
        solid |= one.solid
        for value, count in one.counts.items():
            counts[value] = counts.get(value, 0) + count
    classes = tuple(
        value for value in sorted(counts) if value in solid or not _between(value, sorted(solid)[:MOST_CLASSES])
    )
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"the masks in {source} must have one grey level or colour per class, at most {MOST_CLASSES}, got "
            f"{len(classes)}. If things are numbered one by one, give all of a kind the same value; if these are "
            "photographs, they are no masks."
        )
    if len(classes) < 2:
        raise DataError(
            f'every pixel of every mask in {source} has the same value, "{name_of_code(classes[0])}": there is nothing '
            "to tell apart. Mark a second class in some of them."
        )
    return classes, sum(counts[value] for value in counts if value not in classes) / sum(counts.values())


def _between(value: int, others: Sequence[int]) -> bool:
    """Whether a value lies between two others in every channel."""
    own = np.array(_rgb(value))
    table = np.array([_rgb(other) for other in others]).reshape(-1, 3)
    low, high = np.minimum(table[:, None], table[None]), np.maximum(table[:, None], table[None])  # (n, n, 3)
    return bool(((low <= own) & (own <= high)).all(-1).any())


def _rgb(code: int) -> tuple[int, int, int]:
    return (code,) * 3 if code < _COLOUR else ((code >> 16) & 255, (code >> 8) & 255, code & 255)


def numbered(codes: Codes, classes: Sequence[int]) -> Map:
    """Values as numbers of classes; one that is none as the nearest of them. (H, W) → (H, W)."""
    found, at = np.unique(codes, return_inverse=True)
    table = np.array([_rgb(value) for value in classes], np.float64)
    nearest = [
        classes.index(value) if value in classes else int(np.square(table - _rgb(value)).sum(1).argmin())
        for value in found.tolist()
    ]
    return np.asarray(np.array(nearest, np.uint8)[at].reshape(codes.shape), np.uint8)


def mask_of(cell: str, names: Sequence[str], item: Any) -> Map:
    """The class of every pixel of a picture as it is seen upright, (H, W), as numbers into ``names``.

    Args:
        cell: the label of its row.
        names: the classes, among which all of the mask are.
        item: the picture.

    Raises:
        DataError: the mask cannot be read, or is of another size.
    """
    marked, (width, height) = Outlined.of_cell(cell), full_size(item)
    if not marked.file:
        return drawn(marked, names, width, height)
    codes = codes_of(Path(marked.file))
    check_size(codes.shape, width, height, marked.file)
    known = [code for name in names if (code := code_of_name(name)) is not None]
    return numbered(codes, known)


def check_size(shape: tuple[int, ...], width: int, height: int, name: str) -> None:
    """Refuse a mask that does not lie over its picture.

    Raises:
        DataError: it is of another size.
    """
    if shape != (height, width):
        raise DataError(
            f"{name} must have the size of its picture, {width} x {height}, got {shape[1]} x {shape[0]}. Make it so, "
            "without smoothing (nearest neighbour)"
        )


def drawn(marked: Outlined, names: Sequence[str], width: int, height: int) -> Map:
    """Outlines as the class of every pixel, (height, width); those that come later lie above."""
    picture = Image.new("L", (width, height), names.index(BACKGROUND) if BACKGROUND in names else 0)
    pen = ImageDraw.Draw(picture)
    for name, polygons in marked.outlines:
        for one in polygons:
            pen.polygon(list(zip(one[::2], one[1::2], strict=True)), fill=names.index(name))
    return np.asarray(picture, np.uint8)


def written(classes: Map, names: Sequence[str]) -> Image.Image:
    """The class of every pixel as a picture that can be learned from again: grey levels where these will do. (H, W)."""
    table = colours_of(names)
    grey = bool((table == table[:, :1]).all())
    return Image.fromarray(table[classes, 0] if grey else table[classes])
