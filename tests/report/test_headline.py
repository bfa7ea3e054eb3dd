"""Tests of the headline: it says what was measured, how sure that is, and calls a tie a tie."""

from dataclasses import replace

import pytest

from handful.data.names import in_a_row
from handful.evaluation.intervals import Estimate, wilson
from handful.report.headline import headline

TEXTS = [f"text number {i}" for i in range(60)]
LABELS = ["billing", "login", "delivery"] * 20


def test_the_score_is_told_per_hundred_with_its_interval(make_run):
    head = headline(make_run(TEXTS, LABELS, estimate=Estimate(0.852, 0.731, 0.934)))
    assert head.title == "Right on about 85 of 100 new items"
    assert "between 73 and 93 of 100: 60 rows cannot say it more exactly." in head.lead
    assert "19 times out of 20" in head.basis


def test_all_right_is_not_told_as_perfect(make_run):
    head = headline(make_run(TEXTS, LABELS, estimate=wilson(1.0, 60)))
    assert head.title == "Right on all 60 rows that were held out"
    assert "at 94 of 100 or above" in head.lead


def test_all_wrong_is_told_as_it_is(make_run):
    assert (
        headline(make_run(TEXTS, LABELS, estimate=wilson(0.0, 60))).title == "Wrong on all 60 rows that were held out"
    )


def test_a_narrow_interval_is_not_excused(make_run):
    head = headline(make_run(TEXTS, LABELS, estimate=Estimate(0.852, 0.846, 0.858)))
    assert head.title == "Right on about 85.2 of 100 new items"
    assert "cannot say it more exactly" not in head.lead


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("balanced_accuracy", "Finds about 80 of 100 items of a class, averaged over the classes"),
        ("macro_f1", "Macro F1 of about 80%"),
    ],
)
def test_other_metrics_are_named(make_run, metric, title):
    head = headline(make_run(TEXTS, LABELS, metric=metric, estimate=Estimate(0.8, 0.7, 0.9)))
    assert head.title == title


def test_groups_change_what_the_score_is_for(make_run):
    run = make_run(TEXTS, LABELS)
    named = replace(run, data=replace(run.data, groups=("anna", "ben") * (len(run.data) // 2)))
    head = headline(named)
    assert headline(run).lead.startswith("For items like these")
    assert head.lead.startswith("For items from groups it has never met")


def test_test_rows_come_first_and_cross_validation_second(make_run):
    head = headline(make_run(TEXTS, LABELS, estimate=Estimate(0.8, 0.7, 0.9), test=Estimate(0.7, 0.5, 0.85), test_n=20))
    assert head.title == "Right on about 70 of 100 new items"
    assert "Measured once, on the 20 rows that the source marks as test." in head.lead
    assert head.second == "Cross-validation on the 60 training rows says 80% (70–90%)."


def test_test_rows_that_contradict_the_training_rows_are_pointed_out(make_run):
    head = headline(make_run(TEXTS, LABELS, estimate=Estimate(0.9, 0.8, 0.95), test=Estimate(0.5, 0.4, 0.6), test_n=90))
    assert head.second.endswith("The two do not agree: test and training rows seem to differ.")


def test_beating_one_answer_is_said(make_run):
    head = headline(make_run(TEXTS, ["a"] * 30 + ["b"] * 15 + ["c"] * 15, estimate=Estimate(0.8, 0.7, 0.9)))
    assert head.verdict == "Clearly better than always answering “a”, which scores 50 of 100."
    assert head.beaten


def test_not_beating_one_answer_is_said(make_run):
    head = headline(make_run(TEXTS, ["a"] * 45 + ["b"] * 15, estimate=Estimate(0.8, 0.7, 0.9)))
    assert head.verdict.startswith("Not shown to be better than always answering “a”, which scores 75 of 100")
    assert not head.beaten


def test_equally_frequent_classes_are_worth_their_share_even_when_rows_are_left_out_one_by_one(make_run):
    assert headline(make_run(TEXTS, LABELS)).always == pytest.approx(1 / 3)


def test_a_chosen_majority_is_said(make_run):
    head = headline(make_run(TEXTS, LABELS, chosen="majority"))
    assert head.verdict.startswith("Nothing that was tried is better than always answering")
    assert not head.beaten


def test_ties_are_called_ties(make_run):
    run = make_run(TEXTS, LABELS, skill=0.9)
    tied = [arm.name for arm in run.scores.arms if arm.verdict == "tie"]
    assert len(tied) == 3
    assert headline(run).ties == (
        "A tie: 60 rows cannot tell logistic from 3 of the 5 other arms; any of them may be the best."
    )
    arms = tuple(arm for arm in run.scores.arms if arm.name != tied[0])
    assert headline(make_run(TEXTS, LABELS, skill=0.9, arms=arms)).ties == (
        f"A tie: 60 rows cannot tell logistic from {in_a_row(tied[1:])}; any of them may be the best."
    )


def test_no_tie_says_nothing(make_run):
    run = make_run(TEXTS, LABELS)
    arms = tuple(arm for arm in run.scores.arms if arm.verdict != "tie")
    assert headline(make_run(TEXTS, LABELS, arms=arms)).ties == ""


@pytest.mark.parametrize(("names", "shown"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_names_are_listed_as_in_a_sentence(names, shown):
    assert in_a_row(names) == shown


def test_advice_on_more_rows_comes_from_the_curve_alone(make_run):
    run = make_run(TEXTS, ["a"] * 45 + ["b"] * 15, skill=0.2)
    for said in (headline(run).verdict, run.scores.sentence):
        assert "nothing shows yet that these labels can be learned" in said
        assert "more rows" not in said.lower()


def test_the_page_says_first_that_a_model_is_not_shown_to_be_better_than_a_guess(make_run):
    head = headline(make_run(TEXTS, ["a"] * 45 + ["b"] * 15, skill=0.2))
    assert head.title == "Not shown to be better than always answering “a”"
    assert head.lead.startswith("Right on about ")
    assert not head.beaten
    assert headline(make_run(TEXTS, LABELS, skill=0.95)).title.startswith("Right on ")
