"""Moving weights for parts of items: from the frozen head on, held out by item, decided like any other arm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handful.backbones.parts import FRAMES, TOKENS
from handful.backbones.toy import WIDTH, ToyText
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.evaluation.decision import Prior
from handful.features.view import unit_rows
from handful.features.words import extract_words, words_seen
from handful.strategies.frozen.beside_reference import beside_reference
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.strategies.tuned import cost, fit, known
from handful.strategies.tuned.cross_fit import cross_fit
from handful.strategies.tuned.fit import adapt, linear_map, scored
from handful.strategies.tuned.ladder import Terms, run_ladder, shipped
from handful.strategies.tuned.methods.full import Full
from handful.strategies.tuned.methods.partial import Partial
from handful.strategies.tuned.recipe import ItemRecipe
from handful.tasks.tagging import TAGGING
from handful.training.apply_delta import arrays_of, installed
from handful.training.batches import Balanced
from handful.training.loop import Settings
from handful.training.objectives.classify import CrossEntropy
from handful.training.parts import PartActivations
from marked_sentences import sentences

RECIPE = ItemRecipe(objective=CrossEntropy(), settings=Settings(updates=6, rate=3e-3), penalty=0.01)
# All items in every update, and a head that is not yet sure of itself.
WHOLE = replace(RECIPE, batch=99, penalty=1.0)


TEXTS, CELLS = sentences()
TARGETS = TAGGING.read(CELLS)
ITEM = TARGETS.task.item_of(TARGETS)
FOLDS = np.arange(len(TEXTS)) % 3


def kept(first=1, top=2):
    return PartActivations.reading(ToyText().up_to(top), TEXTS, first)


def rows(some):
    at = np.arange(len(TEXTS))[some]
    return at, TARGETS.take(at)


def test_it_starts_from_the_frozen_head_and_learns():
    found = adapt(kept(), *rows(slice(None)), WHOLE)
    seen, design = kept().frozen, TARGETS.task.design(TARGETS)
    coef, intercept = linear_map(TARGETS.task.main, seen, design, WHOLE.penalty)
    scores = (unit_rows(seen) @ coef + intercept).astype(np.float64)
    scores -= np.log(np.exp(scores).sum(1, keepdims=True))
    np.testing.assert_allclose(found.log[0].loss, -(scores * design).sum(1).mean(), rtol=1e-3)
    assert found.log[-1].loss < 0.8 * found.log[0].loss
    assert found.moved == WIDTH * WIDTH


def test_an_update_in_parts_is_the_same_update():
    one, two = (
        adapt(kept(), *rows(slice(None)), replace(WHOLE, settings=replace(WHOLE.settings, accumulate=parts)))
        for parts in (1, 2)
    )
    np.testing.assert_allclose([u.loss for u in two.log], [u.loss for u in one.log], rtol=1e-3)


def test_what_moved_put_into_the_backbone_sees_what_the_body_sees():
    found = adapt(kept(), *rows(slice(None)), RECIPE)
    made = installed(ToyText(), "blocks", 1, arrays_of(found.delta))
    np.testing.assert_allclose(
        words_seen(made, TEXTS, (2,))[0][2], kept().seen_by(found.body.seen, range(18)), atol=2e-3
    )


def test_blocks_above_the_place_where_parts_are_read_stay_as_they_are():
    found = adapt(kept(0, 1), *rows(slice(None)), replace(RECIPE, trainable_fraction=1.0))
    assert list(found.delta) == ["0.weight"]
    made = installed(ToyText(), "blocks", 0, arrays_of(found.delta))
    np.testing.assert_array_equal(made.blocks[1].weight.detach(), ToyText().blocks[1].weight.detach())
    assert not np.array_equal(made.blocks[0].weight.detach(), ToyText().blocks[0].weight.detach())


def test_an_item_is_answered_by_a_training_without_it():
    found = cross_fit(TARGETS, kept(), FOLDS, RECIPE)
    assert found.outputs.shape == TARGETS.task.design(TARGETS).shape
    np.testing.assert_allclose(found.outputs.sum(1), 1)
    other = replace(TARGETS, values=TARGETS.values.copy())
    other.values[FOLDS == 1, 3::4] = 0  # nothing is marked in the items of a fold: its own answers stay as they are
    own = FOLDS[ITEM] == 1
    again = cross_fit(other, kept(), FOLDS, RECIPE).outputs
    np.testing.assert_array_equal(again[own].argmax(1), found.outputs[own].argmax(1))
    assert not np.array_equal(again[~own], found.outputs[~own])
    learned = FOLDS != 1
    at = np.flatnonzero(learned)
    alone = scored(adapt(kept(), at, TARGETS.take(at), RECIPE).body, kept(), learned, TARGETS, RECIPE.penalty)
    np.testing.assert_array_equal(found.outputs[own].argmax(1), alone[own].argmax(1))
    assert (found.outputs.argmax(1) == TARGETS.task.row_targets(TARGETS).values).mean() > 0.8


def test_folds_without_the_longest_item_are_measured_like_all_others():
    task, counts = TARGETS.task, TARGETS.task.tags_wanted(TARGETS)[1]
    at = np.flatnonzero(counts < counts.max())
    some, alone = TARGETS.take(at), TAGGING.coded([CELLS[i] for i in at], TARGETS.names)
    assert some.values.shape[1] > alone.values.shape[1]
    np.testing.assert_array_equal(task.losses(task.blind(some), some), task.losses(task.blind(alone), alone))
    answers = task.design(some)[None]
    assert task.headline.of(task.gathered(answers, some), some).value == 1


def frozen_of(texts=TEXTS, cells=CELLS):
    data = Dataset(texts, "text", tuple(cells), task="tagging")
    backbone = ToyText()
    sight = extract_words(texts, {"toy-text": backbone})
    found = run_frozen(TAGGING.read(cells), data, sight, SearchTerms(("centroid", "logistic"), 0.0, 0, Inline()))
    return data, backbone, sight, beside_reference(found, texts)


def test_a_rung_of_parts_is_pooled_word_by_word_and_decided_item_by_item(monkeypatch):
    monkeypatch.setattr(cost, "known", lambda *known: Prior(0.9, 0.01))
    data, backbone, sight, frozen = frozen_of()
    found = run_ladder(data, backbone, frozen, Terms(("partial", "contrastive"), named=True, budget=60.0))
    (rung,) = found.rungs
    assert "contrastive was left out: it compares items as wholes." in found.notes
    assert found.chosen is rung
    assert rung.outputs.shape == found.whole[0].shape == frozen.few.whole.shape
    assert frozen.few.whole.shape[0] == len(TEXTS)
    assert rung.cross_fit.outputs.shape == frozen.few.parts.shape == TARGETS.task.design(TARGETS).shape
    depth = 2
    moved = installed(backbone, "blocks", rung.strategy.recipe().first(backbone), arrays_of(found.final.delta))
    seen = words_seen(moved, TEXTS, (depth,))[0][depth]
    model = shipped(rung, frozen, "toy-text", depth, seen)
    scores = model.scores(model.view.matrix({**sight.items, ("toy-text#moved", depth): seen}))
    assert (scores.argmax(1) == TARGETS.task.row_targets(TARGETS).values).mean() > 0.9


def test_a_resumed_ladder_goes_on_with_the_trainings_that_are_over(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "known", lambda *known: Prior(0.9, 0.01))
    data, backbone, _, frozen = frozen_of()
    terms = Terms(("partial",), named=True, budget=60.0, checkpoints=tmp_path)
    first = run_ladder(data, backbone, frozen, terms)
    again = run_ladder(data, backbone, frozen, replace(terms, say=lambda *what: pytest.fail("trained again")))
    np.testing.assert_array_equal(again.whole, first.whole)
    for name, tensor in first.final.delta.items():
        np.testing.assert_array_equal(again.final.delta[name], tensor)


def test_the_few_folds_have_the_gazetteer_where_the_model_has_it():
    _, _, _, frozen = frozen_of()
    plain = frozen.rows.targets.task.gathered(frozen.few.parts, frozen.rows.targets)
    beside = frozen.arm.endswith("gazetteer")
    assert np.array_equal(frozen.few.whole, plain) != beside
    assert [arm.on_few is not None for arm in frozen.few.arms if arm.name == frozen.arm] == [True]


def test_where_the_gazetteer_answers_alone_no_weights_move():
    data, backbone, _, frozen = frozen_of()
    alone = replace(frozen, arm="gazetteer")
    found = run_ladder(data, backbone, alone, Terms(("partial",), named=True, budget=60.0))
    assert found.notes == ("Weights stay as they are: looking up the strings that were marked answers alone.",)
    assert run_ladder(data, backbone, alone, Terms(("partial",), named=False, budget=60.0)).notes == ()


def test_a_batch_is_no_larger_than_long_texts_allow(monkeypatch):
    sizes = []
    monkeypatch.setattr(PartActivations, "together", 3)
    monkeypatch.setattr(fit, "Balanced", lambda *what: sizes.append(what[3]) or Balanced(*what))
    adapt(kept(), *rows(slice(None)), RECIPE)
    assert sizes == [3]


def test_of_words_something_is_known_for_these_settings_and_no_others():
    own = known.known(Partial.by_default(TOKENS, seed=2), "minilm-l6", "text", TARGETS, 0.5, 1.0)
    assert own is not None
    assert 0 < own.better <= own.of
    assert known.known(Partial(), "minilm-l6", "text", TARGETS, 0.5, 1.0) is None
    assert "partial" in known.tried_unasked("tagging", "text")


def test_words_have_settings_of_their_own():
    own, usual = (Partial.by_default(grain, seed=3) for grain in (TOKENS, ""))
    assert usual.get_params() == Partial(seed=3).get_params()
    assert own.seed == 3
    assert own.updates < usual.updates
    assert own.trainable_fraction < Full.by_default(TOKENS).trainable_fraction == 1


def test_moments_have_a_rate_of_their_own_and_nothing_is_known_of_them():
    words, moments = (Partial.by_default(grain, seed=3) for grain in (TOKENS, FRAMES))
    assert {**words.get_params(), "learning_rate": 1e-3} == moments.get_params()
    assert known.tried_unasked("events", "sound") == ()
