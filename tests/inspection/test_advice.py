"""Advice: which strategies make sense for so many rows."""

import pytest

from handful.choices import MOVERS, STRATEGIES
from handful.data.dataset import Dataset
from handful.inspection.advice import ALL, RULES, advice
from handful.strategies.tuned.known import EXPERIENCE, tried_unasked


def rows(per_class, modality="text", split=None):
    labels = ("a",) * per_class + ("b",) * 2 * per_class
    return Dataset(["t"] * len(labels), modality, labels, split=split)


def sensible(dataset):
    tried = tried_unasked(dataset.task, dataset.modality)
    return {name for rule in advice(dataset, tried) if rule.sensible for name in rule.strategies}


def test_every_strategy_stands_in_one_rule():
    named = [name for rule in RULES for name in rule.strategies]
    assert sorted(named) == sorted(STRATEGIES)


def test_the_smallest_class_decides():
    assert sensible(rows(2)) == {"majority", "zero-shot", "centroid", "ridge", "logistic", "svm"}
    assert "contrastive" in sensible(rows(8))
    assert "contrastive" not in sensible(rows(3))
    said = {name: rule.why for rule in advice(rows(24)) for name in rule.strategies}
    assert said["partial"] == "with fewer than 25 rows per class so many weights learn the rows by heart"


@pytest.mark.parametrize("modality", ALL)
@pytest.mark.parametrize("per_class", [2, 8, 30, 120])
def test_what_moves_weights_is_recommended_only_where_tune_tries_it_unasked(modality, per_class):
    moving = sensible(rows(per_class, modality)) & set(MOVERS)
    assert moving <= {name for task, name, what in EXPERIENCE if (task, what) == ("classification", modality)}
    for rule in advice(rows(per_class, modality), tried_unasked("classification", modality)):
        assert not (rule.sensible and "lora" in rule.strategies)


def test_what_tune_tries_only_by_name_is_said_with_the_reason():
    said = {name: rule.why for rule in advice(rows(30, "image")) for name in rule.strategies}
    assert (
        said["lora"]
        == said["contrastive"]
        == ("that they help images was not shown on other sets: tune tries them where they are named")
    )


def test_what_needs_texts_is_not_advised_for_pictures():
    assert "zero-shot" in sensible(rows(4))
    assert "zero-shot" not in sensible(rows(4, "image"))


def test_test_rows_do_not_count():
    split = ("train",) * 3 + ("test",) * 7 + ("train",) * 20
    assert "contrastive" not in sensible(rows(10, split=split))
    assert "contrastive" in sensible(rows(10))


def test_every_rule_says_why():
    for said in (*advice(rows(1)), *advice(rows(200))):
        assert said.why
        assert not said.why.endswith(".")
