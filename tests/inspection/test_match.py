"""Domain match: the backbone that sees the classes is named."""

import numpy as np
import pytest
from crowd import clouds

from handful.inspection.match import Match, matches, suited


def test_the_backbone_that_sees_the_classes_comes_first():
    x, labels = clouds(10)
    noise = np.random.default_rng(0).normal(size=x.shape)
    found = matches({"deaf": noise, "sees": x}, labels)
    assert [match.backbone for match in found] == ["sees", "deaf"]
    assert found[0].figure == 1
    assert found[1].figure < 0.5
    assert suited(found) == ["sees"]
    assert found[0].words == (
        "sees suits these rows well: domain match 1.00 (100% of 30 rows are nearest to their own class, chance is 33%)"
    )


def test_backbones_that_cannot_be_told_apart_all_vote():
    found = [Match(name, value, 0.5, 20) for name, value in (("a", 0.9), ("b", 0.87), ("c", 0.6))]
    assert suited(found) == ["a", "b"]
    assert suited([]) == []


def test_constant_features_are_at_chance():
    (found,) = matches({"blind": np.ones((9, 4))}, list("aaabbbccc"))
    assert found.agreement == pytest.approx(1 / 3)
    assert found.figure == 0
    assert "hardly sees what the labels are about" in found.words


@pytest.mark.parametrize("labels", [["a", "a", "a"], ["a", "b", "c"], ["a", "a", "b"]])
def test_nothing_can_be_said_without_two_classes_of_two_rows(labels):
    assert matches({"any": np.eye(3)}, labels) == []
