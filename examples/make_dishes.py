"""Write examples/dishes.parquet and clicks.csv: dishes as a text model sees them, and what one person clicked on.

The vectors are those of `minilm-l6` for the names of the dishes, in the 48 directions in which these differ most: as a
shop may have vectors of its items from elsewhere. The person is made up, and fond of what comes out of the sea.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import handful

HERE = Path(__file__).resolve().parent
MAINS = (
    "trout", "salmon", "cod", "prawns", "mackerel", "chicken", "lamb", "beef", "pork", "mushrooms", "aubergine",
    "lentils", "tofu", "pumpkin",
)  # fmt: skip
LIKED = MAINS[:5]
WAYS = (
    "grilled {} with lemon", "{} in a creamy sauce", "chilli {} with rice", "{} pie with potatoes",
    "{} salad with herbs", "spicy {} curry", "{} soup with bread", "baked {} with cheese", "{} with pasta and tomatoes",
    "{} tacos with jalapeno",
)  # fmt: skip
WIDTH = 48
SHOWN = 40
SLIPS = 0.05  # a click by chance, or one that was not made
SEED = 3


def main() -> None:
    """Name all dishes, look at their names, and let the person see some of them."""
    rng = np.random.default_rng(SEED)
    names = [way.format(main) for main in MAINS for way in WAYS]
    seen = handful.Encoder("minilm-l6").fit_transform(names)  # (N, 384)
    centred = seen - seen.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(directions[np.arange(WIDTH), np.abs(directions[:WIDTH]).argmax(1)])  # the same on every machine
    vectors = (centred @ (directions[:WIDTH] * signs[:, None]).T).astype(np.float32)
    table = pd.DataFrame(vectors, columns=[f"v{i}" for i in range(WIDTH)])
    table.insert(0, "dish", names)
    table.to_parquet(HERE / "dishes.parquet", index=False)
    shown = rng.permutation(len(names))[:SHOWN]
    likes = np.array([any(word in names[i] for word in LIKED) for i in shown])
    clicked = likes ^ (rng.random(SHOWN) < SLIPS)
    rows = pd.DataFrame({"dish": [names[i] for i in shown], "clicked": np.where(clicked, "yes", "no")})
    rows.to_csv(HERE / "clicks.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
