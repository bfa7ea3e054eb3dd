"""Advice: which strategies make sense for so many rows."""

from handful.choices import STRATEGIES
from handful.data.dataset import Dataset
from handful.inspection.advice import RULES, advice


def rows(per_class, modality="text", split=None):
    labels = ("a",) * per_class + ("b",) * 2 * per_class
    return Dataset(["t"] * len(labels), modality, labels, split=split)


def sensible(dataset):
    return {name for rule in advice(dataset) if rule.sensible for name in rule.strategies}


def test_every_strategy_stands_in_one_rule():
    named = [name for rule in RULES for name in rule.strategies]
    assert sorted(named) == sorted(STRATEGIES)


def test_the_smallest_class_decides():
    assert sensible(rows(2)) == {"majority", "zero-shot", "centroid", "ridge", "logistic", "svm"}
    assert {"contrastive", "supcon", "lora"} <= sensible(rows(8))
    assert {"partial", "full"} <= sensible(rows(25))
    assert not {"partial", "full"} & sensible(rows(24))


def test_what_needs_texts_is_not_advised_for_pictures():
    assert "zero-shot" in sensible(rows(4))
    assert "zero-shot" not in sensible(rows(4, "image"))


def test_test_rows_do_not_count():
    split = ("train",) * 3 + ("test",) * 7 + ("train",) * 20
    assert "lora" not in sensible(rows(10, split=split))


def test_every_rule_says_why():
    for said in (*advice(rows(1)), *advice(rows(200))):
        assert said.why
        assert not said.why.endswith(".")
