"""Draw examples/returns: parcels that came back to a shop, each with a photograph of a mug and what the buyer wrote.

The picture shows whether the mug is whole, the text says what the buyer wants; which queue the parcel belongs to is
what both say together. Mugs and sentences are made up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
SIDE, LARGE = 96, 384  # drawn large, saved small, so that edges are smooth
COUNTS = {"returns": 10, "returns_new": 2}  # of each queue
QUEUES = {
    ("whole", "refund"): "refund and restock",
    ("whole", "replace"): "swap and restock",
    ("broken", "refund"): "refund and scrap",
    ("broken", "replace"): "swap and scrap",
}
SAID = {
    "refund": (
        "please pay me back", "I want my money back", "refund me, thank you", "kindly return the amount to my card",
        "I would like a refund", "give me back what I paid", "please cancel it and refund the price",
    ),
    "replace": (
        "please send me another one", "I would like a new one instead", "can you ship a replacement",
        "swap it for the same mug", "another mug, please", "exchange it, thank you", "I still want one, send it again",
    ),
}  # fmt: skip
BEFORE = ("Hello,", "Dear team,", "Hi,", "Order arrived today:", "About my parcel:", "Good morning,")
COLOURS = ((196, 62, 48), (47, 97, 168), (230, 226, 214), (74, 124, 89), (222, 170, 60), (92, 70, 110))
GROUNDS = ((216, 204, 186), (186, 190, 196), (150, 126, 100), (228, 228, 226))
SEED = 17


def main() -> None:
    """Draw all mugs and write both tables."""
    rng = np.random.default_rng(SEED)
    folder = HERE / "returns"
    folder.mkdir(exist_ok=True)
    for name, count in COUNTS.items():
        rows = []
        for state, wish in [pair for pair in QUEUES for _ in range(count)]:
            text = f"{rng.choice(BEFORE)} {rng.choice(SAID[wish])}."
            rows.append((mug(state == "broken", rng), text, QUEUES[state, wish]))
        order = rng.permutation(len(rows))
        table = []
        for number, i in enumerate(order):
            picture, text, queue = rows[i]
            file = f"{name}_{number + 1:02d}.jpg"
            picture.save(folder / file, quality=80)
            table.append((file, text, queue))
        columns = ["photo", "message", "queue"]
        frame = pd.DataFrame(table, columns=columns)
        frame = frame if name == "returns" else frame[columns[:2]]
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def mug(broken: bool, rng: np.random.Generator) -> Image.Image:
    """A mug on a table, in one piece or in several."""
    colour = np.array(COLOURS[rng.integers(len(COLOURS))])
    ground = np.array(GROUNDS[rng.integers(len(GROUNDS))]) + rng.integers(-10, 11)
    picture = Image.new("RGB", (LARGE, LARGE), tuple(ground.tolist()))
    left, top = rng.integers(70, 130), rng.integers(90, 140)
    width, height = rng.integers(140, 180), rng.integers(170, 210)
    whole = Image.new("RGBA", (LARGE, LARGE))
    draw = ImageDraw.Draw(whole)
    shade = tuple((colour * 0.7).astype(int).tolist())
    draw.arc((left + width - 46, top + 40, left + width + 46, top + height - 40), -90, 90, fill=(*shade, 255), width=22)
    draw.rounded_rectangle((left, top, left + width, top + height), 24, fill=(*colour.tolist(), 255))
    draw.rectangle((left, top + 12, left + 22, top + height - 24), fill=(*shade, 255))
    draw.ellipse((left, top - 24, left + width, top + 24), fill=(*shade, 255))
    draw.ellipse((left + 14, top - 14, left + width - 14, top + 14), fill=(40, 34, 30, 255))
    parts = shards(whole, rng) if broken else [whole]
    for part in parts:
        shadow = Image.new("RGBA", part.size, (0, 0, 0, 70))
        picture.paste(shadow, (10, 12), part)
        picture.paste(part, (0, 0), part)
    if broken:
        draw = ImageDraw.Draw(picture)
        for _ in range(rng.integers(6, 11)):
            x, y, size = rng.integers(20, 360), rng.integers(260, 360), rng.integers(8, 20)
            corners = [(int(x + rng.integers(-size, size)), int(y + rng.integers(-size, size))) for _ in range(3)]
            draw.polygon(corners, fill=tuple(colour.tolist()))
    turned = picture.rotate(float(rng.uniform(-8, 8)), Image.Resampling.BICUBIC, fillcolor=tuple(ground.tolist()))
    noisy = np.asarray(turned.resize((SIDE, SIDE)), float) + rng.normal(0, 4, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def shards(whole: Image.Image, rng: np.random.Generator) -> list[Image.Image]:
    """A picture cut along two jagged lines, its pieces apart and each turned its own way."""
    ends = sorted(rng.integers(150, 260, 2).tolist())
    xs = np.linspace(0, LARGE, 9)
    lines = [[(int(x), int(end + rng.integers(-26, 27))) for x in xs] for end in ends]
    bounds = [[(0, 0), (LARGE, 0)], *lines, [(0, LARGE), (LARGE, LARGE)]]
    parts = []
    for number, (above, below) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        mask = Image.new("L", whole.size)
        ImageDraw.Draw(mask).polygon([*above, *reversed(below)], fill=255)
        piece = Image.new("RGBA", whole.size)
        piece.paste(whole, (0, 0), Image.composite(whole.getchannel("A"), Image.new("L", whole.size), mask))
        moved = (int(rng.integers(-22, 23)), 18 * (number - 1))
        parts.append(piece.rotate(float(rng.uniform(-16, 16)), Image.Resampling.BICUBIC, translate=moved))
    return parts


if __name__ == "__main__":
    main()
