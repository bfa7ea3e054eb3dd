"""Write examples/seeds: drawn pictures of grains and round seeds of weeds on a tray, with boxes around them (COCO)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).resolve().parent
MARKED, NEW = 10, 3
SIDE = 192  # pixels
LABELS = ("grain", "weed")
SEED = 0


def main() -> None:
    """Draw the pictures; the last ones have no boxes."""
    rng = np.random.default_rng(SEED)
    for folder in ("seeds/images", "seeds_new"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(MARKED + NEW):
        picture, boxes = tray(rng)
        name = f"tray_{number:02d}.jpg"
        if number >= MARKED:
            picture.save(HERE / "seeds_new" / name, quality=85)
            continue
        picture.save(HERE / "seeds" / "images" / name, quality=85)
        images.append({"id": number, "file_name": f"images/{name}", "width": SIDE, "height": SIDE})
        for label, box in boxes:
            annotations.append({"id": len(annotations), "image_id": number, "category_id": label, "bbox": box})
    categories = [{"id": i, "name": name} for i, name in enumerate(LABELS)]
    told = {"images": images, "annotations": annotations, "categories": categories}
    (HERE / "seeds" / "boxes.json").write_text(json.dumps(told) + "\n", encoding="utf-8", newline="\n")


def tray(rng: np.random.Generator) -> tuple[Image.Image, list[tuple[int, list[int]]]]:
    """A wooden tray with long grains, round seeds of weeds as dark as these, and chaff and grit that are neither."""
    picture = Image.new("RGB", (SIDE, SIDE), (216, 200, 172))
    paint = ImageDraw.Draw(picture)
    for y in range(0, SIDE, 6):
        paint.line((0, y, SIDE, y + int(rng.integers(-3, 4))), fill=(206, 188, 158))
    for x, y in rng.integers(4, SIDE - 4, (25, 2)).tolist():
        paint.line((x, y, x + int(rng.integers(-6, 7)), y + int(rng.integers(-6, 7))), fill=(150, 122, 84))
    for x, y in rng.integers(4, SIDE - 4, (14, 2)).tolist():
        half = int(rng.integers(2, 5))
        paint.rectangle((x - half, y - half, x + half, y + half), fill=(124, 108, 90))
    boxes: list[tuple[int, list[int]]] = []
    for x, y in _apart(rng, int(rng.integers(12, 21))):
        label = int(rng.random() < 0.35)
        long, wide = (6, 5) if label else (int(rng.integers(8, 13)), 5)
        angle, colour = rng.uniform(0, np.pi), tuple((np.array([138, 102, 64]) + rng.integers(-22, 23)).tolist())
        outline = _ellipse(x, y, long, wide, angle)
        paint.polygon(outline, fill=colour)
        if not label:
            paint.line((outline[0], outline[len(outline) // 2]), fill=(106, 74, 42))
        left, top = (int(min(place)) for place in zip(*outline, strict=True))
        right, bottom = (int(np.ceil(max(place))) for place in zip(*outline, strict=True))
        boxes.append((label, [left, top, right - left, bottom - top]))
    light = np.linspace(0.92, 1.08, SIDE)[None, :, None] ** rng.uniform(-1, 1)
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7)), np.float64) * light
    pixels += rng.normal(0, 9, (SIDE, SIDE, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), boxes


def _ellipse(x: int, y: int, long: float, wide: float, angle: float) -> list[tuple[float, float]]:
    """The outline of an ellipse that is turned."""
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    along, across = long * np.cos(around), wide * np.sin(around)
    xs, ys = x + along * np.cos(angle) - across * np.sin(angle), y + along * np.sin(angle) + across * np.cos(angle)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def _apart(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """Places of things that do not touch."""
    places: list[tuple[int, int]] = []
    while len(places) < count:
        x, y = rng.integers(16, SIDE - 16, 2).tolist()
        if all((x - a) ** 2 + (y - b) ** 2 > 19**2 for a, b in places):
            places.append((x, y))
    return places


if __name__ == "__main__":
    main()
