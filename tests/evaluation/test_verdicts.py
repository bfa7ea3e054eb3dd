"""Verdicts: who is compared with whom, what is called a tie, and what the sentence dares to say."""

from dataclasses import replace

import numpy as np
import pytest

from classified import targets_of
from handful.evaluation import intervals
from handful.evaluation.curves import Curve, Point
from handful.evaluation.intervals import interval, wilson
from handful.evaluation.metrics import share
from handful.evaluation.verdicts import Held, Rows, assemble, compare, promised
from handful.seeding import generator
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.details import ClassDetails

METRICS = CLASSIFICATION.metrics


def answered(*repeats, classes=2, sure=0.9):
    """(R, N, C) probabilities that give each answer the same confidence."""
    rest = (1 - sure) / (classes - 1)
    return np.where(np.arange(classes) == np.array(repeats)[..., None], sure, rest)


def rows_of(truth, labels=("ants", "bees"), groups=None, positions=None):
    groups = None if groups is None else np.array(groups)
    return Rows(targets_of(truth, labels), groups, tuple(positions or range(len(truth))))


def measure(outputs, rows, metric, rng):
    return interval(METRICS[metric].of(outputs, rows.targets), rows.groups, rng=rng)


def paired_difference(first, second):
    return intervals.difference(share(first), share(second))


def class_scores(outputs, rows):
    found = ClassDetails.of(outputs.argmax(-1), rows.targets, rows.groups)
    return found.confusion, found.classes


def rng():
    return generator(0, "bootstrap")


TRUTH = [0, 1] * 10
RIGHT, SAME = answered(TRUTH), answered([0] * 20)
ROWS = rows_of(TRUTH)


def verdicts(arms, whole, chosen, rows=ROWS, metric="accuracy"):
    return {arm.name: arm for arm in compare(arms, whole, chosen, rows, METRICS[metric], rng())}


def test_a_row_counts_once_with_the_share_of_repeats_in_which_it_was_right():
    found = Held("a", answered([0, 1, 0], [0, 0, 0])).measured(rows_of([0, 1, 1]), METRICS["accuracy"])
    assert found.scores.tolist() == [1.0, 0.5, 0.0]


def test_an_accuracy_has_the_wilson_interval_of_its_rows():
    whole = answered([0] * 10 + [1] * 10, [0] * 20)  # of 20 rows, 10 and 10 right: repeats add no rows
    assert measure(whole, ROWS, "accuracy", rng()) == wilson(0.5, 20)


def test_other_metrics_pool_the_repeats_and_draw_rows():
    whole = answered([0, 0, 1, 1], [0, 1, 1, 1])
    found = measure(whole, rows_of([0, 0, 1, 1]), "balanced_accuracy", rng())
    assert found.value == pytest.approx((3 / 4 + 1) / 2)
    assert found.low <= found.value <= found.high
    assert found == measure(whole, rows_of([0, 0, 1, 1]), "balanced_accuracy", rng())


def test_arms_are_set_against_the_whole_procedure_and_it_against_the_reference():
    arms = [
        Held("majority", SAME),
        Held("centroid", answered([0] * 10 + [1] * 10)),
        Held("ridge", RIGHT, 0, 0.5, {"a": 1}),
    ]
    found = verdicts(arms, RIGHT, "ridge")
    assert list(found) == ["majority", "centroid", "ridge"]
    assert [arm.verdict for arm in found.values()] == ["worse", "worse", "chosen"]
    assert [arm.versus for arm in found.values()] == ["ridge", "ridge", "majority"]
    half, all_right = np.array([1.0, 0.0] * 10), np.ones(20)
    assert found["majority"].difference == paired_difference(half, all_right)
    assert found["ridge"].difference == paired_difference(all_right, half)
    assert found["ridge"].difference.value == 0.5
    assert (found["ridge"].seconds, found["ridge"].setting) == (0.5, {"a": 1})
    # 20 rows and one for each side: mean 10/22, deviation 0.582, Student's 2.080 with 21 degrees, over the root of 22
    assert found["ridge"].reason == (
        "Taken for its held-out loss, better than always answering the same class by 50 points (+20 to +71)."
    )
    assert found["majority"].reason == "Worse than ridge by 50 points (+20 to +71)."


