"""Boxes against boxes: overlaps, what is kept and what is right; AP50 is that of COCO, and counts are counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.tasks.boxes import BOXES, Detected, cuts_of, matched, numbers_of, overlaps, suppressed
from handful.tasks.boxes.counting import RANKS, average_precision

SQUARE = np.array([[0.0, 0, 10, 10]])


def test_overlaps_by_hand():
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 5, 10]])
    assert overlaps(SQUARE, others)[0] == pytest.approx([1, 1 / 3, 0, 0.5])


def test_the_best_of_boxes_that_overlap_is_kept():
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    assert suppressed(boxes, np.array([0.5, 0.9, 0.2]), 0.3).tolist() == [1, 2]
    assert suppressed(boxes, np.array([0.5, 0.9, 0.2]), 0.9).tolist() == [1, 0, 2]
    assert suppressed(np.zeros((0, 4)), np.zeros(0), 0.3).tolist() == []


def test_a_wanted_box_is_found_once_and_by_the_surest():
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
    assert matched(boxes, SQUARE).tolist() == [True, False, False]
    assert matched(boxes, np.zeros((0, 4))).tolist() == [False, False, False]


def test_as_many_are_answered_as_are_marked():
    scores = [np.array([0.9, 0.6, 0.3]), np.array([0.8, 0.2])]
    cut = cuts_of(scores, 3, 0.02)
    assert 0.3 < cut <= 0.6
    assert sum(int((own >= cut).sum()) for own in scores) == 3
    assert cuts_of(scores, 0, 0.02) == 1.0
    assert cuts_of(scores, 9, 0.02) == 0.02
    assert cuts_of([np.zeros(0)], 1, 0.02) == 0.02


@given(st.lists(st.lists(st.floats(0.02, 1), max_size=5), min_size=1, max_size=5), st.integers(1, 20))
def test_the_cut_answers_no_fewer_than_are_marked(rows, wanted):
    scores = [np.array(sorted(row, reverse=True)) for row in rows]
    every = np.concatenate(scores)
    answered = int((every >= cuts_of(scores, wanted, 0.02)).sum())
    assert answered >= min(wanted, len(every))


def pictures(rng, count, labels, most=8):
    """Marked boxes, and what is seen: some of them moved a little, some elsewhere. Per picture and label."""
    seen, wanted = [], []
    for _ in range(count):
        own_seen, own_wanted = [], []
        for _ in range(labels):
            corners = rng.integers(0, 80, (rng.integers(0, most), 2)).astype(float)
            truth = np.concatenate([corners, corners + rng.integers(8, 30, corners.shape)], 1)
            moved = truth[rng.random(len(truth)) < 0.8]
            moved = moved + rng.normal(0, 2, moved.shape)
            other = rng.integers(0, 80, (rng.integers(0, 4), 2)).astype(float)
            boxes = np.concatenate([moved, np.concatenate([other, other + 15], 1)])
            boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
            scores = np.sort(rng.random(len(boxes)))[::-1]
            own_seen.append(Detected(boxes[rng.permutation(len(boxes))], scores))
            own_wanted.append(truth)
        seen.append(own_seen)
        wanted.append(own_wanted)
    return seen, wanted


def numbers(seen, wanted, cut=0.5):
    return numbers_of(seen, wanted, np.full((len(seen), len(wanted[0])), cut))


def test_average_precision_by_hand():
    """Two marked; right, wrong, right: precision 1 up to a half found, 2/3 from there on."""
    seen = [[Detected(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60], [20, 0, 30, 10]]), np.array([0.9, 0.8, 0.7]))]]
    wanted = [[np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])]]
    value = float(average_precision(numbers(seen, wanted)[0].sum(0)))
    assert value == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


@pytest.mark.parametrize("seed", range(8))
def test_ap50_is_that_of_faster_coco_eval(seed):
    coco = pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    rng, labels = np.random.default_rng(seed), 3
    seen, wanted = pictures(rng, 12, labels)
    raw = {
        "images": [{"id": i, "width": 200, "height": 200} for i in range(len(seen))],
        "categories": [{"id": c + 1, "name": str(c)} for c in range(labels)],
        "annotations": [],
    }
    said = []
    for i, (each, own) in enumerate(zip(seen, wanted, strict=True)):
        for c in range(labels):
            for left, top, right, bottom in own[c].tolist():
                area = (right - left) * (bottom - top)
                raw["annotations"].append({
                    "id": len(raw["annotations"]) + 1, "image_id": i, "category_id": c + 1, "area": area,
                    "bbox": [left, top, right - left, bottom - top], "iscrowd": 0,
                })  # fmt: skip
            for (left, top, right, bottom), score in zip(each[c].boxes.tolist(), each[c].scores.tolist(), strict=True):
                box = [left, top, right - left, bottom - top]
                said.append({"image_id": i, "category_id": c + 1, "bbox": box, "score": score})
    truth = coco.COCO(json.loads(json.dumps(raw)))
    run = coco.COCOeval_faster(truth, truth.loadRes(said), "bbox", print_function=lambda *_: None)
    run.run()
    own = BOXES.metrics["ap50"].of(numbers(seen, wanted), BOXES.targets([""] * len(seen), list("abc"))).value
    assert own == pytest.approx(run.stats_as_dict["AP_50"], abs=1e-9)


def test_many_ranks_are_joined_without_a_difference_that_anybody_sees():
    rng = np.random.default_rng(0)
    seen, wanted = pictures(rng, 400, 1, most=12)
    assert sum(len(each[0].scores) for each in seen) > RANKS
    joined = float(average_precision(numbers(seen, wanted)[0].sum(0)))
    scores = np.concatenate([each[0].scores for each in seen])
    right = np.concatenate([matched(each[0].boxes, own[0]) for each, own in zip(seen, wanted, strict=True)])
    right = right[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    found = np.cumsum(right) / sum(len(own[0]) for own in wanted)
    exact = precision[np.searchsorted(found, np.linspace(0, 1, 101))].mean()
    assert joined == pytest.approx(exact, abs=0.01)


def test_counts_and_f1_by_hand():
    seen = [[Detected(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]]), np.array([0.9, 0.8]))],
            [Detected(np.zeros((0, 4)), np.zeros(0))]]  # fmt: skip
    wanted = [[SQUARE], [SQUARE]]
    outputs, targets = numbers(seen, wanted), BOXES.targets(["", ""], ["nut"])
    assert BOXES.metrics["count_error"].of(outputs, targets).value == 1.0
    assert BOXES.metrics["box_f1"].of(outputs, targets).value == pytest.approx(2 * 1 / (2 + 2))
    (first, second) = BOXES.held_out(outputs, targets, [4, 7])
    assert (first.row, first.label, first.predicted, first.beside) == (
        4, "nut 1", "nut 2", {"box_f1": "0.6667", "right": "1", "count_error": "1"},
    )  # fmt: skip
    assert (second.predicted, second.own) == ("none", 0.0)
    (label,) = BOXES.details(outputs, targets, None)["boxes"]
    assert (label["name"], label["wanted"], label["answered"], label["right"]) == ("nut", 2, 2, 1)


def test_labels_that_nobody_marked_do_not_count():
    seen = [[Detected(SQUARE, np.array([0.9])), Detected(SQUARE, np.array([0.9]))]]
    value = float(average_precision(numbers(seen, [[SQUARE, np.zeros((0, 4))]])[0].sum(0)))
    assert value == pytest.approx(1.0)
