"""Write examples/digits: 20 small pictures of four digits, from the handwriting that ships with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
DIGITS = (3, 5, 7, 8)
PER_CLASS = 5
SIDE = 64  # pixels; the originals are 8 × 8, too small to look at
SEED = 0


def main() -> None:
    """Draw five pictures per digit, enlarge them and write them as dark ink on light paper."""
    handwriting = load_digits()  # ink from 0 to 16, in the order in which 43 people wrote
    rng = np.random.default_rng(SEED)
    for digit in DIGITS:
        folder = HERE / "digits" / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        drawn = rng.choice(np.flatnonzero(handwriting.target == digit), PER_CLASS, replace=False)
        for number in sorted(drawn.tolist()):
            paper = 255 - handwriting.images[number] * (255 / 16)
            picture = Image.fromarray(np.rint(paper).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            picture.save(folder / f"{number:04d}.png", optimize=True)


if __name__ == "__main__":
    main()