def test_what_moved_weights_is_compared_on_the_folds_that_it_was_trained_on():
    """There are fewer of them, so that every arm has learned from fewer rows there."""
    wrong = answered(1 - np.array(TRUTH))
    arms = [
        Held("majority", SAME, on_few=SAME),
        Held("centroid", SAME, on_few=wrong),
        Held("ridge", RIGHT, on_few=SAME),
        Held("lora", wrong, rung=1, on_few=wrong),
    ]
    found = verdicts(arms, RIGHT, "ridge")
    assert found["centroid"].difference == paired_difference(np.array([1.0, 0.0] * 10), np.ones(20))
    assert found["lora"].difference == paired_difference(np.zeros(20), np.array([1.0, 0.0] * 10))
    compared = compare(arms, RIGHT, "lora", replace(ROWS, folds=3), METRICS["accuracy"], rng())
    by_name = {arm.name: arm for arm in compared}
    assert by_name["centroid"].difference == paired_difference(np.zeros(20), np.ones(20))
    assert by_name["ridge"].difference == paired_difference(np.array([1.0, 0.0] * 10), np.ones(20))


def test_the_chosen_arm_is_judged_by_the_procedure_not_by_its_own_lucky_choice():
    found = verdicts([Held("majority", SAME), Held("ridge", RIGHT)], SAME, "ridge")
    assert found["ridge"].estimate.value == 1.0
    assert found["ridge"].difference.value == 0.0
    assert found["ridge"].reason.startswith(
        "Taken for its held-out loss, but a tie with always answering the same class"
    )


def test_arms_that_cannot_be_told_apart_are_called_a_tie():
    nearly = answered([1 - TRUTH[0], *TRUTH[1:]])
    found = verdicts([Held("majority", SAME), Held("centroid", nearly), Held("ridge", RIGHT)], RIGHT, "ridge")
    assert found["centroid"].verdict == "tie"
    # mean −1/22, mean square 3/22: deviation 0.366, times 2.080 over the root of 22: 0.162
    assert found["centroid"].reason == "Cannot be told from ridge on these rows: 5 points (−21 to +12) apart."


def test_an_arm_that_is_better_in_accuracy_than_the_one_with_the_lowest_loss():
    found = verdicts([Held("majority", answered([0] * 20)), Held("ridge", RIGHT)], SAME, "majority")
    assert found["ridge"].verdict == "better"
    assert found["ridge"].reason == "Better than majority by 50 points (+20 to +71)."


def test_a_chosen_arm_that_is_worse_than_the_reference_is_not_called_better():
    truth = [0] * 18 + [1] * 2
    rows, wrong = rows_of(truth), answered([1] * 9 + [0] * 9 + [0, 0])
    arms = [Held("majority", answered([0] * 20)), Held("ridge", wrong)]
    assert verdicts(arms, wrong, "ridge", rows)["ridge"].reason == (
        "Taken for its held-out loss, but worse than always answering the same class by 45 points (+15 to +66)."
    )
    scores = assemble(arms, wrong, "ridge", rows, metric=METRICS["accuracy"], protocol="5x5", rng=rng())
    assert "not yet better than always answering the same class" in scores.sentence


def test_without_a_reference_there_is_nothing_to_compare_with():
    found = verdicts([Held("ridge", RIGHT)], RIGHT, "ridge")["ridge"]
    assert (found.versus, found.difference) == (None, None)
    assert found.reason == "Taken for its held-out loss; there is no reference arm to compare with."


