"""Folders of images or sounds: found in sorted order, the class of each file read from its folder's name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from handful.data.cells import label_text, shown
from handful.data.classes import check_targets
from handful.data.columns import SPLITS
from handful.data.dataset import Dataset
from handful.data.items import PLURAL, media_kind, media_problem
from handful.data.names import listed
from handful.data.tables import TABLE_SUFFIXES
from handful.errors import DataError, MachineError

# Written by operating systems and archivers, never by the user.
_CLUTTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r"})


@dataclass
class Walk:
    """Walks a folder, following links but never in circles; afterwards it can say what it passed by."""

    root: Path
    """The folder."""
    others: Counter[str] = field(default_factory=Counter)
    """Suffix → files that are neither images nor sounds, hidden ones left out."""
    tables: list[Path] = field(default_factory=list)
    """Tables among these."""
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
            if entry.name.startswith(".") or entry.name.lower() in _CLUTTER:
                continue
            if _is_folder(entry):
                if self._may_enter(entry):
                    self.entered.append(path)
                    yield from self._below(path)
            elif modality := media_kind(entry.name):
                yield path, modality
            else:
                self.others[path.suffix.lower()] += 1
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


def read_folder(root: Path, modality: str | None = None) -> Dataset:
    """Read ``CLASS/…``, or ``train/CLASS/…`` and ``test/CLASS/…``, where files lie at any depth below their class.

    Files are not decoded; empty and forbidden ones are found.

    Args:
        root: the folder.
        modality: image or sound, where the folder holds both.

    Returns:
        Labelled paths; ``rows`` counts the files of that modality in sorted path order.

    Raises:
        DataError: no media, both images and sounds, no class folders, one class only, or too many unreadable files.
        MachineError: a folder cannot be opened.
    """
    walk = Walk(root)
    media = list(walk.files())
    modality = modality or _only_modality(root, media)
    paths = [path for path, kind in media if kind == modality]
    if not paths:
        raise DataError(_no_media(walk, modality, len(media)))
    parts = [path.relative_to(root).parts[:-1] for path in paths]
    split = _splits(root, paths, parts)
    labels = [part[1:2] if split else part[:1] for part in parts]
    if not any(labels):
        raise DataError(_unlabelled(walk, modality, len(paths)))
    placed = [i for i, label in enumerate(labels) if label]
    dataset = Dataset(
        items=[paths[i] for i in placed],
        modality=modality,
        labels=tuple(label_text(shown(labels[i][0])) for i in placed),
        split=tuple(split[i] for i in placed) if split and "test" in split else None,
        rows=tuple(placed),
        source=shown(str(root)),
        notes=tuple(_notes(walk, media, modality, parts, len(paths) - len(placed), split)),
    )
    problems = {i: why for i, path in enumerate(dataset.items) if (why := media_problem(path, modality))}
    dataset = dataset.without(problems)
    odd = check_targets(dataset, "folder names", _one_class_remedy(root))
    return replace(dataset, notes=(*dataset.notes, *odd))


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


def _unlabelled(walk: Walk, modality: str, count: int) -> str:
    advice = "Make a sub-folder for each class and move the files there"
    if walk.tables:
        advice += f", or give the table, if it holds the labels: {shown(str(walk.tables[0]))}"
    return (
        f"{shown(str(walk.root))} holds {count} {PLURAL[modality]} without labels: "
        f"they must lie in one sub-folder per class. {advice}."
    )


def _splits(root: Path, paths: Sequence[Path], parts: Sequence[tuple[str, ...]]) -> list[str]:
    """Train or test per file, where that is what the folders at the top are; otherwise nothing."""
    tops = {part[0] for part in parts if part}
    if not tops or not all(top.lower() in SPLITS for top in tops) or not any(len(part) > 1 for part in parts):
        return []
    if "train" not in {SPLITS[top.lower()] for top in tops}:
        return []
    for path, part in zip(paths, parts, strict=True):
        if len(part) == 1:
            raise DataError(
                f"{shown(str(root / part[0]))} must hold one sub-folder per class, got {shown(path.name)} directly "
                "in it. Move it into the folder of its class."
            )
    return [SPLITS[part[0].lower()] if part else "" for part in parts]


def _one_class_remedy(root: Path) -> str:
    """What to do about a single class: often the folder of class folders is one level further down."""
    below = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    inner = [e for e in below[0].iterdir() if e.is_dir() and not e.name.startswith(".")] if len(below) == 1 else []
    if len(inner) > 1:
        return f"If the folders in {shown(str(below[0]))} are the classes, give that folder."
    return "Put the files of each class into a sub-folder of its own."


def _notes(
    walk: Walk,
    media: Sequence[tuple[Path, str]],
    modality: str,
    parts: Sequence[tuple[str, ...]],
    loose: int,
    split: Sequence[str],
) -> Iterator[str]:
    if split:
        names = sorted({part[0] for part in parts if part})
        counts = Counter(split)
        others = [
            name for name in names if SPLITS[name.lower()] == "train" and name.lower() not in ("train", "training")
        ]
        also = f"; {listed(others)} is used for training" if others else ""
        yield (
            f"folders {listed(names)} are honoured as the split: "
            f"{counts['train']} to train, {counts['test']} to test{also}"
        )
    if loose:
        yield f"{loose} {PLURAL[modality]} outside the class folders left out"
    if len(media) > len(parts):
        yield f"{len(media) - len(parts)} files of another kind than {modality} left out"
    if walk.others:
        names = [suffix or "no suffix" for suffix, _ in walk.others.most_common()]
        yield f"{sum(walk.others.values())} other files left out ({', '.join(names[:3])})"
    depth = 2 if split else 1
    filled = {path.relative_to(walk.root).parts[:depth] for path, _ in media}
    for folder in walk.entered:
        place = folder.relative_to(walk.root).parts
        if len(place) == depth and place not in filled:
            yield f'folder "{shown("/".join(place))}" holds no images or sounds, so it is no class'
    for link in walk.links:
        yield f"link {shown(str(link))} not followed: it leads back to a folder that is read already"
