"""The reach of the backbones: texts that are cut are told first, and what may come from that alone is not claimed."""

from dataclasses import replace

import numpy as np
import pytest
from crowd import clouds

from handful.backbones.toy import ToyText
from handful.data.dataset import Dataset
from handful.data.pairs import Pair
from handful.features.feature_set import Cut, FeatureSet, extract_all
from handful.inspection.audit import audit
from handful.inspection.findings import KINDS, Finding, by_cost
from handful.inspection.reach import cut_short, out_of_reach


class ShortSighted(ToyText):
    """Reads four words."""

    most_tokens = 4

    def cut(self, items):
        return np.array([len(item.split()) >= 4 for item in items])


def test_texts_that_no_backbone_reads_to_the_end_are_told():
    data = Dataset([f"text {i}" for i in range(10)], "text", rows=tuple(range(100, 110)))
    first, second = np.arange(10) < 6, np.arange(10) < 4
    (found,) = cut_short(data, {"near": Cut(256, first), "far": Cut(512, second)})
    assert found.message == (
        "4 of 10 texts are as long as the 256 tokens that near reads and the 512 tokens that far reads, or longer: "
        "only their beginnings are seen"
    )
    assert found.advice == (
        "Put what tells the classes apart first, or learn from that part alone: more labels do not show what is cut."
    )
    assert found.rows == (100, 101, 102, 103)
    assert found.kind in KINDS
    assert found.severity == pytest.approx(0.08)


@pytest.mark.parametrize("cut", [{}, {"near": Cut(256, np.zeros(40, bool))}, {"near": Cut(256, np.arange(40) < 1)}])
def test_nothing_is_said_of_texts_that_are_read_to_the_end_nor_of_a_single_one(cut):
    assert list(cut_short(Dataset([f"text {i}" for i in range(40)], "text"), cut)) == []


def test_what_is_cut_is_asked_of_the_backbones():
    data = Dataset(["one two three four five", "one", "one two"], "text")
    _, seen = extract_all(data, {"toy-text": ShortSighted()})
    assert seen.cut["toy-text"].longest == 4
    assert seen.cut["toy-text"].rows.tolist() == [True, False, False]
    assert seen.take([2, 0]).cut["toy-text"].rows.tolist() == [False, True]
    _, both = extract_all(data, {"toy-text": ShortSighted(), "other": ToyText()})
    assert both.cut == {}  # one of them reads everything
    pairs = Dataset([Pair("one two", "one two three four"), Pair("one", "two")], "text")
    assert extract_all(pairs, {"toy-text": ShortSighted()})[1].cut["toy-text"].rows.tolist() == [True, False]


def test_what_is_out_of_reach_comes_first_and_classes_are_not_told_to_be_joined():
    x = np.random.default_rng(0).normal(size=(60, 16))
    labels = ["ab"[i % 2] for i in range(30)] + ["c"] * 30
    x[:, 0] += np.repeat([0, 12], 30)
    data = Dataset([f"text {i}" for i in range(60)], "text", tuple(labels))
    sight = FeatureSet({("toy", 0): x.astype(np.float32)}, {}, {"toy": (0,)})
    whole = audit(data, sight).findings
    assert "confusable" in [finding.kind for finding in whole]
    assert not out_of_reach(whole)
    part = audit(data, replace(sight, cut={"toy": Cut(256, np.ones(60, bool))})).findings
    assert part[0].kind == "cut"
    assert "confusable" not in [finding.kind for finding in part]
    assert out_of_reach(part)


def test_what_is_out_of_reach_is_told_before_what_costs_more():
    costly, unseen = Finding("leak", (), "", "", (), 0.9), Finding("foreign", (), "", "", (), 0.1)
    assert by_cost([costly, unseen]) == [unseen, costly]


def test_nothing_is_cut_of_rows_that_are_clear():
    x, labels = clouds(8)
    sight = FeatureSet({("toy", 0): x.astype(np.float32)}, {}, {"toy": (0,)}, cut={"toy": Cut(9, np.zeros(24, bool))})
    data = Dataset([f"text {i}" for i in range(24)], "text", tuple(labels))
    assert [finding for finding in audit(data, sight).findings if finding.kind == "cut"] == []
