"""Items that hold nothing to learn from: pictures of one colour, sounds that are silent, constant or hardly there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT, ImageText
from handful.data.images import is_blank
from handful.data.items import PLURAL
from handful.data.sounds import SHORTEST, nothing_in
from handful.errors import DataError
from handful.inspection.findings import Finding
from handful.inspection.profile import as_shown, rows_of

# Rows that a message names.
_NAMED = 3


def empty_items(dataset: Dataset) -> Iterator[Finding]:
    """Pictures and sounds that can be read and yet hold nothing, one finding for each way in which they do.

    Args:
        dataset: the rows; each file is decoded as far as it takes to find something.
    """
    if dataset.modality not in _WHY:
        return
    ways: dict[str, list[int]] = {}
    for position, item in enumerate(dataset.items):
        try:
            if why := _WHY[dataset.modality](item):
                ways.setdefault(why, []).append(position)
        except DataError:  # it cannot be read at all, which is told elsewhere
            continue
    for why, at in ways.items():
        named = ", ".join(as_shown(dataset, i) for i in at[:_NAMED])
        more = f" and {len(at) - _NAMED} more" if len(at) > _NAMED else ""
        yield Finding(
            "empty",
            rows_of(dataset, at),
            f"{len(at)} of {len(dataset)} {PLURAL[dataset.modality]} {_SAID[why][len(at) > 1]}: {named}{more}",
            "Take them out, or record them again: whatever is learned from them is about nothing.",
            severity=0.5 * len(at) / len(dataset),
        )


def _of_picture(item: Any) -> str:
    return "blank" if is_blank(item) else ""


def _of_both(item: ImageText) -> str:
    return _of_picture(item.image)


_WHY = {"image": _of_picture, "sound": nothing_in, IMAGE_TEXT: _of_both}

# What an item lacks → the same of one and of several.
_SAID = {
    "blank": ("shows one colour and nothing else", "show one colour and nothing else"),
    "silent": ("is silent", "are silent"),
    "constant": ("never changes", "never change"),
    "short": (f"is shorter than {SHORTEST:g} seconds", f"are shorter than {SHORTEST:g} seconds"),
}
