"""The forest of scikit-image's example of trainable segmentation, in an environment of its own; used by ``masks.py``.

Reads on standard input which pictures to learn from and to answer, and writes the classes of the latter.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier


def main() -> None:
    """Learn, answer, write."""
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    masks = [np.asarray(Image.open(folder / "masks" / f"{i:02d}.png")) > 127 for i in asked["learn"]]
    x = np.concatenate([seen(folder, i) for i in asked["learn"]])
    y = np.concatenate([mask.ravel() for mask in masks]).astype(np.uint8)
    forest = RandomForestClassifier(50, max_depth=10, max_samples=0.05, n_jobs=-1, random_state=asked["seed"])
    forest.fit(x, y)
    print(json.dumps([forest.predict(seen(folder, i)).astype(np.uint8).tobytes().hex() for i in asked["answer"]]))


def seen(folder: Path, i: int) -> np.ndarray:
    """What the filters say of each pixel of a picture. (P, D)."""
    picture = np.asarray(Image.open(folder / "images" / f"{i:02d}.jpg").convert("L"))
    found = multiscale_basic_features(picture, intensity=True, edges=True, texture=True, sigma_min=1, sigma_max=16)
    return found.reshape(-1, found.shape[-1])


if __name__ == "__main__":
    main()
