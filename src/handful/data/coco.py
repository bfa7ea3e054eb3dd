"""COCO JSON: which files say what lies in which picture, and where these pictures are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handful.data.images import full_size
from handful.errors import DataError
from handful.readback import parsed


def is_coco(path: Path) -> bool:
    """Whether a file is such a one."""
    if path.suffix.lower() != ".json":
        return False
    try:
        raw = parsed(path)
    except (ValueError, OSError, RecursionError):
        return False
    return isinstance(raw, dict) and all(isinstance(raw.get(name), list) for name in ("images", "annotations"))


def pictures_named(
    images: Sequence[Mapping[str, Any]], file: Path, pictures: Sequence[Path]
) -> tuple[dict[Any, Path], list[str]]:
    """Picture → its file, and the names of those that are not there; by path, else by a name that no other has.

    Args:
        images: what the file says of pictures.
        file: where it lies.
        pictures: all picture files of the folder.
    """
    there, by_name = set(pictures), Counter(path.name for path in pictures)
    alone = {path.name: path for path in pictures if by_name[path.name] == 1}
    found: dict[Any, Path] = {}
    lost = []
    for one in images:
        name = str(one["file_name"])
        path = file.parent / name
        path = path if path in there else alone.get(Path(name).name, path)
        if path in there:
            found[one["id"]] = path
        else:
            lost.append(name)
    return found, lost


def size_problem(path: Path, drawn_on: tuple[Any, Any] | None, what: str) -> str:
    """What is wrong where things were marked on a picture of another size; empty where nothing is.

    Args:
        path: the picture.
        drawn_on: width and height of the one that they were marked on, None or nothing where that is not said.
        what: what was marked, such as ``outlines``.
    """
    try:
        size = full_size(path)
    except DataError as error:
        return str(error)
    width, height = drawn_on or (None, None)
    if width and height and (width, height) != size:
        return (
            f"{path} is {size[0]} x {size[1]}, but its {what} were made on {width} x {height}. Give the picture of then"
        )
    return ""
