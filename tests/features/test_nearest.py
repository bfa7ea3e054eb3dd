"""The nearest of vectors that were kept, against plain loops, and the vectors that stand for others."""

from __future__ import annotations

import numpy as np

from handful.features import nearest as module
from handful.features.nearest import coreset, nearest

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(40, 6)).astype(np.float32)
KEPT = RNG.normal(size=(25, 6)).astype(np.float32)


def test_distances_are_those_of_plain_loops(monkeypatch):
    plain = np.sqrt(((POINTS[:, None] - KEPT[None]) ** 2).mean(2)).min(1)
    assert np.allclose(nearest(POINTS, KEPT), plain, atol=1e-5)
    monkeypatch.setattr(module, "_HELD", 60)  # a few rows at a time
    assert np.allclose(nearest(POINTS, KEPT), plain, atol=1e-5)


def test_what_is_not_allowed_is_not_found():
    allowed = np.arange(25) % 2 == 0
    assert np.allclose(nearest(KEPT, KEPT), 0, atol=1e-3)
    assert (nearest(KEPT[1::2], KEPT, allowed) > 0.1).all()


def test_a_coreset_reaches_the_corners():
    crowd = RNG.normal(size=(500, 3)).astype(np.float32) * 0.01
    corners = np.array([[9, 0, 0], [0, 9, 0], [0, 0, 9]], np.float32)
    at = coreset(np.concatenate([crowd, corners]), 5, np.random.default_rng(1))
    assert len(set(at.tolist())) == 5
    assert {500, 501, 502} <= set(at.tolist())
    assert coreset(corners, 5, np.random.default_rng(1)).tolist() == [0, 1, 2]
