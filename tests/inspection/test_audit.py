"""The audit as a whole: silent on good rows, most costly findings first, bounded on large sets."""

import numpy as np
import pytest
from crowd import clouds

from handful.backbones.toy import ToyText
from handful.data.dataset import Dataset
from handful.errors import DataError
from handful.features.feature_set import FeatureSet
from handful.inspection.audit import audit, audit_shift, check_pool, examine, sample
from handful.inspection.findings import KINDS


def seen(x, labels, **more):
    data = Dataset([f"item {i:05}" for i in range(len(x))], "text", tuple(labels), **more)
    return data, FeatureSet({("toy", 2): x, ("toy", 1): x}, {}, {"toy": (2, 1)})


def test_good_rows_have_no_findings():
    found = audit(*seen(*clouds(10)))
    assert found.findings == ()
    assert [match.figure for match in found.matches] == [1]


def test_what_is_wrong_is_told_most_costly_first():
    x, labels = clouds(10)
    labels[0] = "b"
    x[15] = -np.eye(16)[9]
    found = audit(*seen(x, labels)).findings
    assert {"label_error", "outlier"} <= {finding.kind for finding in found} <= set(KINDS)
    costs = [finding.severity for finding in found]
    assert costs == sorted(costs, reverse=True)


def test_the_same_seed_finds_the_same():
    x, labels = clouds(10, spread=2)
    assert audit(*seen(x, labels)) == audit(*seen(x, labels))


@pytest.mark.parametrize(
    ("x", "labels"),
    [
        (np.ones((20, 4)), ["a", "b"] * 10),
        (np.eye(4), ["a", "a", "b", "b"]),
        (np.zeros((1, 4)), ["a"]),
        (np.ones((6, 4)), ["a"] * 6),
    ],
)
def test_constant_features_two_rows_per_class_one_row_and_one_class(x, labels):
    assert {finding.kind for finding in audit(*seen(x, labels)).findings} <= {"confusable"}


def test_no_label_is_doubted_where_the_backbone_sees_nothing():
    x = np.random.default_rng(0).normal(size=(60, 16))
    found = audit(*seen(x, [f"c{i % 6}" for i in range(60)]))
    assert found.matches[0].figure < 0.1
    assert "label_error" not in [finding.kind for finding in found.findings]


def test_all_rows_identical():
    data = Dataset(["the same"] * 8, "text", ("a", "b") * 4)
    kinds = [finding.kind for finding in examine(data, {"toy-text": ToyText()}).findings]
    assert kinds[0] == "conflict"
    assert "near_duplicate" not in kinds


def test_rows_without_labels_can_be_audited():
    data, sight = seen(*clouds(10))
    found = audit(Dataset(data.items, "text"), sight)
    assert found.matches == ()


def test_a_large_set_is_audited_on_a_sample_that_is_stated():
    x, labels = clouds(1200)
    labels[0] = "rare"
    labels[1] = "rare"
    labels[2::200] = ["abc"[(i + 1) % 3] for i in range(18)]
    data, sight = seen(x, labels)
    some = sample(data, 0)
    assert 1900 < len(some) <= 2002
    assert some.counts["rare"] == 2
    assert list(some.rows) == sorted(some.rows)
    assert sample(data, 0).rows == some.rows != sample(data, 1).rows
    (said,) = [finding for finding in audit(data, sight).findings if finding.kind == "label_error"]
    assert said.message.endswith(f" (looked at {len(some):,} of 3,600 rows, seed 0)")
    assert set(said.rows) <= set(some.rows)


def test_a_hundred_thousand_rows_are_looked_at_in_part(monkeypatch):
    data = Dataset([f"text {i} of many" for i in range(100_000)], "text", ("a", "b") * 50_000)
    looked = []
    toy = ToyText()
    prepare = toy.prepare
    monkeypatch.setattr(toy, "prepare", lambda items: looked.extend(items) or prepare(items))
    examine(data, {"toy-text": toy})
    assert len(looked) == 2000


def test_more_classes_than_the_sample_holds():
    data = Dataset([f"t{i}" for i in range(300)], "text", tuple(f"c{i // 2}" for i in range(300)))
    assert len(sample(data, 0, most=50)) == 50


@pytest.mark.parametrize(("classes", "asked"), [(500, True), (800, False)])
def test_two_rows_each_of_very_many_classes_are_not_asked_about_each_other(monkeypatch, classes, asked):
    calls = []
    monkeypatch.setattr("handful.inspection.audit._doubted", lambda *about: calls.append(about) or [])
    labels = tuple(f"class {i}" for i in range(classes)) * 2
    data = Dataset([f"text number {i}" for i in range(len(labels))], "text", labels)
    x = np.random.default_rng(0).normal(size=(len(labels), 8)).astype(np.float32)
    audit(data, FeatureSet({("toy", 1): x}, {}, {"toy": (1,)}))
    assert bool(calls) == asked


def test_a_pool_that_differs():
    x, labels = clouds(20)
    data, sight = seen(x, labels)
    other = np.tile(np.eye(16)[9], (20, 1)) + 0.01 * x[:20]
    pool = Dataset([f"new {i}" for i in range(20)], "text", source="new.csv")
    there = FeatureSet({("toy", 2): other, ("toy", 1): other}, {}, {"toy": (2, 1)})
    (said,) = audit_shift(data, sight, pool, there, total=900)
    assert said.kind == "shift"
    assert said.message.endswith(" (looked at 20 of 900 rows, seed 0)")
    assert audit_shift(data, sight, data, sight) == []


def test_a_pool_that_cannot_be_compared():
    texts = Dataset(["a", "b"], "text", source="rows.csv")
    with pytest.raises(DataError) as error:
        check_pool(texts, Dataset([np.zeros((2, 2))] * 2, "image", source="photos"))
    assert str(error.value) == (
        "photos must hold text items to be compared with rows.csv, got image. Name a pool of the same kind."
    )
    with pytest.raises(DataError) as error:
        check_pool(texts, Dataset(["a"], "text", source="one.csv"))
    assert str(error.value) == "one.csv must have at least 2 rows to be compared, got 1. Add rows."


def test_without_a_backbone_near_copies_of_texts_are_still_found():
    data = Dataset(["Where is my parcel?", "no light", "where is my PARCEL!"], "text", ("a", "b", "a"))
    assert [f.kind for f in examine(data, {}).findings if f.kind != "too_few"] == ["near_duplicate"]
