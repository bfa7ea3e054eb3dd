"""The ladder of a language model: arms on the same held-out rows, what time pays for, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message, Preference
from handful.errors import OptionError, TrainingError
from handful.evaluation.intervals import Estimate, interval
from handful.strategies.language import answering, pace, planning, recipes, stage, trying
from handful.strategies.language.answering import compare_answers
from handful.strategies.language.in_context import Examples, Shots, best_count
from handful.strategies.language.pace import REREAD, Pace
from handful.strategies.language.preferring import compare_preferences
from handful.strategies.language.recipes import LEAST_UPDATES, PREFERENCES, RECIPES
from handful.strategies.language.stage import LanguageTerms
from handful.tasks.generation import PREFERENCE
from handful.tasks.generation.metrics import EXACT_MATCH, JUDGED, LOSS, PREFERRED, WINS
from handful.training.objectives.preference import DPO
from handful.training.tuners import Blocks

WORDS = ["cat", "dog", "sun", "sea", "car", "tree", "bee", "hat", "map", "pen", "cup", "box"]
ROWS = [Conversation((Message("user", f"say {word}"),), word.upper()) for word in WORDS]
# What moves in a toy is the same for both: weights themselves, in updates that cost half of those of factors.
FAST = {name: replace(RECIPES[name], tuner=Blocks(), learning_rate=1e-2) for name in ("full", "lora")}


@pytest.fixture(scope="module")
def toy():
    return ToyLanguage()


@pytest.fixture
def measured(monkeypatch):
    """Make it look as if reading all rows and one row took so many seconds, and trainings as long as planned."""

    def give(reading, row, saying=0.0, more=False):
        def pace_of(stage, recipes, factor):
            updates = {one.name: REREAD * factor * row * min(one.batch, len(stage.rows)) for one in recipes}
            return Pace(reading, saying, row, updates)

        monkeypatch.setattr(planning, "pace_of", pace_of)
        if not more:
            monkeypatch.setattr(answering, "another_fits", lambda *so_far: False)

    return give


def terms(*wanted, **options):
    return LanguageTerms(wanted=("base", *wanted), **{"recipes": FAST, "updates": 24, **options})


@pytest.mark.slow
def test_what_learns_is_taken_on_the_same_rows_as_the_rest(toy):
    found = compare_answers(toy, ROWS, None, terms("in-context", "full"))
    assert [arm.name for arm in found.arms] == ["base", "nearest", "diverse", "full"]
    assert {len(arm.outputs.nats) for arm in found.arms} == {len(ROWS)}
    assert found.chosen == "full"
    assert LOSS.of(found.arms[-1].outputs, found.stage.targets).value < LOSS.of(found.arms[0].outputs, None).value
    assert found.stage.protocol == "4 folds"
    assert found.tuned is not None
    assert len(found.curves["full"]) == 4
    assert found.forgetting is not None
    assert any("24 updates of 4 rows on each of 4 folds" in note for note in found.notes)


def test_held_out_rows_are_never_learned_from(toy, monkeypatch):
    learned = []
    real = stage.fit_recipe

    def seen(backbone, lesson, rows, *args, **named):
        learned.append(set(rows.tolist()))
        return real(backbone, lesson, rows, *args, **named)

    monkeypatch.setattr(stage, "fit_recipe", seen)
    found = compare_answers(toy, ROWS, None, terms("full"))
    assert len(learned) == 5  # four folds, and all rows
    assert learned[-1] == set(range(len(ROWS)))
    folds = [set(range(len(ROWS))) - rows for rows in learned[:4]]
    assert sorted(row for fold in folds for row in fold) == list(range(len(ROWS)))
    assert found.chosen == "full"


def test_rows_of_one_group_are_held_out_together(toy):
    groups = np.arange(len(ROWS)) // 3
    found = compare_answers(toy, ROWS, groups, terms())
    assert found.stage.protocol == "4 grouped folds"


def test_one_group_alone_cannot_be_held_out(toy):
    with pytest.raises(OptionError, match="must be of at least 3 groups that are unlike each other, got 1"):
        compare_answers(toy, ROWS, np.zeros(len(ROWS), int), terms())


def test_a_budget_of_nothing_moves_nothing(toy):
    found = compare_answers(toy, ROWS, None, terms("lora", budget=0))
    assert found.chosen == "base"
    assert found.notes == ("lora was not tried: with a budget of 0 weights stay as they are.",)


def test_what_is_named_and_cannot_be_paid_is_an_error_with_the_time_it_needs(toy, measured):
    measured(10.0, 1.0)
    with pytest.raises(OptionError, match=r"lora cannot be tried: it needs about \d+ min here; run `.*budget='\d+min'"):
        compare_answers(toy, ROWS, None, terms("lora", budget=60, named=True))


def test_what_cannot_be_paid_is_said_and_folds_go_before_updates(toy, measured):
    measured(0.1, 0.1)
    found = compare_answers(toy, ROWS, None, terms("lora", budget=60))
    # A quarter of a second for each row of 24 updates of 4: 23 s for a fold, 23 s for all rows.
    assert found.stage.protocol == "1 of 4 folds held out in turn"
    assert len(found.stage.held) == 3
    dear = compare_answers(toy, ROWS, None, terms("lora", budget=30))
    assert any(note.startswith("lora was not tried: it needs about 51 s here; run `") for note in dear.notes)
    late = compare_answers(toy, ROWS, None, terms("lora", budget=30, before=20))
    assert any(note.startswith("lora was not tried: it needs about 71 s here; run `") for note in late.notes)


def test_folds_that_still_fit_are_held_out_and_that_is_said(toy, measured):
    measured(0.1, 0.1, more=True)
    found = compare_answers(toy, ROWS, None, terms("in-context", "lora", budget=60))
    assert found.stage.protocol == "4 folds"
    assert {len(arm.outputs.nats) for arm in found.arms} == {len(ROWS)}
    assert len(found.curves["lora"]) == 4
    assert "4 folds were held out in place of 1: they took less time than planned." in found.notes
    assert [len(arm.setting.get("examples shown", [0] * 4)) for arm in found.arms] == [4] * 4


def test_a_fold_that_does_not_fit_any_more_is_left_aside(toy, measured, monkeypatch):
    measured(0.1, 0.1, more=True)
    monkeypatch.setattr(stage.Stage, "left", 0.001)
    with pytest.raises(OptionError):  # nothing fits at all
        compare_answers(toy, ROWS, None, terms("lora", budget=60, named=True))
    some, _ = stage.stage_of(toy, ROWS, None, terms("lora", budget=60))
    some.used = 1
    assert not planning.another_fits(some, [0.002, 0.004], [])
    monkeypatch.setattr(stage.Stage, "left", 60.0)
    assert planning.another_fits(some, [0.002, 0.004], [])
    some.used = 4
    assert not planning.another_fits(some, [0.002, 0.004], [])


def test_whether_a_fold_fits_is_decided_once_for_a_run_and_those_that_resume_it(toy, tmp_path, monkeypatch):
    some, _ = stage.stage_of(toy, ROWS, None, terms("lora", budget=60, checkpoints=tmp_path))
    some.used = 1
    monkeypatch.setattr(stage.Stage, "left", 0.001)
    assert not planning.another_fits(some, [1.0], [])
    monkeypatch.setattr(stage.Stage, "left", 60.0)
    assert not planning.another_fits(some, [0.001], [])


def test_what_things_take_is_measured_on_real_updates_and_answers(toy, monkeypatch):
    """A clock that runs while updates are made, tokens are said and rows are read, and at no other time."""
    clock = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: clock[0])

    def passing(seconds, what):
        clock[0] += seconds
        return what

    def fit_recipe(backbone, lesson, rows, recipe, settings, progress):
        for number in range(settings.updates):
            progress(passing(5.0, number), settings.updates, None)

    monkeypatch.setattr(pace, "fit_recipe", fit_recipe)
    monkeypatch.setattr(pace, "steps", lambda *asked: (passing(2.0, step) for step in range(3)))
    real = type(toy).losses
    monkeypatch.setattr(type(toy), "losses", lambda self, rows: passing(0.1 * len(rows), real(self, rows)))
    some, _ = stage.stage_of(toy, ROWS, None, terms("lora", budget=60))
    found = pace.pace_of(some, [FAST["lora"]], factor=2.0)
    assert found.updates == {"lora": pytest.approx(10.0)}
    assert found.answering == pytest.approx(
        2.0 * some.sampling.most
    )  # all rows side by side, each answer as long as it may be
    assert found.reading == pytest.approx(12 * found.row)
    assert found.row == pytest.approx(0.1, rel=0.2)


def test_a_slow_machine_is_not_measured_for_longer_than_what_it_is_measured_for(toy, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: clock[0])

    def reading(self, rows):
        clock[0] += 2.0 * len(rows)
        return real(self, rows)

    def nothing(*asked, **more):
        raise AssertionError("the measurement takes most of the minute")

    real = type(toy).losses
    monkeypatch.setattr(type(toy), "losses", reading)
    monkeypatch.setattr(pace, "fit_recipe", nothing)
    monkeypatch.setattr(pace, "steps", nothing)
    some, _ = stage.stage_of(toy, ROWS, None, terms("lora", budget=60))
    some.begun = 0.0
    measured = pace.pace_of(some, [FAST["lora"]], factor=2.0)
    assert clock[0] == 16.0
    assert measured.updates == {"lora": pytest.approx(2.0 * pace.REREAD * measured.row * FAST["lora"].batch)}
    assert measured.answering > measured.reading


def test_so_many_rows_are_held_out_that_there_is_an_interval(toy, measured):
    measured(0.0, 0.1)
    found = compare_answers(toy, ROWS[:4], None, terms("lora", budget=1000))
    assert len(found.stage.held) == 4
    few = compare_answers(toy, ROWS[:4], None, terms("lora", budget=100))
    assert len(few.stage.held) == 3
    assert np.isfinite(interval(few.stage.measured(few.arms[0]), None).high)


def test_a_resumed_run_does_what_it_began_on_a_slower_machine_too(toy, measured, tmp_path):
    def curves(found):
        return [[update.loss for update in log] for log in found.curves["lora"]]

    measured(0.0, 0.1)
    first = compare_answers(toy, ROWS, None, terms("lora", budget=60, checkpoints=tmp_path))
    measured(0.0, 0.2)
    again = compare_answers(toy, ROWS, None, terms("lora", budget=60, checkpoints=tmp_path))
    assert curves(again) == curves(first)
    assert again.stage.protocol == first.stage.protocol


def test_too_few_updates_to_move_anything_are_refused(toy):
    with pytest.raises(
        OptionError, match=f"5 updates move nothing far enough to be seen; it needs at least {LEAST_UPDATES}"
    ):
        compare_answers(toy, ROWS, None, terms("lora", updates=5, named=True))


def test_a_training_that_runs_away_leaves_the_other_arms(toy, monkeypatch):
    def run_away(*args, **named):
        raise TrainingError("the loss must stay a finite number, got nan. Try a rate ten times lower.")

    monkeypatch.setattr(stage, "fit_recipe", run_away)
    found = compare_answers(toy, ROWS, None, terms("full"))
    assert found.chosen == "base"
    assert any(note.startswith("full failed: the loss must stay a finite number") for note in found.notes)
    with pytest.raises(TrainingError):
        compare_answers(toy, ROWS, None, terms("full", named=True))


def test_answers_can_be_judged_by_a_function(toy):
    asked = []

    def judge(prompt, answer, wanted):
        asked.append((prompt, wanted))
        return 0.5

    found = compare_answers(toy, ROWS, None, terms(metric=JUDGED, judge=judge))
    assert found.arms[0].outputs.judged.tolist() == [0.5] * len(ROWS)
    assert found.stage.measured(found.arms[0]).value == 0.5
    assert ("say cat", "CAT") in asked


def test_where_answers_are_labels_the_likeliest_of_them_is_scored(toy):
    rows = [Conversation((Message("user", f"{word} {word}"),), "AB" if i % 2 else "YZ") for i, word in enumerate(WORDS)]
    known = [replace(row, prompt=(Message("user", row.answer.lower()),)) for row in rows]
    found = compare_answers(toy, known, None, terms("full", choices=("AB", "YZ"), updates=60))
    base, tuned = (float(arm.outputs.likeliest.mean()) for arm in found.arms)
    assert base <= 0.75
    assert tuned == 1.0


def test_forgetting_is_said_with_what_half_of_the_way_would_keep(toy, monkeypatch):
    monkeypatch.setattr(trying, "forgotten", lambda before, after, tell: Estimate(0.4, 0.3, 0.5))
    found = compare_answers(
        toy, ROWS, None, terms("full", again=lambda anti_forgetting: f"again with {anti_forgetting}")
    )
    (said,) = [note for note in found.notes if note.startswith("full forgot")]
    assert ", and the loss on held-out rows " in said
    assert "`again with fade`" in said


def test_what_preferences_forgot_is_said_too(toy, monkeypatch):
    monkeypatch.setattr(trying, "forgotten", lambda before, after, tell: Estimate(0.4, 0.3, 0.5))
    found = compare_preferences(toy, PAIRS, None, pair_terms("dpo", recipes=STRONG))
    assert found.chosen == "dpo"
    assert any("dpo forgot" in note and "anti_forgetting='l2sp'" in note for note in found.notes)


def test_rows_that_are_too_long_are_counted(toy):
    long = [Conversation((Message("user", "a" * 300),), "b"), *ROWS]
    said = "1 of 13 rows are longer than 256 tokens and were cut: prompts on the left, answers at the end."
    assert said in compare_answers(toy, long, None, terms()).notes


def test_a_model_that_cannot_end_an_answer_is_said_to_be_one(monkeypatch):
    monkeypatch.setattr("handful.backbones.chat.Chat._stops", lambda chat: frozenset())
    _, notes = stage.stage_of(ToyLanguage(), ROWS, None, terms())
    assert notes == ["toy-language has no token that ends a text: each answer gets as many tokens as it may have."]


def test_near_examples_share_words_and_diverse_ones_are_fixed():
    near = Examples(ROWS, Shots("nearest", 2))
    assert near.of((Message("user", "please say tree now"),))[-1].answer == "TREE"
    fixed = Examples(ROWS, Shots("diverse", 3))
    assert fixed.of(ROWS[0].prompt) == fixed.of(ROWS[5].prompt)
    assert len(set(fixed.of(ROWS[0].prompt))) == 3
    signs = Examples([Conversation((Message("user", "?!"),), "x")] * 3, Shots("nearest", 2))
    assert len(signs.of((Message("user", "?"),))) == 2


def test_the_number_of_examples_is_chosen_on_rows_to_learn_from_alone(toy, monkeypatch, measured):
    seen = []
    real = stage.best_count

    def watched(backbone, rows, groups, kind, counts, asked, tell):
        seen.append((kind, {row.answer for row in rows}, tuple(counts), len(asked)))
        return real(backbone, rows, groups, kind, counts, asked, tell)

    monkeypatch.setattr(stage, "best_count", watched)
    measured(0.01, 0.001)
    found = compare_answers(toy, ROWS, None, terms("in-context"))
    assert [kind for kind, *_ in seen] == ["nearest"] * 4 + ["diverse"] * 4
    everything = {row.answer for row in ROWS}
    assert set.union(*(everything - answers for _, answers, _, _ in seen[:4])) == everything
    assert {len(answers) for _, answers, _, _ in seen} == {9}
    assert {(counts, asked) for *_, counts, asked in seen} == {((1, 2, 4, 8), 9)}
    shown = found.arms[1].setting["examples shown"]
    assert len(shown) == 4
    assert set(shown) <= {1, 2, 4, 8}
    assert any(
        note.startswith("How many examples are shown was chosen from 1, 2, 4, 8 in each fold") for note in found.notes
    )


def test_little_time_leaves_the_number_of_examples_as_it_is(toy, measured):
    free = compare_answers(toy, ROWS, None, terms("in-context", budget=0))
    assert free.arms[1].setting["examples shown"] == [4] * 4
    measured(12.0, 1.0)
    short = compare_answers(toy, ROWS, None, terms("in-context", budget=60))
    assert short.arms[1].setting["examples shown"] == [4]
    assert short.stage.protocol == "1 of 4 folds held out in turn"  # asking about all would pass the budget
    measured(1.2, 0.1)
    some = compare_answers(toy, ROWS, None, terms("in-context", budget=150))
    assert any("chosen from 1, 2 in each fold anew, on 4 of" in note for note in some.notes)


def test_a_row_is_asked_about_without_itself_and_without_its_group(toy, monkeypatch):
    shown = []
    real = Examples.of
    monkeypatch.setattr(Examples, "of", lambda self, *args: shown.append((args[0], real(self, *args))) or shown[-1][1])
    groups = np.arange(len(ROWS)) // 2
    for kind in ("nearest", "diverse"):
        best_count(toy, ROWS, groups, kind, (1, 4), np.arange(len(ROWS)))
    place = {row.prompt: int(group) for row, group in zip(ROWS, groups, strict=True)}
    assert len(shown) == 4 * len(ROWS)
    assert all(place[prompt] != place[row.prompt] for prompt, rows in shown for row in rows)
    assert {len(rows) for _, rows in shown} == {1, 4}


def test_the_number_with_the_lowest_loss_is_chosen_and_of_ties_the_smallest(toy, monkeypatch):
    losses = {1: 2.0, 2: 1.0, 4: 1.0}
    monkeypatch.setattr(
        type(toy), "losses",
        lambda self, rows: (np.array([losses[row] for row in rows]), np.ones(len(rows), int)),
    )  # fmt: skip
    monkeypatch.setattr(type(toy.chat), "tokens", lambda self, row, most: (len(row.prompt) - 1) // 2)
    assert best_count(toy, ROWS, None, "nearest", (1, 2, 4), np.arange(3)) == 2


@pytest.mark.parametrize(
    ("prompts", "question", "nearest"),
    [
        (["今日の天気を教えて", "東京駅への行き方は何ですか", "猫の餌を買いたい"], "明日の天気はどうですか", 0),
        (["请帮我订一张去北京的火车票", "今天上海的天气怎么样", "我想买两公斤苹果"], "帮我买一张北京的机票", 0),
        (["อากาศวันนี้เป็นอย่างไร", "ขอกาแฟร้อนสองแก้ว", "รถไฟออกกี่โมง"], "ขอชาร้อนหนึ่งแก้ว", 1),
    ],
)  # fmt: skip
def test_near_examples_are_found_in_scripts_without_spaces(prompts, question, nearest):
    rows = [Conversation((Message("user", prompt),), str(i)) for i, prompt in enumerate(prompts)]
    for order in (rows, rows[::-1]):
        assert Examples(order, Shots("nearest", 1)).of((Message("user", question),))[0].answer == str(nearest)
        spread = Examples(order, Shots("diverse", 2)).of(())
        assert len({row.answer for row in spread}) == 2


def test_examples_leave_room_for_the_question(toy):
    examples = Examples([Conversation((Message("user", "word " * 30),), "x")] * 4, Shots("nearest", 4))
    row = Conversation((Message("user", "say"),), "y")
    shown = examples.before(row, toy.chat, toy.context)
    assert toy.chat.tokens(shown, toy.context).cut == 0
    assert len(shown.prompt) < 9


def pair_terms(*wanted, **options):
    return terms(*wanted, **{"task": PREFERENCE, "metric": PREFERRED, **options})


PAIRS = [Preference((Message("user", f"say {word}"),), word.upper(), "zzzz") for word in WORDS]
EAGER = {"dpo": replace(PREFERENCES["dpo"], learning_rate=1e-2)}
STRONG = {"dpo": replace(PREFERENCES["dpo"], objective=DPO(0.1, supervised=2.0), tuner=Blocks(), learning_rate=1e-2)}


def test_of_preferences_nothing_but_their_metric_decides_and_no_answer_is_counted(toy):
    some, _ = stage.stage_of(toy, [pair.chosen_row for pair in PAIRS], None, pair_terms("dpo"))
    assert (some.terms.finer, some.speaks) == (None, False)
    judged, _ = stage.stage_of(toy, ROWS, None, pair_terms("dpo", judge=lambda *texts: 1.0, metric=WINS))
    assert judged.speaks
    free, _ = stage.stage_of(toy, ROWS, None, terms("lora", metric=EXACT_MATCH))
    assert (free.terms.finer, free.speaks) == (LOSS, True)
    assert terms("lora").finer is None


def test_preferences_are_learned_and_scored_on_held_out_pairs(toy):
    found = compare_preferences(toy, PAIRS, None, pair_terms("dpo", recipes=EAGER))
    base, tuned = (arm.outputs for arm in found.arms)
    assert base.gained.mean() == 0.5
    assert tuned.gained.mean() > 0.9
    assert tuned.preferred.mean() >= base.preferred.mean()


def test_folds_of_pairs_that_still_fit_are_held_out_too(toy, measured):
    measured(0.1, 0.1, more=True)
    asked = []

    def judge(prompt, one, other):
        asked.append(prompt)
        return 0.5

    options = {"recipes": STRONG, "budget": 120, "metric": WINS, "judge": judge}
    found = compare_preferences(toy, PAIRS, None, pair_terms("dpo", **options))
    assert found.stage.protocol == "4 folds"
    assert "4 folds were held out in place of 1: they took less time than planned." in found.notes
    assert {len(arm.outputs.texts) for arm in found.arms} == {len(PAIRS)}
    assert len(found.curves["dpo"]) == 4
    assert set(asked) == {f"say {word}" for word in WORDS}


def test_products_may_be_rounded_for_answers_but_never_for_pairs(toy, monkeypatch):
    """Likelihoods of pairs are set against those of the untouched model, which are not rounded."""
    asked, real = [], recipes.train

    def train(body, *rest, **options):
        asked.append(body.rounds_on_cpu)
        return real(body, *rest, **options)

    monkeypatch.setattr(recipes, "train", train)
    compare_answers(toy, ROWS, None, terms("lora", recipes=RECIPES, updates=LEAST_UPDATES))
    compare_preferences(toy, PAIRS, None, pair_terms("dpo", recipes=EAGER, updates=LEAST_UPDATES))
    assert True in asked
    assert False in asked
    assert asked == sorted(asked, reverse=True)  # all of the first run, none of the second


def test_a_judge_of_two_answers_says_how_often_the_tuned_one_wins(toy):
    asked = []

    def is_short(prompt, one, other):
        asked.append(prompt)
        return float(len(one) < len(other))

    options = {"recipes": STRONG, "updates": 60, "metric": WINS, "judge": is_short}
    found = compare_preferences(toy, PAIRS, None, pair_terms("dpo", **options))
    base, tuned = (arm.outputs for arm in found.arms)
    assert base.judged.tolist() == [0.5] * len(PAIRS)
    assert tuned.judged.mean() > 0.8
    assert found.chosen == "dpo"
    assert interval(found.stage.measured(found.arms[1]), None).low > 0.5
    assert set(asked) == {f"say {word}" for word in WORDS}
    assert len(tuned.texts) == len(PAIRS)
