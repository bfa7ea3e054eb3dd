"""Values that a user hands over as items: texts, file names, pictures, arrays, sounds; told apart and checked."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.cells import is_missing, shown
from handful.data.file_names import Nearby, offer
from handful.data.image_text import IMAGE_TEXT, ImageText
from handful.data.media_names import media_kind
from handful.data.pairs import is_two, make_pair
from handful.data.sentences import text_of_tokens
from handful.data.vectors import VECTORS, is_vector, make_vector
from handful.files import MEDIA_BYTES, kind_of_file, too_large

PLURAL = {"text": "texts", "image": "images", "sound": "sounds", VECTORS: "vectors", IMAGE_TEXT: "images with texts"}

# A column of file names may hold a few that lost their suffix.
_MEDIA_SHARE = 0.9

_ABSENT = "the file does not exist"

_EXPECTED = {
    "image": "the name of a picture file, a Pillow picture or an array of pixels",
    "sound": "the name of a sound file or a pair (samples, rate)",
}

# How the encoded pictures begin that a table may hold as bytes; RIFF needs a second look, it is WebP or WAVE.
_PICTURE_STARTS = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP")


def media_problem(path: Path, modality: str) -> str:
    """Say why a file cannot be an item, without decoding it; an empty string where nothing speaks against it."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return "a link to a file that does not exist" if path.is_symlink() else _ABSENT
    except OSError as error:
        return f"the file cannot be opened ({error.strerror or error})"
    except ValueError:  # a NUL character in the name
        return "this is not the name of a file"
    if kind := kind_of_file(path):
        return f"this is {kind}, not a file"
    if media_kind(path.name) != modality:
        return f"the suffix {path.suffix!r} is not one of {PLURAL[modality]}"
    if not size:
        return "the file is empty (0 bytes)"
    if why := too_large(size, MEDIA_BYTES):
        return f"the file {why}"
    if not os.access(path, os.R_OK):
        return "the file cannot be opened (Permission denied)"
    if modality == "sound":
        from handful.data.sounds import foreign

        return foreign(path)
    return ""


def kind_of(values: Iterable[Any]) -> str:
    """What a list or a column holds.

    Args:
        values: texts, None where something is missing, or objects.

    Returns:
        ``text``; ``vectors``; ``image+text``; ``image`` or ``sound`` (objects, or texts of which nearly all end like
        such files); ``mixed``; ``other`` (lists, dictionaries); or an empty string where everything is missing.
    """
    kinds = Counter(_kind(value) for value in values if not is_missing(value))
    total = sum(kinds.values())
    if not total:
        return ""
    files = 0
    for kind in ("image", "sound"):
        files += kinds[f"file {kind}"]
        if kinds[kind] + kinds[f"file {kind}"] >= _MEDIA_SHARE * total:
            return kind
    # A few names of files among ordinary texts are texts.
    plain = {"text" if kind.startswith("file ") else kind for kind in kinds}
    return plain.pop() if len(plain) == 1 and files < _MEDIA_SHARE * total else "mixed"


def _kind(value: Any) -> str:
    if is_two(value):
        return "text"
    if _is_image_text(value):
        return IMAGE_TEXT
    if isinstance(value, str):
        media = media_kind(value)
        return f"file {media}" if media else "text"
    if isinstance(value, Path):
        return media_kind(value.name) or "other"
    if _is_picture(value) or (isinstance(value, np.ndarray) and value.ndim in (2, 3)):
        return "image"
    if is_vector(value):
        return VECTORS
    if _is_pair(value) or (isinstance(value, Mapping) and {"array", "sampling_rate"} <= value.keys()):
        return "sound"
    if isinstance(value, Mapping) and {"bytes", "path"} <= value.keys():
        name = media_kind(str(value["path"] or ""))
        return name or ("image" if _is_picture_start(value["bytes"] or b"") else "sound")
    return "other"


def _is_image_text(value: Any) -> bool:
    """Whether a value is a picture with a text; two texts, of which one may name a file, are a pair of texts."""
    if isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[1], str):
        return _kind(value[0]) == "image"
    return isinstance(value, ImageText)


def _is_picture(value: Any) -> bool:
    return type(value).__module__.startswith("PIL.") and hasattr(value, "getpixel")


