"""Rows with two inputs, a picture and a text: one item, of which backbones of each kind see their own side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.data.pairs import BETWEEN

IMAGE_TEXT = "image+text"
"""The modality of such items."""
SIDES = ("image", "text")
"""What is seen of them, in the order in which they are given."""


@dataclass(frozen=True, eq=False)
class ImageText:
    """A picture and the text that belongs to it."""

    image: Any
    """The picture, as a Dataset of pictures holds it."""
    text: str
    """The text, which may be empty."""

    def side(self, modality: str) -> Any:
        """What a backbone of a modality sees of it."""
        return self.image if modality == "image" else self.text

    def __str__(self) -> str:
        """The name of its file, and its text."""
        return f"{self.image if isinstance(self.image, Path) else 'a picture'}{BETWEEN}{self.text}"


def empty_texts(items: Sequence[Any]) -> list[str]:
    """What to tell the user about texts with nothing in them."""
    count = sum(isinstance(item, ImageText) and not item.text.strip() for item in items)
    if not count:
        return []
    rows = "1 row has an empty text, which is" if count == 1 else f"{count:,} rows have an empty text, which is"
    return [f"{rows} taken as one that says nothing"]


def of_side(items: Sequence[Any], modality: str) -> Sequence[Any]:
    """What a backbone of a modality sees of N items; items of one input are as they are."""
    if not any(isinstance(item, ImageText) for item in items):
        return items
    return [item.side(modality) if isinstance(item, ImageText) else item for item in items]
