"""Small pictures of parts that are all alike, for models of defects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def normal_pictures(folder: Path, numbers: Iterable[int]) -> Path:
    """Write small pictures of nothing but grain."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        pixels = np.random.default_rng(i).integers(100, 140, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder
