"""What a user names as a source: that it is there, what it is if no folder or table, and what an archive holds."""

from __future__ import annotations

from pathlib import Path

from handful.data.cells import shown
from handful.data.media_names import media_kind
from handful.errors import DataError, suggestion
from handful.files import kind_of_file, not_ordinary

ARCHIVE_SUFFIX = ".zip"
"""The ending of archives that are unpacked."""


def that_exists(source: str | Path) -> Path:
    """A source as the path of a folder or file; an archive is unpacked, and is then what was in it.

    Raises:
        DataError: there is no such file or folder, or the archive cannot be used. An empty text, as a script's empty
            variable gives it, is no source.
        MachineError: an archive cannot be unpacked on this machine.
    """
    if not str(source).strip():
        raise DataError("source must be a folder or a file, got an empty text. Name one.")
    path = Path(source)
    if not exists(path):
        raise DataError(_missing(path))
    if not is_archive(path):
        return path
    from handful.data.archives import unpacked  # a wrong name is answered without what reads what is in it

    return unpacked(path)


def is_archive(path: Path) -> bool:
    """Whether a path is that of a zip file, by its name."""
    return path.suffix.lower() == ARCHIVE_SUFFIX and not path.is_dir()


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a name that no file can have is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def nearest_name(path: Path) -> str:
    """What was probably meant by a path that does not exist, as ``suggestion`` says it; empty where nothing is near."""
    try:
        return suggestion(path.name, [shown(entry.name) for entry in path.parent.iterdir()])
    except (OSError, ValueError):  # The folder does not exist either: there is nothing to suggest.
        return ""


def _missing(path: Path) -> str:
    """The message for a path that does not exist, with the nearest name in its folder."""
    return f"{shown(str(path))} does not exist.{nearest_name(path) or ' Check the path.'}"


def wrong_kind(path: Path) -> str:
    """The message for a file that is no table, to be learned from."""
    from handful.data.tables import TABLE_SUFFIXES

    name, suffix = shown(str(path)), path.suffix.lower()
    if found := kind_of_file(path):
        return not_ordinary(path, found)
    kind = media_kind(path.name)
    if kind:
        return f"{name} is one {kind}; learning needs several per class. Give a folder with one sub-folder per class."
    if suffix == ".txt":
        return (
            f"{name} holds texts without labels. Write a CSV file with one column of texts and one of labels; or learn "
            "from texts alone with `handful adapt`."
        )
    if suffix == ".tm":
        return (
            f"{name} is a project of Teachable Machine. Open it there, choose Download Samples in the menu of each "
            "class, unpack what comes, and give a folder with one sub-folder per class."
        )
    if suffix in (".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"):
        return f"{name} is an archive. Unpack it, and give the folder or table that was in it."
    if suffix in (".npy", ".npz"):
        return (
            f"{name} holds vectors without labels. Give a table of labels, and the vectors beside it: handful tune "
            f"labels.csv --features {name}."
        )
    if suffix in (".xls", ".xlsb", ".ods", ".numbers"):
        return f"{name} is a spreadsheet of a kind that is not read. Save it as .xlsx or CSV, and give that file."
    return f"{name} must be a folder or a table ({', '.join(TABLE_SUFFIXES)}), got {suffix or 'no suffix'}. Rename it."
