"""Normality: held-out scores of normal items look like those of new ones, marks are found, and found where they are."""

from __future__ import annotations

import numpy as np

from handful.features.parts import ItemParts
from handful.strategies.frozen.normality import fit, rings, summaries

DEPTHS = (2, 1)


def item(rng, mark=None, shift=0.0):
    """Twelve parts of eight numbers at each depth; one of them may be a mark."""
    vectors = {}
    for depth in DEPTHS:
        x = rng.normal(size=(12, 8)) + shift
        if mark is not None:
            x[mark] += 12
        vectors[depth] = x.astype(np.float16)
    return ItemParts(vectors, np.zeros((12, 4)))


def fitted(count=12, seed=0):
    rng = np.random.default_rng(seed)
    items = [item(rng) for _ in range(count)]
    return fit(items, items, np.arange(count), 0), rng


def test_a_mark_is_unusual_and_seen_where_it_is():
    found, rng = fitted()
    distances = found.normality.distances(item(rng, mark=5))
    assert found.normality.score(distances) > found.scores.max()
    heat = found.normality.heat(distances)
    assert heat.argmax() == 5
    assert heat[5] > found.normality.hot > np.delete(heat, 5).max()


def test_what_is_slightly_off_everywhere_is_unusual_too():
    found, rng = fitted()
    off = found.normality.distances(item(rng, shift=1.5))
    assert found.normality.score(off) > found.scores.max()


def test_held_out_scores_are_those_of_new_items():
    above, new = [], []
    for seed in range(60):
        found, rng = fitted(8, seed)
        fresh = [found.normality.score(found.normality.distances(item(rng))) for _ in range(4)]
        above.append(np.mean(np.array(fresh) > found.scores.max()))
        new += fresh
    assert np.mean(above) < 1 / 9 + 0.05


def test_copies_that_share_a_number_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    items = [item(rng) for _ in range(4)]
    items.append(items[3])
    alone = fit(items, items, np.arange(5), 0)
    together = fit(items, items, np.array([0, 1, 2, 3, 3]), 0)
    assert together.scores[3] > alone.scores[3]
    own = together.normality.distances(items[3], but=3)
    assert (own > 0.1).all()
    assert (together.normality.distances(items[3]) < 0.01).all()


def test_the_same_seed_gives_the_same_scores():
    assert np.array_equal(fitted()[0].scores, fitted()[0].scores)


def test_summaries_of_distances_are_the_worst_place_and_the_mean():
    assert np.allclose(summaries(np.array([[1.0, 2.0, 6.0]], np.float32)), [[6.0, 3.0]])


def test_parts_at_the_border_are_compared_with_their_like():
    rng = np.random.default_rng(0)
    row, column = np.divmod(np.arange(36), 6)
    place = np.stack([column, row, column + 1, row + 1], 1) * 16.0
    ring = rings(place)
    assert (ring == 0).sum() == 20
    assert (ring == 1).sum() == 12
    assert (ring == 2).sum() == 4

    def framed():
        x = rng.normal(size=(36, 8)) * np.where(ring == 0, 5, 1)[:, None]
        return ItemParts({1: x.astype(np.float16)}, place)

    items = [framed() for _ in range(8)]
    normality = fit(items, items, np.arange(8), 0).normality
    assert normality.border[0, 0] > 2 * normality.border[0, 2]
    marked = framed()
    marked.vectors[1][14] += 4  # within, where this is much, and at the border it would be little
    assert normality.heat(normality.distances(marked)).argmax() == 14


def test_rings_of_frames_count_from_both_ends():
    place = np.stack([np.arange(7.0), np.arange(7.0) + 1], 1)
    assert rings(place).tolist() == [0, 1, 2, 2, 2, 1, 0]
    assert rings(place[:1]).tolist() == [0]


def test_what_many_parts_come_to_does_not_hang_on_how_they_lie_in_memory():
    """Summed up one after the other in float32, a mean of 60,000 is a thousandth off."""
    distances = np.random.default_rng(0).uniform(2, 3, (2, 60_000)).astype(np.float32)
    apart = np.abs(summaries(np.asfortranarray(distances)) - summaries(distances))
    np.testing.assert_allclose(apart, 0, atol=1e-12)
    np.testing.assert_allclose(summaries(distances)[:, 1], distances.astype(np.float64).mean(1), rtol=1e-12)
