"""Folders of images or sounds: found in sorted order; the names of folders say class and split of a file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from handful.data.cells import label_text, shown
from handful.data.classes import checked_targets
from handful.data.dataset import Dataset
from handful.data.items import PLURAL, media_problem
from handful.data.media_names import media_kind
from handful.data.names import listed
from handful.data.normal import NORMAL, as_defects, looks_like_defects, names_normal
from handful.data.split_names import SPLITS
from handful.data.tables import TABLE_SUFFIXES
from handful.data.targets import BOXES, DEFECTS, MASKS
from handful.errors import DataError, MachineError

CLUTTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"})
"""Written by operating systems and archivers, never by the user; in small letters."""


INSTEAD = {
    "text": "Write the texts into a CSV file with one column of texts and one of labels.",
    "language": 'Write the rows into a JSON lines file with "prompt" and "response".',
}
"""What no folder holds → what to do."""


@dataclass
class Walk:
    """Walks a folder, following links but never in circles; afterwards it can say what it passed by."""

    root: Path
    """The folder."""
    others: Counter[str] = field(default_factory=Counter)
    """Suffix → files that are neither images nor sounds, hidden ones left out."""
    tables: list[Path] = field(default_factory=list)
    """Tables among these."""
    beside: list[Path] = field(default_factory=list)
    """All of these."""
    links: list[Path] = field(default_factory=list)
    """Links to a folder that is, or holds, a folder walked already."""
    entered: list[Path] = field(default_factory=list)
    """Folders that were walked."""

    def files(self) -> Iterator[tuple[Path, str]]:
        """Every image and sound with its modality, in the order of the parts of its path."""
        self._real = {os.path.realpath(self.root)}
        yield from self._below(self.root)

    def _below(self, folder: Path) -> Iterator[tuple[Path, str]]:
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise MachineError(
                f"folder {shown(str(folder))} cannot be opened: {error.strerror}. Check its permissions."
            ) from error
        for entry in found:
            path = folder / entry.name
            if entry.name.startswith(".") or entry.name.lower() in CLUTTER:
                continue
            if _is_folder(entry):
                if self._may_enter(entry):
                    self.entered.append(path)
                    yield from self._below(path)
            elif modality := media_kind(entry.name):
                yield path, modality
            else:
                self.others[path.suffix.lower()] += 1
                self.beside.append(path)
                if path.suffix.lower() in TABLE_SUFFIXES:
                    self.tables.append(path)

    def _may_enter(self, entry: os.DirEntry[str]) -> bool:
        """A link is entered once, and only where it leads out of everything walked so far."""
        if not entry.is_symlink():
            return True
        target = os.path.realpath(entry.path)
        for real in self._real:
            if os.path.commonpath([real, target]) in (real, target):
                self.links.append(Path(entry.path))
                return False
        self._real.add(target)
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: no folder, and as a file it will be called unreadable
        return False


def read_folder(root: Path, modality: str | None = None, task: str | None = None, whole: bool = True) -> Dataset:
    """Read ``CLASS/…``, ``train/CLASS/…`` and ``test/CLASS/…``, or ``CLASS/train/…`` and ``CLASS/test/…``.

    Files lie at any depth below these. Names of parts of a split (train, val, test and the like) are never classes.
    Files are not decoded; empty and forbidden ones are found. Files in no folder of a class are normal items where that
    is asked for, or where the name of the folder says so.

    Args:
        root: the folder.
        modality: image or sound, where the folder holds both.
        task: what the classes are; None: where one of them is called normal, and others are few, they are defects.
        whole: whether it is all that is learned from; a part of that may hold one class.

    Returns:
        Labelled paths; ``rows`` counts the files of that modality in sorted path order.

    Raises:
        DataError: no media, both images and sounds, no class folders, one class only, too many unreadable files, or
            files of which the class cannot be said.
        MachineError: a folder cannot be opened.
    """
    walk = Walk(root)
    media = list(walk.files())
    modality = modality or _only_modality(root, media)
    paths = [path for path, kind in media if kind == modality]
    if not paths:
        raise DataError(_no_media(walk, modality, len(media)))
    if task == BOXES:
        return _boxed(walk, modality, paths, whole)
    if modality == "image" and task in (None, MASKS):
        from handful.data.masks import looks_like_masks, read_masks  # loads a decoder, which sounds have no use for

        why = "" if task == MASKS else looks_like_masks(root, paths)
        outlined = None if why else _outlined(walk, task)
        if task == MASKS or why or outlined:
            masked = outlined(paths) if outlined else read_masks(root, paths, why)
            return checked_targets(masked, "masks", "Mark a second class.") if whole else masked
    places = _places(root, paths)
    alone = not any(place.label or place.part for place in places)
    if alone and (task == DEFECTS or (task is None and names_normal(root))):
        places = [replace(place, label=root.name if names_normal(root) else NORMAL) for place in places]
    labelled = [i for i, place in enumerate(places) if place.label]
    if not labelled:
        raise DataError(_unlabelled(walk, modality, places, _what_else(walk, paths)))
    split = tuple(places[i].split or "train" for i in labelled)
    dataset = Dataset(
        items=[paths[i] for i in labelled],
        modality=modality,
        labels=tuple(label_text(shown(places[i].label)) for i in labelled),
        split=split if "test" in split else None,
        rows=tuple(labelled),
        source=shown(str(root)),
        notes=tuple(_notes(walk, media, modality, places)),
    )
    problems = {i: why for i, path in enumerate(dataset.items) if (why := media_problem(path, modality))}
    dataset = dataset.without(problems)
    why = looks_like_defects(dataset) if task is None else ""
    if alone and task is None:
        why = f"{shown(root.name)} holds {len(dataset)} {PLURAL[modality]} without classes, and its name says good ones"
    if task == DEFECTS or why:
        dataset = as_defects(dataset, why)
    return checked_targets(dataset, "folder names", partial(_one_class_remedy, walk, paths)) if whole else dataset


def _boxed(walk: Walk, modality: str, paths: Sequence[Path], whole: bool) -> Dataset:
    """Pictures with boxes around things in them."""
    from handful.data.boxed_pictures import read_boxes  # loads a decoder, which sounds have no use for

    if modality != "image":
        raise DataError(
            f"boxes must be around things in pictures, got {len(paths)} sounds in {shown(str(walk.root))}. Mark what "
            "happens when in recordings by --task events."
        )
    boxed = read_boxes(walk.root, paths, walk.beside)
    return checked_targets(boxed, "boxes", "Mark more things.") if whole else boxed


def _outlined(walk: Walk, task: str | None) -> Callable[[Sequence[Path]], Dataset] | None:
    """What reads pictures with outlines, where one file of the folder holds these and that is asked for; else None."""
    if task != MASKS:
        return None
    from handful.data.outlines import coco_file, read_outlines

    file = coco_file(walk.tables)
    return None if file is None else lambda paths: read_outlines(file, paths, shown(str(walk.root)))


def _only_modality(root: Path, found: Sequence[tuple[Path, str]]) -> str:
    counts = Counter(kind for _, kind in found)
    if len(counts) < 2:
        return next(iter(counts), "")
    first = {kind: next(path for path, k in found if k == kind).relative_to(root) for kind in ("image", "sound")}
    raise DataError(
        f"{shown(str(root))} holds both images ({counts['image']}, such as {shown(str(first['image']))}) and sounds "
        f"({counts['sound']}, such as {shown(str(first['sound']))}); it must hold one kind. Move one kind elsewhere."
    )


def _no_media(walk: Walk, modality: str, others: int) -> str:
    name = shown(str(walk.root))
    if modality and others:
        other = "sounds" if modality == "image" else "images"
        return f"{name} must hold {PLURAL[modality]}, got {others} {other} only. Choose another folder."
    kinds = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in walk.others.most_common(3))
    holds = f"only other files ({kinds})" if kinds else "nothing"
    advice = f"Give the table itself: {shown(str(walk.tables[0]))}" if walk.tables else "Choose another folder."
    return f"{name} must hold images or sounds in one sub-folder per class, got {holds}. {advice}"


@dataclass(frozen=True)
class _Place:
    """What the folders of one file say."""

    label: str
    """The name of the class; empty where the file lies in none."""
    part: str = ""
    """The name of the folder that says the split; empty where there is none."""

    @property
    def split(self) -> str:
        """``train`` or ``test``; empty where no folder says so."""
        return SPLITS.get(self.part.lower(), "")


def _places(root: Path, paths: Sequence[Path]) -> list[_Place]:
    """What the folders of each file say.

    Raises:
        DataError: a file lies directly in a folder that is called like a part to train on: its class is missing.
    """
    folders = [path.relative_to(root).parts[:-1] for path in paths]
    inside = {part[1].lower() for part in folders if len(part) > 1 and part[0].lower() not in SPLITS}
    below = bool(inside) and inside <= SPLITS.keys() and "train" in {SPLITS[name] for name in inside}
    places = []
    for part in folders:
        if part and part[0].lower() in SPLITS:
            places.append(_Place(part[1] if len(part) > 1 else "", part[0]))
        elif below and len(part) > 1:
            places.append(_Place(part[0], part[1]))
        else:
            places.append(_Place(part[0] if part else ""))
    if any(place.label for place in places):
        for path, place in zip(paths, places, strict=True):
            if place.split == "train" and not place.label:
                raise DataError(
                    f"{shown(str(root / place.part))} must hold one sub-folder per class, got {shown(path.name)} "
                    f'directly in it. Move it into the folder of its class; if "{shown(place.part)}" is a class and no '
                    "part of a split, give that folder another name."
                )
    return places


def _what_else(walk: Walk, paths: Sequence[Path]) -> str:
    """Which kind of target files without two classes may have, by what lies beside them; begins with an if."""
    from handful.data.box_files import formats_of  # needed where something is refused alone
    from handful.data.tracks import track_of

    if boxes := next((files for files in formats_of(walk.beside).values() if files), None):
        return f"if {shown(boxes[0].name)} tells of boxes around things, --task boxes learns to find these."
    if track := next((file for path in paths if (file := track_of(path))), None):
        return f"if {shown(track.name)} tells what happens when, --task events learns that."
    return "if all of them show good things, --task defects learns what is unlike them."


def _unlabelled(walk: Walk, modality: str, places: Sequence[_Place], otherwise: str) -> str:
    name, count = shown(str(walk.root)), len(places)
    parts = sorted({place.part for place in places if place.part})
    if parts:
        return (
            f"{name} must hold one sub-folder per class, got {listed(parts)} only: folders that are called so are "
            "parts of a split and no classes. Put the files of each class into a folder of its own, such as "
            f'"{shown(parts[0])}/CLASS"; if these are classes, give them other names, or write {PLURAL[modality]} and '
            "labels into metadata.csv."
        )
    advice = "Make a sub-folder for each class and move the files there"
    if walk.tables:
        advice += f", or give the table, if it holds the labels: {shown(str(walk.tables[0]))}"
    return (
        f"{name} holds {count} {PLURAL[modality]} without labels: they must lie in one sub-folder per class. {advice}. "
        f"{otherwise[0].upper()}{otherwise[1:]}"
    )


def _one_class_remedy(walk: Walk, paths: Sequence[Path]) -> str:
    """What to do about a single class: often the folder of class folders is one level further down."""
    below = [entry for entry in sorted(walk.root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    inner = [e for e in below[0].iterdir() if e.is_dir() and not e.name.startswith(".")] if len(below) == 1 else []
    if len(inner) > 1:
        return f"If the folders in {shown(str(below[0]))} are the classes, give that folder."
    return f"Put the files of each class into a sub-folder of its own; {_what_else(walk, paths)}"


def _notes(walk: Walk, media: Sequence[tuple[Path, str]], modality: str, places: Sequence[_Place]) -> Iterator[str]:
    labelled = [place for place in places if place.label]
    parts = sorted({place.part for place in labelled if place.part})
    if parts:
        counts = Counter(place.split or "train" for place in labelled)
        others = [
            name for name in parts if name.lower() not in ("train", "training") and SPLITS[name.lower()] == "train"
        ]
        also = f"; {listed(others)} is used for training" if others else ""
        which = f"folders {listed(parts)} are" if len(parts) > 1 else f"folder {listed(parts)} is"
        yield f"{which} honoured as the split: {counts['train']} to train, {counts['test']} to test{also}"
    tests = Counter(place.part for place in places if place.part and not place.label)
    for name, count in tests.items():
        yield (
            f'{count} {PLURAL[modality]} directly in "{shown(name)}" have no class and are left out; `handful predict` '
            "answers them"
        )
    if loose := len(places) - len(labelled) - tests.total():
        yield f"{loose} {PLURAL[modality]} outside the class folders left out"
    if len(media) > len(places):
        yield f"{len(media) - len(places)} files of another kind than {modality} left out"
    if walk.others:
        names = [suffix or "no suffix" for suffix, _ in walk.others.most_common()]
        yield f"{sum(walk.others.values())} other files left out ({', '.join(names[:3])})"
    if walk.tables:
        names = ["/".join(path.relative_to(walk.root).parts) for path in walk.tables]
        yield f"{listed(names)} not read, because the folders are the classes; give the table itself to learn from it"
    yield from _empty_folders(walk, [path for path, _ in media])
    for link in walk.links:
        yield f"link {shown(str(link))} not followed: it leads back to a folder that is read already"


def _empty_folders(walk: Walk, files: Sequence[Path]) -> Iterator[str]:
    """Folders that would be classes if there was anything in them."""
    filled = {path.relative_to(walk.root).parts[:depth] for path in files for depth in (1, 2)}
    for folder in walk.entered:
        place = folder.relative_to(walk.root).parts
        depth = 2 if place[0].lower() in SPLITS else 1
        if len(place) == depth and place not in filled:
            yield f'folder "{shown("/".join(place))}" holds no images or sounds, so it is no class'
