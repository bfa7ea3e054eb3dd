import numpy as np

from handful.evaluation.selection import choose, choose_nested


def losses(*rows):
    return np.array(rows, float)


def test_equal_costs_compete_on_the_mean():
    assert choose(losses([1, 1, 1, 1], [0.9, 1, 1, 1]), [1, 1], [True, True]) == 1


def test_a_dearer_candidate_must_be_better_beyond_doubt():
    cheap = np.random.default_rng(0).random(40)
    barely = cheap - 0.05 + 0.5 * np.random.default_rng(1).normal(size=40)
    clearly = cheap - 0.3
    assert choose(np.stack([cheap, barely]), [1, 2], [True, True]) == 0
    assert choose(np.stack([cheap, clearly]), [1, 2], [True, True]) == 1


def test_rows_of_the_fold_itself_are_never_looked_at():
    inner = [np.full((1, 2, 4), 0.5), np.full((1, 2, 4), 0.6)]
    inner[1][0, 0] = [np.nan, np.nan, 0.1, 0.1]
    inner[0][0, 0] = [np.nan, np.nan, 0.2, 0.2]
    assert choose_nested(inner, [1, 1], [True, True]).tolist() == [[1, 0]]


def test_an_unusual_candidate_must_be_better_than_the_noise():
    usual = np.random.default_rng(0).random(10)
    lucky = usual - 0.05 + 0.5 * np.random.default_rng(3).normal(size=10)
    assert lucky.mean() < usual.mean()
    assert choose(np.stack([usual, lucky]), [1, 1], [True, False]) == 0
    assert choose(np.stack([usual, usual - 0.3]), [1, 1], [True, False]) == 1
    assert choose(np.stack([usual, lucky]), [1, 1], [False, False]) == 1