def _is_pair(value: Any) -> bool:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    return (
        hasattr(value[0], "__array__") and np.ndim(value[0]) in (1, 2) and isinstance(value[1], int | float | np.number)
    )


def _is_picture_start(start: bytes) -> bool:
    return start.startswith(_PICTURE_STARTS) or start[8:12] == b"WEBP" or start[4:8] == b"ftyp"


def make_items(values: Sequence[Any], modality: str, folder: Path | None) -> tuple[list[Any], dict[int, str]]:
    """Turn values into the items of a Dataset, and say which ones cannot be.

    Args:
        values: N values of the kind ``modality``.
        modality: text, image, sound, vectors or image+text.
        folder: where relative file names start; None means the working folder.

    Returns:
        N items, and position → why that one cannot be used (its item is then the value as it was).
    """
    items: list[Any] = []
    failed: dict[int, str] = {}
    nearby = Nearby(folder)
    for position, value in enumerate(values):
        item, problem = _make_item(value, modality, nearby)
        items.append(item)
        if problem:
            failed[position] = problem
    return items, failed


def _make_item(value: Any, modality: str, nearby: Nearby) -> tuple[Any, str]:
    """(the item, why it cannot be used or an empty string)."""
    if modality == VECTORS:
        return make_vector(value)
    if modality == IMAGE_TEXT:
        return _make_image_text(value, nearby)
    if is_missing(value):
        return "", "the text is empty" if modality == "text" else "there is no file name"
    if modality == "text" and isinstance(value, tuple) and len(value) == 2:
        return make_pair(value)
    if modality == "text" and isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return text_of_tokens(value), ""
    if modality == "text":
        return (value, "") if isinstance(value, str) else (value, f"this must be a text, got {type(value).__name__}")
    if isinstance(value, str | Path):
        name = str(value).strip()
        path = nearby.path(name)
        problem = media_problem(path, modality)
        return path, problem + offer(nearby, name) if problem == _ABSENT else problem
    if isinstance(value, Mapping):
        return _from_mapping(value, modality, nearby.folder)
    if _kind(value) != modality:
        return value, f"this must be {_EXPECTED[modality]}, got {type(value).__name__}"
    return ((np.asarray(value[0]), int(value[1])) if modality == "sound" else value), ""


def _make_image_text(value: Any, nearby: Nearby) -> tuple[Any, str]:
    """A picture with its text; a missing text is an empty one."""
    two = (value.image, value.text) if isinstance(value, ImageText) else value
    if not isinstance(two, tuple | list) or len(two) != 2:
        got = f"{len(two)} values" if isinstance(two, tuple | list) else type(two).__name__
        return value, f"this must be a picture with its text, as (picture, text), got {got}"
    picture, text = two
    if not isinstance(text, str) and _kind(text) == "image":
        return value, "the picture must come first, as (picture, text), got it behind the text"
    image, problem = _make_item(picture, "image", nearby)
    if problem:
        named = isinstance(picture, str | Path) and not is_missing(picture)
        return value, f"its picture{f' {shown(str(picture))}' if named else ''} cannot be used: {problem}"
    text = "" if is_missing(text) else text
    if not isinstance(text, str):
        return value, f"its text must be a text, got {type(text).__name__}"
    return ImageText(image, text), ""


def _from_mapping(value: Mapping[str, Any], modality: str, folder: Path) -> tuple[Any, str]:
    """A picture or sound as the ``datasets`` library keeps it: samples, a path, or the bytes of a file."""
    if modality == "sound" and "array" in value:
        return (np.asarray(value["array"]), int(value["sampling_rate"])), ""
    path, content = value.get("path"), value.get("bytes")
    if path and not media_problem(folder / path, modality):
        return folder / path, ""
    if not content:
        return value, f"the file {path!r} does not exist and its bytes are not in the table"
    try:
        if modality == "image":
            from PIL import Image

            from handful.data.images import pillow_muted

            with pillow_muted():
                return Image.open(io.BytesIO(content)), ""
        import soundfile

        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except (OSError, RuntimeError) as error:  # what Pillow and libsndfile raise for bytes they do not know
        return value, f"its bytes cannot be read as {modality} ({error})"
    return (samples, int(rate)), ""