def test_grouped_rows_widen_every_interval():
    groups = [i // 5 for i in range(20)]
    whole = answered([*TRUTH[:15], *(1 - np.array(TRUTH[15:]))])
    alone = verdicts([Held("majority", SAME), Held("ridge", whole)], whole, "ridge")["ridge"]
    together = verdicts([Held("majority", SAME), Held("ridge", whole)], whole, "ridge", rows_of(TRUTH, groups=groups))
    for name in ("estimate", "difference"):
        wide, narrow = getattr(together["ridge"], name), getattr(alone, name)
        assert wide.high - wide.low > narrow.high - narrow.low


# Classes and rows --------------------------------------------------------------------------------------------------


def test_the_confusion_is_the_mean_over_repeats_and_classes_have_their_scores():
    whole = answered([0, 0, 1, 1, 2], [0, 1, 1, 1, 1], classes=3)
    table, classes = class_scores(whole, rows_of([0, 0, 1, 1, 2], ("a", "b", "c")))
    assert table.tolist() == [[1.5, 0.5, 0.0], [0.0, 2.0, 0.0], [0.0, 0.5, 0.5]]
    assert [(c.name, c.rows, c.recall.value, c.precision.value) for c in classes] == [
        ("a", 2, 0.75, 1.0), ("b", 2, 1.0, 2 / 3), ("c", 1, 0.5, 1.0),
    ]  # fmt: skip
    assert classes[0].recall == wilson(0.75, 2)
    # Class b is answered three times, the mean over repeats; c half a time, which counts as one row.
    assert [c.precision for c in classes[1:]] == [wilson(2 / 3, 3), wilson(1, 1)]


def test_the_precision_of_rows_in_groups_rests_on_fewer_of_them():
    truth = [0, 0, 0, 0, 1, 1, 1, 1]
    said = answered([0, 0, 1, 1, 1, 1, 0, 0])
    alone, together = (
        class_scores(said, rows_of(truth, groups=g))[1][0].precision for g in (None, [0, 0, 1, 1, 2, 2, 3, 3])
    )
    assert alone == wilson(0.5, 4)
    assert together == wilson(0.5, 2)


def test_a_class_that_is_never_answered_has_no_precision():
    _, classes = class_scores(answered([0, 0]), rows_of([0, 1]))
    assert (classes[0].precision, classes[1].precision) == (wilson(0.5, 2), None)
    assert classes[1].recall.value == 0.0


def test_held_out_answers_are_means_over_repeats_in_the_order_of_the_source():
    proba = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.4, 0.6], [0.3, 0.7]]])
    targets = rows_of([0, 0]).targets
    first, second = targets.task.held_out(proba, targets, (4, 7))
    assert (first.row, first.label, first.predicted) == (4, "ants", "ants")
    assert (first.confidence, first.own) == (pytest.approx(0.65), pytest.approx(0.65))
    assert (second.row, second.label, second.predicted) == (7, "ants", "bees")
    assert (second.confidence, second.own) == (pytest.approx(0.75), pytest.approx(0.25))


def scored(outputs, labels, metric):
    answers, targets = CLASSIFICATION.against(outputs, labels, ("a", "b"))
    return interval(METRICS[metric].of(answers[None], targets), rng=rng())


def test_test_rows_are_scored_by_the_metric_of_the_run():
    labels, outputs = ["a", "a", "a", "b"], answered([0, 0, 1, 1])[0]
    assert scored(outputs, labels, "accuracy") == wilson(0.75, 4)
    assert scored(outputs, labels, "balanced_accuracy").value == pytest.approx((2 / 3 + 1) / 2)
    assert scored(outputs, labels, "macro_f1").value == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_test_rows_of_a_class_that_was_never_learned_are_wrong():
    assert scored(answered([0, 0])[0], ["a", "new"], "accuracy").value == 0.5


# The whole ---------------------------------------------------------------------------------------------------------


def put_together(whole, *arms, metric="accuracy", rows=ROWS):
    return assemble(
        [Held("majority", SAME), *arms],
        whole,
        arms[-1].name,
        rows,
        metric=METRICS[metric],
        protocol="nested 5x5",
        rng=rng(),
    )


