"""The ladder above rung 0: weights move where held-out rows pay for it, and nothing that fails takes the run along."""

import itertools
import re
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.errors import TrainingError
from handful.evaluation.decision import Prior
from handful.evaluation.verdicts import assemble
from handful.features.feature_set import extract_all
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.strategies.tuned import cost, known, ladder
from handful.strategies.tuned.ladder import Terms, run_ladder
from handful.strategies.tuned.methods.contrastive import Contrastive
from handful.tasks.classification import CLASSIFICATION
from handful.training.loop import Update
from small_backbones import Muted, SmallText

CONTRASTIVE = Terms(("contrastive",), named=True, budget=60.0)


@dataclass
class Case:
    data: Dataset
    backbone: Muted
    frozen: object

    def run_ladder(self, terms=CONTRASTIVE):
        return run_ladder(self.data, self.backbone, self.frozen, terms)


def case(labels=None, n=32):
    items = [f"{'ants' if i % 2 else 'bees'} {i}" for i in range(n)]
    labels = tuple(item.split()[0] for item in items) if labels is None else labels
    backbone = Muted()
    data, sight = extract_all(Dataset(items, "text", labels), {"muted": backbone})
    sight = replace(sight, names={})
    return Case(
        data,
        backbone,
        run_frozen(
            CLASSIFICATION.read(labels),
            data,
            sight,
            SearchTerms(("centroid", "logistic"), 0.0, 0, Inline()),
        ),
    )


def expect(monkeypatch, mean):
    """So large a gain of the contrastive strategy on texts is known from elsewhere."""
    found = known.Experience(mean, 0.0, 0.0, 0.0, Prior(mean, 0.1))
    monkeypatch.setattr(known, "EXPERIENCE", {("classification", "contrastive", "text"): found})


@pytest.fixture
def helpful():
    """Rows that a frozen head cannot tell apart, and moved weights can."""
    return case()


@pytest.fixture
def hopeless():
    """Labels that nothing says anything about."""
    return case(tuple(np.random.default_rng(1).permutation(["x", "y"] * 16).tolist()))


def test_where_moving_weights_helps_it_is_chosen_and_fitted_on_all_rows(helpful):
    truth = helpful.frozen.rows.targets.values
    assert (helpful.frozen.whole[0].argmax(1) == truth).mean() < 0.8
    found = helpful.run_ladder()
    (rung,) = found.rungs
    assert found.chosen is rung
    assert rung.decided.passed
    assert rung.decided.gain.low > 0
    assert (rung.outputs.argmax(1) == truth).mean() > 0.9
    assert rung.share > 0.9
    assert found.whole.shape == (1, 32, 2)
    np.testing.assert_allclose(found.whole.sum(2), 1)
    assert len(found.final.log) == rung.strategy.updates
    assert [arm.name for arm in found.arms] == [*(arm.name for arm in helpful.frozen.arms), "contrastive"]
    folds = len(rung.cross_fit.curves)
    assert found.arms[-1].setting["names of classes"] == f"learned from in {rung.cross_fit.named} of {folds} folds"
    assert found.notes[-1] == "contrastive takes the place of the model before it."
    assert re.fullmatch(
        r"The chance that it does better on new items than the model before it is 100%, judged by these rows, on "
        r"which its loss is \d\.\d\d lower \(gain \+[\d.]+ to \+[\d.]+\), and by other data sets, where it was "
        r"better in \d+ of \d+ draws",
        found.arms[-1].gate,
    )


def test_where_labels_mean_nothing_the_scores_say_so_whatever_ships(hopeless):
    found = hopeless.run_ladder()
    rows, whole = hopeless.frozen.rows, hopeless.frozen.whole if found.whole is None else found.whole
    chosen = hopeless.frozen.arm if found.chosen is None else found.chosen.name
    scores = assemble(
        found.arms, whole, chosen, rows, metric=CLASSIFICATION.headline, protocol="", rng=np.random.default_rng(0)
    )
    assert "nothing shows yet that these labels can be learned" in scores.sentence


def test_the_backbone_is_not_touched(helpful):
    before = [block.moved.clone() for block in helpful.backbone.blocks]
    helpful.run_ladder()
    assert all(torch.equal(b.moved, was) for b, was in zip(helpful.backbone.blocks, before, strict=True))


def test_the_same_seed_climbs_the_same_way(helpful):
    first, second = helpful.run_ladder(), helpful.run_ladder()
    np.testing.assert_array_equal(first.whole, second.whole)
    assert all(torch.equal(first.final.delta[name], tensor) for name, tensor in second.final.delta.items())


@pytest.mark.parametrize("budget", [0.0, -3.0])
def test_without_a_budget_nothing_moves(helpful, monkeypatch, budget):
    monkeypatch.setattr(cost, "adapt", None)
    found = helpful.run_ladder(replace(CONTRASTIVE, budget=budget))
    assert (found.rungs, found.chosen, found.final, found.whole) == ((), None, None, None)
    assert found.notes == ("Weights stay as they are: the budget leaves no time to move them.",)
    assert helpful.run_ladder(replace(CONTRASTIVE, budget=budget, named=False)).notes == ()


