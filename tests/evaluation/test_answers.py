"""Scores of free answers: what they are worth, arms told apart by them, and odd metrics refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.errors import BundleError, OptionError
from handful.evaluation.answer_scores import AnswerScores, Told, chosen_of, summed
from handful.evaluation.answers import exact_match, scored, scorer, token_f1, token_loss, win_rate
from handful.evaluation.intervals import interval
from junk import JSON, places, put


@given(st.text(), st.text())
def test_word_overlap_is_a_share_and_knows_the_same_text(answer, wanted):
    assert 0 <= token_f1(answer, wanted) <= 1
    assert token_f1(answer, wanted) == pytest.approx(token_f1(wanted, answer))
    assert token_f1(wanted, wanted) == exact_match(wanted, wanted) == 1


def test_words_in_common():
    assert token_f1("the red car", "a red car") == pytest.approx(2 / 3)
    assert exact_match(" a  b ", "a b") == 1


def test_a_pattern_has_to_match_the_whole_answer():
    judge = scorer(r"regex:\d+ units")
    assert (judge("", "12 units\n", ""), judge("", "about 12 units", "")) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("exact_mach", r"must be one of loss, exact_match, token_f1 or regex:PATTERN, got 'exact_mach'"),
        ("regex:(", "must hold a regular expression after 'regex:'"),
    ],
)
def test_an_odd_metric_is_refused(metric, said):
    with pytest.raises(OptionError, match=said):
        scorer(metric)


@pytest.mark.parametrize("worth", [2, None, "good", float("nan")])
def test_a_function_that_gives_no_share_is_refused(worth):
    with pytest.raises(OptionError, match="metric= must give a number from 0 to 1 for each answer, got"):
        scored(lambda prompt, answer, wanted: worth, ["p"], ["a"], ["w"])


def arms(better: float):
    rng = np.random.default_rng(3)
    weight, hard = np.full(20, 12.0), rng.normal(30, 5, size=20)
    base = Told("base", 0, {"loss": token_loss(hard, weight)})
    tuned = Told("lora", 1, {"loss": token_loss(hard - better + rng.normal(size=20), weight)}, moved=10)
    return [base, tuned]


def test_what_is_better_beyond_doubt_is_taken_and_what_is_not_is_a_tie():
    clear, same = arms(10.0), arms(0.0)
    assert chosen_of(clear, "loss", None).name == "lora"
    assert chosen_of(same, "loss", None).name == "base"
    scores = summed(clear, "lora", "loss", "4 folds", None, None)
    assert [arm.verdict for arm in scores.arms] == ["worse", "chosen"]
    assert scores.arms[1].reason.startswith("Better than base by 0.8")
    assert "lora is taken." in scores.sentence
    tied = summed(same, "base", "loss", "4 folds", None, None)
    assert tied.arms[1].verdict == "tie"
    assert "lora cannot be told from it" in tied.sentence


def test_of_many_worthless_arms_hardly_one_is_taken():
    rng, taken = np.random.default_rng(4), 0
    for _ in range(200):
        hard, weight = rng.normal(30, 5, size=40), np.full(40, 12.0)
        made = [Told(str(i), 0, {"loss": token_loss(hard + rng.normal(size=40), weight)}) for i in range(10)]
        taken += chosen_of(made, "loss", None).name != "0"
    assert taken / 200 < 0.1


def test_the_chosen_arm_is_called_better_only_where_it_is():
    rng = np.random.default_rng(5)
    hard, weight = rng.normal(30, 5, size=20), np.full(20, 12.0)
    made = [
        Told("base", 0, {"loss": token_loss(hard + 20, weight)}),
        Told("near", 0, {"loss": token_loss(hard + rng.normal(size=20), weight)}),
        Told("wide", 0, {"loss": token_loss(hard + rng.normal(size=20), weight)}),
    ]
    scores = summed(made, "near", "loss", "4 folds", None, None)
    assert scores.arms[1].reason.startswith("Cannot be told from wide: ")


def test_scores_are_read_back(tmp_path):
    scores = summed(arms(10.0), "lora", "loss", "4 folds", None, interval(token_loss([1.0, 2.0, 3.0], [10, 12, 9])))
    (tmp_path / "scores.json").write_text(json.dumps(scores.as_dict()))
    back = AnswerScores.read(tmp_path / "scores.json")
    assert back.as_dict() == scores.as_dict()
    assert str(back).splitlines()[0].startswith("arm")


@given(st.data())
def test_junk_anywhere_in_the_file_is_refused_in_one_sentence_or_can_be_told(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("junk") / "scores.json"
    good = summed(
        arms(10.0), "lora", "loss", "4 folds", None, interval(token_loss([1.0, 2.0, 3.0], [10, 12, 9]))
    ).as_dict()
    file.write_text(json.dumps(put(good, data.draw(st.sampled_from(places(good))), data.draw(JSON))))
    try:
        found = AnswerScores.read(file)
    except BundleError as error:
        assert str(error).startswith(f"{file} cannot be read as the scores of a run (")
    else:
        assert str(found) and found.as_dict()


def test_a_win_is_asked_about_in_both_orders_and_equal_answers_are_ties():
    asked = []

    def first_place(prompt, one, other):
        asked.append((prompt, one, other))
        return 1.0  # favours whoever is shown first

    found = win_rate(first_place, ["p", "q"], ["a", "same"], ["b", "same"])
    assert asked == [("p", "a", "b"), ("p", "b", "a")]
    assert found.scores.tolist() == [0.5, 0.5]
    longer = win_rate(
        lambda prompt, one, other: float(len(one) > len(other)), ["p"] * 3, ["aa", "a", "b"], ["b", "bb", "c"]
    )
    assert longer.scores.tolist() == [1.0, 0.0, 0.5]
    assert interval(longer).value == 0.5


def test_a_judge_of_two_answers_gives_numbers_from_0_to_1():
    with pytest.raises(OptionError, match="metric= must give a number from 0 to 1 for each answer, got 2"):
        win_rate(lambda prompt, one, other: 2, ["p"], ["a"], ["b"])