def test_everything_is_put_together():
    scores = put_together(RIGHT, Held("ridge", RIGHT))
    assert (scores.metric, scores.n, scores.protocol, scores.chosen) == ("accuracy", 20, "nested 5x5", "ridge")
    assert scores.details["labels"] == ["ants", "bees"]
    assert scores.estimate == wilson(1.0, 20)
    assert scores.details["confusion"] == [[10, 0], [0, 10]]
    assert scores.sentence == (
        "accuracy 100%, between 84% and 100% (95 % interval, 20 rows held out); ridge is taken."
    )  # fmt: skip


def test_the_interval_reaches_up_by_what_the_rows_left_out_are_expected_to_add():
    half = answered([*TRUTH[:10], *(1 - np.array(TRUTH[10:]))])
    curve = Curve(20, (Point(16, wilson(0.5, 20)),), 0.06, 0.02, 0.05, (), None)
    arms = [Held("majority", SAME), Held("ridge", half)]
    scores = assemble(
        arms, half, "ridge", ROWS, metric=METRICS["accuracy"], protocol="nested 5x5", rng=rng(), curve=curve
    )
    measured = wilson(0.5, 20)
    assert (scores.estimate.value, scores.estimate.low) == (measured.value, measured.low)
    assert scores.estimate.high == measured.high + curve.unseen()
    third = replace(ROWS, folds=3)
    few = assemble(
        arms, half, "ridge", third, metric=METRICS["accuracy"], protocol="nested 1x3", rng=rng(), curve=curve
    )
    assert few.estimate.high == measured.high + curve.unseen(3) > scores.estimate.high
    assert f"between 30% and {measured.high + curve.unseen():.0%}" in scores.sentence
    assert scores.curve is curve
    assert scores.arms[-1].estimate == scores.estimate  # one score has one interval
    other = verdicts([*arms, Held("svm", half)], half, "ridge")["svm"]
    assert other.estimate == measured  # the other arms stand as they were measured


def test_no_interval_reaches_beyond_one():
    curve = Curve(20, (Point(16, wilson(1.0, 20)),), 0.06, 0.02, 0.05, (), None)
    assert promised(wilson(1.0, 20), curve, METRICS["accuracy"].scale).high == 1.0
    assert promised(wilson(1.0, 20), None, METRICS["accuracy"].scale) == wilson(1.0, 20)


def test_the_sentence_names_ties():
    arms = [Held(name, RIGHT) for name in ("centroid", "logistic", "ridge")]
    assert put_together(RIGHT, *arms[1:]).sentence.endswith("; ridge is taken, logistic cannot be told from it.")
    assert put_together(RIGHT, *arms).sentence.endswith(
        "; ridge is taken, centroid and logistic cannot be told from it."
    )


def test_the_sentence_says_when_nothing_was_learned():
    assert put_together(SAME, Held("ridge", SAME)).sentence == (
        "accuracy 50%, between 30% and 70% (95 % interval, 20 rows held out); "
        "not yet better than always answering the same class: nothing shows yet that these labels can be learned."
    )


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_other_metrics_are_called_by_their_name(metric):
    whole = answered([0, 1] * 8 + [0, 0, 1, 1])
    scores = put_together(whole, Held("ridge", whole), metric=metric)
    assert scores.sentence.startswith(f"{METRICS[metric].title} (")
    assert scores.estimate.value == pytest.approx(0.9)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_arms_are_compared_by_the_metric_of_the_run(metric):
    """The rare class decides here, of which the majority finds nothing."""
    truth = [0] * 18 + [1] * 6
    rows, same = rows_of(truth), answered([0] * 24)
    arms = [Held("majority", same), Held("ridge", answered(truth))]
    found = verdicts(arms, answered(truth), "ridge", rows, metric)
    by_accuracy = verdicts(arms, answered(truth), "ridge", rows)
    expected = METRICS[metric].of(answered(truth), rows.targets).value - METRICS[metric].of(same, rows.targets).value
    assert found["ridge"].difference.value == pytest.approx(expected)
    assert by_accuracy["ridge"].difference.value == pytest.approx(0.25)
    assert (found["majority"].verdict, by_accuracy["majority"].verdict) == ("worse", "worse")
