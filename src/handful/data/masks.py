"""Pictures with masks beside them: which mask belongs to which picture, what its classes are, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handful.data.cells import shown
from handful.data.dataset import Dataset
from handful.data.images import full_size
from handful.data.mask_files import (
    Outlined,
    Values,
    check_size,
    classes_among,
    codes_of,
    name_of_code,
    numbered,
    values_in,
)
from handful.data.names import listed
from handful.data.split_names import SPLITS
from handful.data.targets import MASKS
from handful.errors import DataError

FEWEST_MASKS = 3
"""Fewer different pictures than this cannot be learned from, chosen by and scored on."""

MASK_FOLDERS = frozenset({"masks", "mask", "segmentation", "segmentations", "groundtruth", "ground_truth", "gt"})
"""What folders of masks are called, in small letters."""
PICTURE_FOLDERS = frozenset({"images", "image", "imgs", "img", "pictures", "photos"})
"""What folders of pictures beside them are called."""
SUFFIXES = ("_mask", "-mask", "_masks", "_seg", "_gt", "_labels")
"""What stands behind the name of a picture in that of its mask, where both lie in one folder."""

# How many files without a partner are named.
_NAMED = 3


@dataclass(frozen=True)
class Paired:
    """Pictures and masks of one folder."""

    pairs: tuple[tuple[Path, Path], ...]
    """Picture and mask."""
    naming: str
    """By what they were found, in words."""
    alone: tuple[Path, ...]
    """Pictures without a mask."""
    orphans: tuple[Path, ...]
    """Masks without a picture."""


def paired(root: Path, pictures: Sequence[Path]) -> Paired:
    """Which of the pictures in a folder are masks of which others; by the names of folders, else by those of files."""
    masks = {path for path in pictures if _mask_key(root, path) is not None}
    if masks:
        folder = min(_mask_folder(root, path) for path in masks)
        naming = f'masks lie in "{folder}" under the names of their pictures'
        keys = {path: _mask_key(root, path) for path in masks}
    else:
        masks = {path for path in pictures if _without_suffix(path) is not None}
        naming = 'masks are called as their pictures, with "_mask" behind the name'
        keys = {path: (path.parent.relative_to(root).parts, _without_suffix(path) or "") for path in masks}
    by_key = {key: path for path, key in keys.items()}
    pairs, alone, used = [], [], set()
    for path in pictures:
        if path in masks:
            continue
        mask = by_key.get(_picture_key(root, path))
        if mask is None:
            alone.append(path)
            continue
        pairs.append((path, mask))
        used.add(mask)
    return Paired(tuple(pairs), naming, tuple(alone), tuple(path for path in pictures if path in masks - used))


def looks_like_masks(root: Path, pictures: Sequence[Path]) -> str:
    """Why a folder of pictures is rather one of pictures and their masks; empty where it is not."""
    if len(pictures) < 2:
        return ""
    found = paired(root, pictures)
    if len(found.pairs) < max(1, len(found.alone), len(found.orphans)):
        return ""
    picture, mask = found.pairs[0]
    return f"{shown(str(mask.relative_to(root)))} lies beside {shown(str(picture.relative_to(root)))}"


def read_masks(root: Path, pictures: Sequence[Path], why: str = "") -> Dataset:
    """Read pictures and the masks beside them; masks are decoded once, one after the other, pictures are not.

    Args:
        root: the folder.
        pictures: all picture files in it, in order.
        why: what speaks for it, where nobody asked for it.

    Raises:
        DataError: there are no pairs, too few of them, too many that cannot be read, or nothing to tell apart.
    """
    partners = paired(root, pictures)
    if not partners.pairs:
        raise DataError(
            f"{shown(str(root))} must hold pictures with masks beside them, got {len(pictures)} pictures and no "
            "mask. Put the masks into masks/ and the pictures into images/, under the same names, or call the mask "
            "of NAME.jpg NAME_mask.png."
        )
    values, failed = _looked_at(partners.pairs)
    rows = [i for i in range(len(partners.pairs)) if i not in failed]
    codes, smooth = classes_among([values[i] for i in rows], shown(str(root))) if rows else ((), 0.0)
    cells = [_cell(mask, values[i], codes) if i in values else "" for i, (_, mask) in enumerate(partners.pairs)]
    split = [_split(root, picture) for picture, _ in partners.pairs]
    data = Dataset(
        items=[picture for picture, _ in partners.pairs],
        modality="image",
        labels=tuple(cells),
        split=tuple(split) if "test" in split else None,
        source=shown(str(root)),
        task=MASKS,
        notes=tuple(_notes(root, partners, codes, smooth, why)),
    )
    return data.without(failed)


def check_masks(dataset: Dataset) -> tuple[str, ...]:
    """Refuse masks that nothing can be learned from.

    Returns:
        What is odd about them but no reason to refuse them, one sentence each.

    Raises:
        DataError: they are too few, or one class is everywhere.
    """
    train = dataset.part("train") if dataset.split else dataset
    if len(train) < FEWEST_MASKS:
        raise too_few(dataset.source, len(train))
    if len(train.classes) < 2:
        raise DataError(
            f'the masks in {dataset.source} have one class to learn from, "{train.classes[0]}": there is nothing to '
            "tell apart. Mark a second class in some of them."
        )
    once = sorted(name for name, count in train.counts.items() if count == 1)
    return (f"one picture only has {listed(once)}: whether it is found in others cannot be measured",) if once else ()


def too_few(source: str, different: int) -> DataError:
    """The error for pictures that cannot be held out from each other."""
    return DataError(
        f"{source} has {different} different {'picture' if different == 1 else 'pictures'} with a mask to learn from "
        f"(copies, and pictures of one group, count once); at least {FEWEST_MASKS} are needed: one to learn from, one "
        "to choose by and one to be scored on. Mark more."
    )


def _looked_at(pairs: Iterable[tuple[Path, Path]]) -> tuple[dict[int, Values], dict[int, str]]:
    """The values in each mask that lies over its picture, and why the others cannot be used."""
    values: dict[int, Values] = {}
    failed: dict[int, str] = {}
    for i, (picture, mask) in enumerate(pairs):
        try:
            codes = codes_of(mask)
            check_size(codes.shape, *full_size(picture), str(mask))
            values[i] = values_in(codes, str(mask))
        except DataError as error:
            failed[i] = str(error)
    return values, failed


def _cell(mask: Path, values: Values, codes: Sequence[int]) -> str:
    """The label of a row: the file, and the classes in it."""
    own = np.array(sorted(values.counts), np.int32)[None]
    classes = sorted({name_of_code(codes[number]) for number in np.unique(numbered(own, codes)).tolist()})
    return Outlined(tuple(classes), str(mask)).cell


def _notes(root: Path, found: Paired, codes: Sequence[int], smooth: float, why: str) -> Iterable[str]:
    if why:
        yield (
            f"task: masks, because {why}: the class of every pixel is learned; --task classification takes folders as "
            "classes"
        )
    yield f"{found.naming}; classes are grey levels or colours: {listed([name_of_code(code) for code in codes])}"
    if smooth:
        share = f"{100 * smooth:.1g} %"
        yield f"{share} of the pixels of masks lie on smooth edges between two classes: each counts as the nearer one"
    for files, what in ((found.alone, "without a mask"), (found.orphans, "without a picture")):
        if files:
            names = [str(path.relative_to(root)) for path in files[:_NAMED]]
            rest = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            thing = ("picture" if what == "without a mask" else "mask") + "s" * (len(files) > 1)
            yield f"{len(files)} {thing} {what} left out: {', '.join(map(shown, names))}{rest}"


def _mask_folder(root: Path, path: Path) -> str:
    """The folder on the way to a file that is called as those of masks are; empty where there is none."""
    return next((part for part in path.relative_to(root).parts[:-1] if part.lower() in MASK_FOLDERS), "")


def _mask_key(root: Path, path: Path) -> tuple[tuple[str, ...], str] | None:
    """Where the picture of a mask in a folder of masks lies; None where the file is in no such folder."""
    folder = _mask_folder(root, path)
    if not folder:
        return None
    parts = list(path.relative_to(root).parts[:-1])
    parts.remove(folder)
    return tuple(parts), _bare(path.stem)


def _picture_key(root: Path, path: Path) -> tuple[tuple[str, ...], str]:
    """The same of a picture: its folders without that of pictures, and its name without ending."""
    parts = list(path.relative_to(root).parts[:-1])
    folder = next((part for part in parts if part.lower() in PICTURE_FOLDERS), None)
    if folder is not None:
        parts.remove(folder)
    return tuple(parts), path.stem


def _bare(stem: str) -> str:
    """The name of a picture, of the name of its mask."""
    return next((stem[: -len(end)] for end in SUFFIXES if stem.lower().endswith(end) and len(stem) > len(end)), stem)


def _without_suffix(path: Path) -> str | None:
    """The name of the picture of a mask that lies beside it; None where the name is that of no mask."""
    return None if _bare(path.stem) == path.stem else _bare(path.stem)


def _split(root: Path, path: Path) -> str:
    """``test`` where the first folder says so."""
    first = path.relative_to(root).parts[0].lower()
    return SPLITS.get(first, "train")
