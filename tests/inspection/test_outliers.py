"""Outliers: a row far from all others, and none where all are alike."""

import numpy as np
import pytest
from crowd import clouds

from handful.data.dataset import Dataset
from handful.inspection.labels import cosines
from handful.inspection.outliers import outliers, remoteness


def test_a_row_far_from_all_others():
    x, _ = clouds(8)
    x[5] = -np.eye(16)[9]
    remote = remoteness(cosines(x))
    assert remote.argmax() == 5
    data = Dataset([f"t{i}" for i in range(24)], "text", rows=tuple(range(100, 124)))
    (found,) = outliers(data, remote)
    assert (found.kind, found.rows) == ("outlier", (105,))
    assert found.message == "1 row is far from everything else"
    assert found.advice == (
        "Look whether they belong here: remove what is broken or off topic, and add rows like them where they do."
    )
    assert found.scores[0] > 4


@pytest.mark.parametrize("x", [np.ones((12, 4)), np.eye(5), clouds(8)[0]])
def test_nothing_is_far_where_all_are_alike_or_few(x):
    data = Dataset(["t"] * len(x), "text")
    assert list(outliers(data, remoteness(cosines(x)))) == []
