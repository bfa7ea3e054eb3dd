"""The network on pixels: it learns what no line tells apart, the same for the same seed, and throws no global dice."""

import numpy as np
import torch

from handful.training.pixel_net import layers_of


def corners(count=4_000):
    """Points of two columns, and whether their signs differ."""
    x = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] < 0).astype(np.int64)


def answers(layers, x):
    for number, (coef, intercept) in enumerate(layers):
        x = (np.maximum(x, 0) if number else x) @ coef + intercept
    return x.argmax(1)


def test_what_no_line_tells_apart_is_learned():
    x, classes = corners()
    assert (answers(layers_of(x, classes, np.ones(2), 0), x) == classes).mean() > 0.9


def test_classes_are_seen_as_often_as_they_weigh():
    """Of two classes that nothing tells apart the one that weighs more is answered."""
    x, classes = np.zeros((500, 2), np.float32), np.arange(500) % 2
    assert set(answers(layers_of(x, classes, np.array([1.0, 4.0]), 0), x)) == {1}
    assert set(answers(layers_of(x, classes, np.array([4.0, 1.0]), 0), x)) == {0}


def test_the_same_seed_gives_the_same_layers_and_leaves_the_dice():
    x, classes = corners(300)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (layers_of(x, classes, np.ones(3), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert [coef.shape for coef, _ in first] == [(2, 64), (64, 64), (64, 3)]
    for (a, b), (c, d) in zip(first, again, strict=True):
        assert np.array_equal(a, c)
        assert np.array_equal(b, d)
    assert not np.array_equal(first[0][0], other[0][0])
