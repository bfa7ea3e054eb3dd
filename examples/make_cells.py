"""Write examples/cells: drawn pictures of cells with a mask beside each: background, cell and core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).resolve().parent
MARKED, NEW = 6, 2
SIDE = 128  # pixels
CELL, CORE = 128, 255  # grey levels of the mask; the rest is 0
SEED = 0


def main() -> None:
    """Draw the pictures; the last ones have no mask."""
    rng = np.random.default_rng(SEED)
    for folder in ("cells/images", "cells/masks", "cells_new"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    for number in range(MARKED + NEW):
        picture, mask = slide(rng)
        if number < MARKED:
            picture.save(HERE / "cells" / "images" / f"slide_{number}.jpg", quality=85)
            mask.save(HERE / "cells" / "masks" / f"slide_{number}.png", optimize=True)
        else:
            picture.save(HERE / "cells_new" / f"slide_{number}.jpg", quality=85)


def slide(rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Pale cells with dark cores, and specks as dark as a core that belong to no cell."""
    picture, mask = Image.new("RGB", (SIDE, SIDE), (228, 224, 232)), Image.new("L", (SIDE, SIDE), 0)
    paint, mark = ImageDraw.Draw(picture), ImageDraw.Draw(mask)
    for x, y in _apart(rng, 7):
        wide, high = rng.integers(9, 15, 2).tolist()
        body, core = (
            (x - wide, y - high, x + wide, y + high),
            (x - wide // 3, y - high // 3, x + wide // 3, y + high // 3),
        )
        paint.ellipse(body, fill=(196, 150, 182))
        paint.ellipse(core, fill=(112, 72, 130))
        mark.ellipse(body, fill=CELL)
        mark.ellipse(core, fill=CORE)
    for x, y in rng.integers(3, SIDE - 3, (12, 2)).tolist():
        if mask.getpixel((x, y)) == 0:
            paint.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(112, 72, 130))
    light = np.linspace(0.93, 1.07, SIDE)[None, :, None] ** rng.uniform(-1, 1)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.8)), np.float64) * light + rng.normal(
        0, 6, (SIDE, SIDE, 1)
    )
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), mask


def _apart(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """Places of cells that do not touch."""
    places: list[tuple[int, int]] = []
    while len(places) < count:
        x, y = rng.integers(16, SIDE - 16, 2).tolist()
        if all((x - a) ** 2 + (y - b) ** 2 > 30**2 for a, b in places):
            places.append((x, y))
    return places


if __name__ == "__main__":
    main()
