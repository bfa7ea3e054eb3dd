"""Write examples/digits and digits_new: pictures of four digits, sorted and not, from handwriting of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
DIGITS = (3, 5, 7, 8)
PER_CLASS = 5
NEW = 40  # pictures of the same digits that nobody sorted
SIDE = 64  # pixels; the originals are 8 × 8, too small to look at
SEED = 0


def main() -> None:
    """Draw five pictures per digit and a heap of others, enlarge them and write them as dark ink on light paper."""
    handwriting = load_digits()  # ink from 0 to 16, in the order in which 43 people wrote
    rng = np.random.default_rng(SEED)
    sorted_ones: list[int] = []
    for digit in DIGITS:
        drawn = rng.choice(np.flatnonzero(handwriting.target == digit), PER_CLASS, replace=False)
        write(handwriting.images, sorted(drawn.tolist()), HERE / "digits" / str(digit))
        sorted_ones += drawn.tolist()
    others = np.setdiff1d(np.flatnonzero(np.isin(handwriting.target, DIGITS)), sorted_ones)
    write(handwriting.images, sorted(rng.choice(others, NEW, replace=False).tolist()), HERE / "digits_new")


def write(images: np.ndarray, numbers: list[int], folder: Path) -> None:
    """Write some of the (N, 8, 8) pictures, each named by its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        paper = 255 - images[number] * (255 / 16)
        picture = Image.fromarray(np.rint(paper).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:04d}.png", optimize=True)


if __name__ == "__main__":
    main()
