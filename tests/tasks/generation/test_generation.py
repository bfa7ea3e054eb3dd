"""Scores of free answers: what they are worth, arms told apart by them, and odd metrics refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.conversations import Conversation, Message
from handful.errors import BundleError, OptionError
from handful.evaluation.decision import best_beyond_doubt
from handful.evaluation.scores import Scores
from handful.evaluation.verdicts import Held, Rows, assemble
from handful.tasks.generation import GENERATION
from handful.tasks.generation.metrics import (
    LOSS,
    Answered,
    exact_match,
    judge_of,
    judged,
    metric_of,
    preferences,
    token_f1,
    win_rate,
)
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
    judge = judge_of(r"regex:\d+ units")
    assert (judge("", "12 units\n", ""), judge("", "about 12 units", "")) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("exact_mach", r"must be one of loss, exact_match, token_f1 or regex:PATTERN, got 'exact_mach'"),
        ("regex:(", "must hold a regular expression after 'regex:'"),
        (
            "regex:",
            r"metric 'regex:' must hold a regular expression after 'regex:', got nothing. Write one that a right",
        ),
        ("regex:  ", "must hold a regular expression after 'regex:', got nothing"),
    ],
)
def test_an_odd_metric_is_refused(metric, said):
    with pytest.raises(OptionError, match=said):
        metric_of(metric, list(GENERATION.metrics.values()))


@pytest.mark.parametrize("worth", [2, None, "good", float("nan")])
def test_a_function_that_gives_no_share_is_refused(worth):
    with pytest.raises(OptionError, match="metric= must give a number from 0 to 1 for each answer, got"):
        judged(lambda prompt, answer, wanted: worth, ["p"], ["a"], ["w"])


WANTED = GENERATION.targets([Conversation((Message("user", f"say {i}"),), f"word {i}") for i in range(20)])


def arms(better: float):
    rng = np.random.default_rng(3)
    tokens, hard = np.full(20, 12), rng.normal(30, 5, size=20)
    base = Held("base", Answered(hard, tokens))
    tuned = Held("lora", Answered(hard - better + rng.normal(size=20), tokens), 1, setting={"weights moved": "10"})
    return [base, tuned]


def chosen_of(arms, metric=LOSS, targets=WANTED):
    return arms[best_beyond_doubt([metric.of(arm.outputs, targets) for arm in arms], None)].name


def scores_of(arms, chosen):
    outputs = next(arm.outputs for arm in arms if arm.name == chosen)
    rows = Rows(WANTED, None, tuple(range(20)))
    return assemble(arms, outputs, chosen, rows, metric=LOSS, protocol="4 folds", rng=np.random.default_rng(0))


def test_what_is_better_beyond_doubt_is_taken_and_what_is_not_is_a_tie():
    clear, same = arms(10.0), arms(0.0)
    assert (chosen_of(clear), chosen_of(same)) == ("lora", "base")
    scores = scores_of(clear, "lora")
    assert [arm.verdict for arm in scores.arms] == ["worse", "chosen"]
    start = "Taken for what it does on held-out rows, better than asking the model as it is by 0.8"
    assert scores.arms[1].reason.startswith(start)
    assert "lora is taken." in scores.sentence
    tied = scores_of(same, "base")
    assert [arm.verdict for arm in tied.arms] == ["chosen", "tie"]
    assert tied.arms[0].reason == "Taken since nothing that was tried is better beyond doubt."
    end = "not yet better than asking the model as it is: these rows do not show that examples or tuning help."
    assert tied.sentence.endswith(end)


def test_of_many_worthless_arms_hardly_one_is_taken():
    rng, taken = np.random.default_rng(4), 0
    targets = GENERATION.targets(WANTED.values.tolist() * 2)
    for _ in range(200):
        hard, tokens = rng.normal(30, 5, size=40), np.full(40, 12)
        made = [Held(str(i), Answered(hard + rng.normal(size=40), tokens)) for i in range(10)]
        taken += chosen_of(made, targets=targets) != "0"
    assert taken / 200 < 0.1


def test_every_metric_that_is_known_is_told_of_every_arm():
    base, tuned = arms(10.0)
    texts = tuple(row.answer for row in WANTED.values)
    spoke = replace(tuned, outputs=replace(tuned.outputs, texts=texts, likeliest=np.arange(20) < 5))
    told = scores_of([base, spoke], "lora").arms[1].metrics
    assert {name: estimate.value for name, estimate in told.items()} == {
        "accuracy": 0.25, "exact_match": 1.0, "token_f1": 1.0,
    }  # fmt: skip


def test_a_held_out_answer_says_how_probable_a_wanted_token_was():
    outputs = Answered(np.array([4 * np.log(2), 0.0]), np.array([4, 3]), ("a", "b"))
    rows = GENERATION.held_out(outputs, WANTED.take([3, 4]), (7, 9))
    assert [(row.row, row.label, row.predicted, row.own) for row in rows] == [
        (7, "word 3", "a", pytest.approx(0.5)), (9, "word 4", "b", 1.0),
    ]  # fmt: skip
    assert rows[0].beside == {"loss": "0.6931"}


def test_of_two_answers_the_likelier_one_per_token_is_preferred_and_a_tie_is_half():
    nats, start = np.array([2.0, 4.0, 1.0, 4.0, 4.0, 1.0]), np.array([4.0, 4.0, 1.0, 4.0, 3.0, 1.0])
    outputs = preferences(nats, start, np.array([2, 4, 1, 2, 2, 1]))
    assert outputs.preferred.tolist() == [1.0, 1.0, 0.5]  # 1 < 2, 1 < 2, 1 = 1 nats per token
    assert outputs.gained.tolist() == [1.0, 1.0, 0.5]
    assert (outputs.nats.tolist(), outputs.tokens.tolist()) == ([2.0, 4.0, 1.0], [2, 4, 1])


def test_scores_are_read_back(tmp_path):
    scores = scores_of(arms(10.0), "lora")
    (tmp_path / "scores.json").write_text(json.dumps(scores.as_dict()))
    back = Scores.read(tmp_path / "scores.json")
    assert back.as_dict() == scores.as_dict()
    assert str(back).splitlines()[0].startswith("arm")


@given(st.data())
def test_junk_anywhere_in_the_file_is_refused_in_one_sentence_or_can_be_told(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("junk") / "scores.json"
    good = scores_of(arms(10.0), "lora").as_dict()
    file.write_text(json.dumps(put(good, data.draw(st.sampled_from(places(good))), data.draw(JSON))))
    try:
        found = Scores.read(file)
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
    assert found.tolist() == [0.5, 0.5]
    longer = win_rate(
        lambda prompt, one, other: float(len(one) > len(other)), ["p"] * 3, ["aa", "a", "b"], ["b", "bb", "c"]
    )
    assert longer.tolist() == [1.0, 0.0, 0.5]


def test_a_judge_of_two_answers_gives_numbers_from_0_to_1():
    with pytest.raises(OptionError, match="metric= must give a number from 0 to 1 for each answer, got 2"):
        win_rate(lambda prompt, one, other: 2, ["p"], ["a"], ["b"])
