"""Pictures of three surfaces with and without defects, for ``defects.py``; made in an environment of its own.

    pip install scikit-image defect-synthesis        # in that environment; handful is not needed there
    python benchmarks/surfaces.py FOLDER

Brick, grass and gravel are photographs that scikit-image brings. Each is cut into 36 squares that do not overlap, and
each square is enlarged to 256 pixels. defect-synthesis draws its six kinds of defects, with its own settings, into a
copy of every square: FOLDER/brick/good/07.png has its partner in FOLDER/brick/crack/07.png.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
from defect_synthesis import (
    BurnGenerator,
    CrackGenerator,
    PittingGenerator,
    ScratchGenerator,
    StainGenerator,
    TextureWarpGenerator,
)
from PIL import Image
from skimage import data

SURFACES = ("brick", "grass", "gravel")
KINDS = {"scratch": ScratchGenerator, "crack": CrackGenerator, "stain": StainGenerator, "pit": PittingGenerator,
         "burn": BurnGenerator, "warp": TextureWarpGenerator}  # fmt: skip
GRID, SIDE, WIDE = 6, 85, 256
"""Squares in a row, pixels of a square in the photograph, and pixels of the picture that is made of it."""


def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1])
    random.seed(0)  # what defect-synthesis draws from
    for surface in SURFACES:
        photograph = getattr(data, surface)()  # (512, 512) levels of grey
        for at in range(GRID * GRID):
            top, left = (SIDE * step for step in divmod(at, GRID))
            square = Image.fromarray(photograph[top : top + SIDE, left : left + SIDE])
            normal = np.asarray(square.convert("RGB").resize((WIDE, WIDE), Image.Resampling.BICUBIC))
            pictures = {"good": normal} | {kind: make().apply(normal).image for kind, make in KINDS.items()}
            for kind, pixels in pictures.items():
                file = folder / surface / kind / f"{at:02d}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)


if __name__ == "__main__":
    main()
