"""Which column of a table holds the items, and whether they are texts, images or sounds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from handful.data.cells import is_missing
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import PLURAL, kind_of
from handful.data.names import all_names, either
from handful.data.tables import Columns
from handful.errors import DataError, OptionError

# In lower case; a name in an earlier row is taken before one in a later row.
TEXT_NAMES = (
    ("text", "texts", "sentence"),
    ("content", "message", "body", "review", "question", "comment", "utterance", "description", "document", "input"),
)

# A text is guessed among several only where it is so many times longer than the next.
_LONGER = 3.0

_MISSING = {"image": "names of images", "sound": "names of sounds", "text": "texts"}
_HOLDS = {"": "nothing", "other": "lists or objects", "mixed": "different things", **PLURAL}


def choose_input(
    columns: Columns, source: str, named: str | None, modality: str | None, taken: Collection[str]
) -> tuple[str, str]:
    """Decide which column holds the items, and what they are.

    Args:
        columns: the table, or enough rows of it.
        source: its name, for messages.
        named: the column that the user named, which exists.
        modality: what it must hold, where the user or a model says so.
        taken: columns that are something else.

    Returns:
        (name, modality).

    Raises:
        OptionError: the named column holds something else, or several columns could be meant.
        DataError: no column can be the input.
    """
    if named:
        return named, _checked_kind(columns, source, named, modality)
    if modality == IMAGE_TEXT:
        raise OptionError(
            f"images with texts stand in two columns, and none are named of {source} ({all_names(columns.cells)}). "
            "Name both, as in --input IMAGE,TEXT."
        )
    free = [name for name in columns.cells if name not in taken]
    kinds = {name: kind_of(columns.cells[name]) for name in free}
    media = [name for name in free if kinds[name] in ("image", "sound") and modality in (None, kinds[name])]
    # Names of files are texts too, if the user says so.
    texts = [name for name in free if kinds[name] == "text" or (modality == "text" and kinds[name])]
    texts = [name for name in texts if modality in (None, "text")]
    best = _best_texts(columns, texts)
    well_known = [name for name in best if any(name.lower() in tier for tier in TEXT_NAMES)]
    candidates = media + well_known if media else best
    if len(candidates) == 1:
        return candidates[0], modality or kinds[candidates[0]]
    names = all_names(columns.cells)
    if candidates:
        two = well_known and "image" in [kinds[name] for name in media]
        both = ", or name both, joined by a comma, if images and texts belong together" if two else ""
        raise OptionError(f"the input of {source} could be {either(candidates)} ({names}). Choose with --input{both}.")
    what = _MISSING.get(modality or "", "texts or names of files")
    raise DataError(f"{source} has no column with {what} ({names}). Add one, or name it with --input.")


def choose_two(
    columns: Columns, source: str, named: tuple[str, str], modality: str | None, taken: Collection[str]
) -> tuple[tuple[str, str], str]:
    """What two columns are that were named as the input: two texts, or a picture and its text.

    Args:
        columns: the table, or enough rows of it.
        source: its name, for messages.
        named: the columns, which exist.
        modality: what they must hold, where the user or a model says so.
        taken: columns that are something else.

    Returns:
        The columns, that of pictures before that of texts, and the modality of an item.

    Raises:
        OptionError: they hold something else.
    """
    if named[0] == named[1]:
        raise OptionError(f'--input names column "{named[0]}" of {source} twice. Name another for one of the two.')
    kinds = [kind_of(columns.cells[name]) for name in named]
    files = [name for name, kind in zip(named, kinds, strict=True) if kind in ("image", "sound")]
    if modality == IMAGE_TEXT or (modality is None and files):
        if sorted(kinds) not in (["", "image"], ["image", "text"]):
            got = " and ".join(_HOLDS[kind] for kind in kinds)
            raise OptionError(
                f'columns "{named[0]}" and "{named[1]}" of {source} must hold names of images and texts, or two texts, '
                f"got {got}. Name others with --input, or take names of files as texts with --as text."
            )
        return (named if kinds[0] == "image" else (named[1], named[0])), IMAGE_TEXT
    for name in named:
        choose_input(columns, source, name, "text", taken)
    return named, "text"


def input_note(name: str, modality: str) -> str:
    """What to tell the user about a guessed input column."""
    return f'column "{name}" is taken as the {modality}; use --input to choose another'


def pair_note(names: Sequence[str]) -> str:
    """What to tell the user about two guessed columns."""
    first, second = names
    return (
        f'columns "{first}" and "{second}" are taken as two texts that belong together; use --input to choose another'
    )


def joined(named: str | Sequence[str] | None) -> str | None:
    """Columns in the one text that names them all, whether they are given as such or as a list."""
    return named if named is None or isinstance(named, str) else ",".join(named)


def named_columns(named: str, columns: Collection[str]) -> tuple[str, ...]:
    """The names of columns that an option names: one that is called so, or those that commas part."""
    return (named,) if named in columns else tuple(name.strip() for name in named.split(","))


def _checked_kind(columns: Columns, source: str, name: str, modality: str | None) -> str:
    kind = kind_of(columns.cells[name])
    if modality == "text" and kind in ("image", "sound", "mixed"):
        kind = "text"
    if kind in PLURAL and modality in (None, kind):
        return kind
    needed, holds = PLURAL[modality] if modality else "texts, images or sounds", _HOLDS[kind]
    raise OptionError(f'column "{name}" of {source} must hold {needed}, got {holds}. Choose another with --input.')


def _best_texts(columns: Columns, names: Sequence[str]) -> list[str]:
    """The columns that are most likely the text: one where it is clear, several where it is not."""
    for tier in TEXT_NAMES:
        known = [name for name in names if name.lower() in tier]
        if known:
            return known
    sentences = [name for name in names if _share(columns.cells[name], _has_words) >= 0.5]
    candidates = sentences or [
        name for name in names if _share(columns.cells[name], lambda text: any(map(str.isalpha, text))) >= 0.5
    ]
    if len(candidates) < 2:
        return candidates
    length = {name: sum(len(cell or "") for cell in columns.cells[name]) for name in candidates}
    first, second = sorted(candidates, key=lambda name: -length[name])[:2]
    return [first] if length[first] >= _LONGER * length[second] else candidates


def _has_words(text: str) -> bool:
    """Whether there are several words in it; a day and an hour are none."""
    return " " in text.strip() and any(map(str.isalpha, text))


def _share(cells: Sequence[str | None], holds: Callable[[str], bool]) -> float:
    texts = [cell for cell in cells if isinstance(cell, str) and not is_missing(cell)]
    return sum(map(holds, texts)) / max(1, len(texts))
