"""Names of files in a table: where they lead, and which files are meant by names that lead nowhere."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from handful.data.cells import is_missing, shown
from handful.data.media_names import media_kind
from handful.data.names import in_a_row

# Folders and files that are looked at below a table: it may lie in a folder with everything that somebody has.
_MOST_ENTRIES = 20_000

# Files that are offered for one name.
_OFFERED = 3

# Names are mostly different, and nearly all of them must be those of files.
_DIFFERENT, _NEARLY_ALL = 0.5, 0.9
_LONGEST_NAME = 100


class Nearby:
    """The pictures and sounds below the folder of a table, looked for when they are first asked for.

    Names in a list start in the working folder, which may hold anything: nothing is looked for below it.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder or Path()
        self._below_a_table = folder is not None

    def path(self, name: str) -> Path:
        """Where a name leads; one that was written on Windows, with its separators, is understood elsewhere."""
        path = self.folder / name
        if "\\" not in name or os.sep == "\\" or _exists(path):
            return path
        turned = self.folder / name.replace("\\", "/")
        return turned if _exists(turned) else path

    def called(self, name: str) -> list[str]:
        """The files whose last part is the same, relative to the folder; capital letters do not matter."""
        return self._files.get(_last(name), [])

    def stem(self, name: str) -> str:
        """The first file that has this name with an ending, relative to the folder; empty where there is none."""
        wanted = name.replace("\\", "/").casefold()
        return next((f for f in self._stems.get(_last(name), []) if _is_end(wanted, f)), "")

    @cached_property
    def _files(self) -> dict[str, list[str]]:
        files = defaultdict(list)
        looked = 0 if self._below_a_table else _MOST_ENTRIES
        for root, folders, names in os.walk(self.folder):
            if looked >= _MOST_ENTRIES:
                break
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            looked += len(folders) + len(names)
            below = Path(root).relative_to(self.folder)
            for name in sorted(names):
                if not name.startswith(".") and media_kind(name):
                    files[name.casefold()].append((below / name).as_posix())
        return files

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        stems = defaultdict(list)
        for name, files in self._files.items():
            stems[PurePosixPath(name).stem].extend(files)
        return stems


def offer(nearby: Nearby, name: str) -> str:
    """What to say about a file that does not exist: which ones of that name there are."""
    files = nearby.called(name)[:_OFFERED]
    if not files:
        return ""
    does, that = ("does", "that") if len(files) == 1 else ("do", "the one you mean")
    return f", but {in_a_row([shown(file) for file in files])} {does}: write {that}"


def names_without_endings(cells: Sequence[Any], column: str, source: str, folder: Path) -> str:
    """Say that a column holds names of pictures or sounds without their endings; an empty string where it does not.

    Args:
        cells: the column.
        column: its name.
        source: the table, for the message.
        folder: where it lies.
    """
    names = [cell.strip() for cell in cells if isinstance(cell, str) and not is_missing(cell)]
    if len(set(names)) < _DIFFERENT * len(cells) or not all(len(name) <= _LONGEST_NAME for name in names):
        return ""
    nearby = Nearby(folder)
    found = {name: file for name in names if (file := nearby.stem(name))}
    if not found or sum(name in found for name in names) < _NEARLY_ALL * len(names):
        return ""
    name, file = next(iter(found.items()))
    return (
        f'column "{shown(column)}" of {source} holds names of {media_kind(file)}s without their endings: '
        f'"{shown(name)}" is {shown(file)}. Write the whole names into it, such as "{shown(file)}"; '
        "to learn from the names themselves, add --as text (in Python modality='text')."
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _last(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].casefold()


def _is_end(wanted: str, file: str) -> bool:
    """Whether a name is that of a file without its ending, with all, some or none of its folders."""
    whole = PurePosixPath(file).with_suffix("").as_posix().casefold()
    return f"/{whole}".endswith(f"/{wanted}")
