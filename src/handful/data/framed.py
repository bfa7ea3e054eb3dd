"""Boxes drawn on their picture: a frame around each thing, of one colour for each label."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

from handful.data.boxes import Box
from handful.data.images import full_size, load_image
from handful.data.mask_files import APART

COLOURS = APART[1:8]
"""The colours of labels, in their order; black and white are what pictures have enough of."""

SIDE = 1024
"""Pixels of the longer side of what is drawn, where nothing else is asked for."""

# The thickness of a frame, as a share of the longer side of what is drawn.
_THICK = 1 / 400


def framed(item: Any, boxes: Sequence[Box], names: Sequence[str], side: int) -> bytes:
    """A picture with its boxes, as PNG.

    Args:
        item: what ``load_image`` reads.
        boxes: in pixels of the whole picture as it is seen upright.
        names: the labels, whose order says which colour each has.
        side: the most pixels of the longer side.

    Raises:
        DataError: the picture cannot be read.
    """
    width, height = full_size(item)
    picture = load_image(item, at_least=side)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    across, down = picture.width / width, picture.height / height
    paint = ImageDraw.Draw(picture)
    thick = max(1, round(max(picture.size) * _THICK))
    for box in boxes:
        corners = (box.left * across, box.top * down, box.right * across, box.bottom * down)
        paint.rectangle(corners, outline=COLOURS[names.index(box.label) % len(COLOURS)], width=thick)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
