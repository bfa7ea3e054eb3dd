"""Rows and pools of a few clouds of points, for what learns from a pool."""

from __future__ import annotations

import numpy as np

from handful.features.view import View
from handful.regimes.part import Part
from handful.strategies.frozen.ensemble import Member
from handful.strategies.frozen.search_space import Setting
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.heads import LOGISTIC

KEY = ("toy", 1)
VIEW = View((KEY,))


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def clouds(counts, spread=0.3, seed=0, width=8):
    """Items around one axis per class: features (N, D) and class numbers."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    return unit(np.eye(width)[y] + spread * rng.normal(size=(len(y), width))), y


def part_of(rows, y, pool):
    targets = CLASSIFICATION.coded([str(c) for c in y], sorted({str(c) for c in y}))
    member = Member(Setting(LOGISTIC.name, LOGISTIC, VIEW, 0.1, 0.0, True), 1.0, 1.0)
    return Part(targets, {KEY: rows}, {}, {KEY: pool}, (member,))


def right(model, x, y):
    return float((model.scores(x).argmax(1) == y).mean())
