"""Write examples/tiles: drawn pictures of glazed tiles, good ones and a few with a chip, a crack or a stain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
GOOD = 16
BAD = ("chip", "crack", "stain", "crack")
SIDE = 128  # pixels
SEED = 0


def main() -> None:
    """Draw the tiles, each lit a little differently and cut a little off centre."""
    rng = np.random.default_rng(SEED)
    for folder, flaws in (("good", ("",) * GOOD), ("bad", BAD)):
        place = HERE / "tiles" / folder
        place.mkdir(parents=True, exist_ok=True)
        for number, flaw in enumerate(flaws):
            tile(rng, flaw).save(place / f"{flaw or 'tile'}_{number:02d}.jpg", quality=80)


def tile(rng: np.random.Generator, flaw: str) -> Image.Image:
    """A pale tile with dark joints around it; the flaw is a word of ``BAD``, or empty."""
    picture = Image.new("RGB", (SIDE, SIDE), (92, 88, 84))
    draw = ImageDraw.Draw(picture)
    left, top = rng.integers(6, 11, 2).tolist()
    edge = (left, top, SIDE - 17 + left, SIDE - 17 + top)
    draw.rectangle(edge, fill=(206, 214, 210))
    x, y = rng.integers(36, SIDE - 36, 2).tolist()
    if flaw == "chip":
        draw.polygon([(edge[0], edge[1]), (edge[0] + 22, edge[1]), (edge[0], edge[1] + 18)], fill=(150, 120, 96))
    if flaw == "crack":
        points = [(x - 30, y - 12), (x - 8, y - 2), (x + 4, y - 6), (x + 28, y + 14)]
        draw.line(points, fill=(96, 92, 90), width=2)
    if flaw == "stain":
        draw.ellipse((x - 12, y - 9, x + 12, y + 9), fill=(176, 170, 132))
    light = np.linspace(0.94, 1.06, SIDE)[None, :, None] ** rng.uniform(-1, 1) * rng.uniform(0.97, 1.03)
    noise = rng.normal(0, 3, (SIDE, SIDE, 1))
    return Image.fromarray(np.clip(np.asarray(picture) * light + noise, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
