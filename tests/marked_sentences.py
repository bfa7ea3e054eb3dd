"""Sentences with marked names and places for tests: words alone say what they are."""

from __future__ import annotations

import numpy as np

from handful.data.spans import Marked

NAMES, PLACES, REST = ["Ada", "Bo", "Cy", "Di"], ["Rome", "Oslo", "Bonn", "Lima"], ["went", "and", "then", "was"]


def sentences(count=18, seed=0):
    """Texts, and of each what is marked in it."""
    rng, texts, cells = np.random.default_rng(seed), [], []
    for i in range(count):
        named = [NAMES[rng.integers(4)], REST[rng.integers(4)], PLACES[rng.integers(4)]] if i % 5 else ["once"]
        words = [*named, *rng.choice(REST, i % 3), f"n{i}"]
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        bounds = tuple((int(end) - len(word), int(end)) for end, word in zip(ends, words, strict=True))
        spans = ((*bounds[0], "person"), (*bounds[2], "place")) if i % 5 else ()
        texts.append(" ".join(words))
        cells.append(Marked(bounds, False, spans).cell)
    return texts, cells