def test_what_takes_longer_than_is_left_is_noted_with_figures(helpful, monkeypatch):
    monkeypatch.setattr(cost, "_measured", lambda *_: 1000.0)
    found = helpful.run_ladder()
    assert found.rungs == ()
    (note,) = found.notes
    said = "contrastive: 4 fits of 10 updates, about 4000 s was left out: "
    assert re.fullmatch(said + r"(60|5\d) s of the budget were left\.", note)


@pytest.mark.parametrize(("wanted", "budget"), [(("contrastive",), 0.0), ((), 60.0), (("contrastive",), 60.0)])
def test_a_search_that_cannot_begin_is_said_to_be_left_out(wanted, budget, helpful, monkeypatch):
    monkeypatch.setattr(cost, "_measured", lambda *_: 1000.0)
    found = helpful.run_ladder(replace(CONTRASTIVE, wanted=wanted, budget=budget, trials=5))
    assert found.notes[-1] == "The search for 5 further settings was left out: no weights were moved before it."
    assert found.trials == ()


def test_only_what_is_promising_is_tried_unless_it_is_named(helpful, monkeypatch):
    wanted = ("contrastive", "adapters", "prefix")
    expect(monkeypatch, 0.0)
    found = helpful.run_ladder(Terms(wanted, named=False, budget=60.0))
    wrong = int((helpful.frozen.whole[0].argmax(1) != helpful.frozen.rows.targets.values).sum())
    said = (
        f"contrastive was not tried: of 32 rows the frozen model has {wrong} wrong, of which it is expected to save "
        "too few."
    )
    assert (found.rungs, found.notes) == ((), (said,))  # of what nobody expects anything of, nothing is said
    expect(monkeypatch, 0.9)
    assert [rung.name for rung in helpful.run_ladder(Terms(wanted, named=False, budget=60.0)).rungs] == ["contrastive"]


def test_a_strategy_with_settings_of_its_own_is_judged_by_the_rows_alone(helpful):
    """What is known is about the settings that were measured."""
    targets = helpful.frozen.rows.targets
    assert known.known(Contrastive(seed=5), "my/model", "text", targets, 0.5, 0.7) is not None
    assert known.known(Contrastive(learning_rate=1e-3), "my/model", "text", targets, 0.5, 0.7) is None
    assert known.known(Contrastive(), "my/model", "image", targets, 0.5, 0.7) is None


def test_what_is_known_depends_on_what_is_seen_beforehand():
    found = known.Experience(0.1, 0.02, -0.03, 0.2, Prior(0.0, 0.12, 0.05, better=9, of=10))
    assert found.given(4, 8, 0.5).mean == pytest.approx(0.1)
    assert found.given(8, 8, 0.5).mean == pytest.approx(0.1 + 0.02 * np.log(2))
    assert found.given(4, 16, 0.5).mean == pytest.approx(0.1 - 0.03 * np.log(2))
    assert found.given(4, 8, 1.7).mean == found.given(4, 8, 1.0).mean == pytest.approx(0.2)
    assert found.given(4, 8, 0.5).spread == 0.12


def test_a_strategy_that_does_not_fit_is_noted_where_it_was_named(helpful):
    found = helpful.run_ladder(replace(CONTRASTIVE, wanted=("prefix", "contrastive")))
    assert found.notes[0] == "prefix was left out: a prefix is for transformers, and muted is none."
    assert [rung.name for rung in found.rungs] == ["contrastive"]


def failing(times, real):
    """A training that runs away once it was called so many times."""
    left = [times]

    def training(*args, **options):
        left[0] -= 1
        if left[0] < 0:
            raise TrainingError("the loss must stay a finite number, got nan.")
        return real(*args, **options)

    return training


def test_a_strategy_that_runs_away_while_it_is_timed_is_noted_and_others_go_on(helpful, monkeypatch):
    real = cost._measured

    def measured(activations, targets, recipe):
        if recipe.tuner.name == "adapter":
            raise TrainingError("the loss must stay a finite number, got nan.")
        return real(activations, targets, recipe)

    monkeypatch.setattr(cost, "_measured", measured)
    found = helpful.run_ladder(replace(CONTRASTIVE, wanted=("adapters", "contrastive")))
    assert found.notes[0] == "adapters failed and was given up: the loss must stay a finite number, got nan."
    assert found.chosen.name == "contrastive"


def test_a_strategy_that_runs_away_on_a_fold_is_noted_and_others_go_on(helpful, monkeypatch):
    real = ladder.cross_fit

    def cross_fit(targets, activations, folds, recipe, **options):
        if recipe.tuner.name == "adapter":
            raise TrainingError("the loss must stay a finite number, got nan.")
        return real(targets, activations, folds, recipe, **options)

    monkeypatch.setattr(ladder, "cross_fit", cross_fit)
    found = helpful.run_ladder(replace(CONTRASTIVE, wanted=("adapters", "contrastive")))
    assert "adapters failed and was given up: the loss must stay a finite number, got nan." in found.notes
    assert found.chosen.name == "contrastive"


def test_a_choice_that_runs_away_on_all_rows_leaves_the_frozen_model(helpful, monkeypatch):
    monkeypatch.setattr(ladder, "moved", failing(0, ladder.moved))
    found = helpful.run_ladder()
    assert len(found.rungs) == 1
    assert (found.chosen, found.final, found.whole) == (None, None, None)
    assert found.notes[-1] == (
        "contrastive failed on all rows, so the frozen model stays: the loss must stay a finite number, got nan."
    )


def test_progress_counts_up_to_the_end(helpful):
    told = []
    helpful.run_ladder(replace(CONTRASTIVE, say=lambda *step: told.append(step)))
    for stage in {stage for stage, _, _ in told}:
        steps = [(done, total) for name, done, total in told if name == stage]
        assert steps[-1][0] == steps[-1][1]
        assert steps == sorted(steps)


def test_a_second_rung_has_to_beat_the_first(helpful):
    found = helpful.run_ladder(replace(CONTRASTIVE, wanted=("contrastive", "supcon")))
    first, second = found.rungs
    assert first.decided.passed
    frozen = helpful.frozen
    rows = frozen.rows
    expected = ladder.decide(first.outputs, second.outputs, rows.targets, frozen.few.folds, None)
    assert second.decided.gain == expected.gain
    assert second.decided.passed == expected.passed


def test_answers_of_the_whole_procedure_are_those_of_an_arm(helpful):
    found = helpful.run_ladder()
    below, above = helpful.frozen.few.whole, found.rungs[0].outputs
    for row in range(32):
        answer = found.whole[0, row]
        assert np.array_equal(answer, below[row]) or np.array_equal(answer, above[row])


@pytest.mark.parametrize(("passes", "told"), [(True, True), (False, False)])
def test_what_is_shipped_is_scored_on_the_folds_that_it_was_compared_on(helpful, monkeypatch, passes, told):
    real = ladder.decide

    def decide(below, *rest):
        return replace(real(below, *rest), passed=passes, whole=below)  # no fold lets the rival through

    monkeypatch.setattr(ladder, "decide", decide)
    found = helpful.run_ladder()
    assert (found.chosen is not None) is passes
    assert (found.whole is not None) is told
    if told:
        np.testing.assert_array_equal(found.whole[0], helpful.frozen.few.whole)


def test_a_climb_that_was_interrupted_ends_as_if_it_had_not_been(helpful, tmp_path):
    class Killed(BaseException):
        pass

    whole = helpful.run_ladder()
    seen = []

    def say(stage, done, total):
        seen.append(stage)
        if len(seen) == 12:
            raise Killed

    terms = replace(CONTRASTIVE, checkpoints=tmp_path / "state")
    with pytest.raises(Killed):
        helpful.run_ladder(replace(terms, say=say))
    again = helpful.run_ladder(terms)
    np.testing.assert_array_equal(again.whole, whole.whole)
    for name, tensor in whole.final.delta.items():
        assert torch.equal(again.final.delta[name], tensor)


def test_an_offer_says_what_it_costs():
    assert str(cost.Offer(Contrastive(), 12.4, 6, 3.0)) == "contrastive: 6 fits of 10 updates, about 12 s"


@pytest.mark.parametrize("names", [0, 2])
@pytest.mark.parametrize("held_up", [0, 1])
@pytest.mark.parametrize(("members", "pieces"), [(1, 1), (3, 1), (1, 2)])
def test_the_fit_that_is_slow_does_not_count(helpful, monkeypatch, members, pieces, held_up, names):
    """The first of all has to warm up; the second shared the machine with something else, on a GPU for seconds."""
    now, fits = [0.0], itertools.count()

    def adapt(activations, rows, targets, recipe):
        late = 50.0 * (next(fits) == held_up)
        each = 0.5 * recipe.size(len(rows) + 3 * names, 2) / 8
        now[0] += 2.0 + each * recipe.settings.updates + 2 * late
        log = tuple(Update(i, 1.0, 1.0, 1.0, each + late) for i in range(recipe.settings.updates))
        return SimpleNamespace(log=log, named=names > 0)

    monkeypatch.setattr(cost, "adapt", adapt)
    monkeypatch.setattr(cost.time, "perf_counter", lambda: now[0])
    recipe = replace(Contrastive(updates=20).recipe(), members=members, pieces=pieces)
    kept = SimpleNamespace(backbone=SmallText(), names=names, together=99, units=lambda rows: rows)
    # For each training two seconds for what goes before the first update, then half a second for every eight of the 32
    # rows, and names three times beside them, in a piece; and a third of that for asking about the rows.
    expected = members * (2.0 + 20 * 0.5 * recipe.size(32 + 3 * names, 2) / 8) + 0.5 * 4 / 3
    assert cost._measured(kept, helpful.frozen.rows.targets, recipe) == pytest.approx(expected)
