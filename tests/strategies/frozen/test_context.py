"""Context: networks that hear first answers; each picture is answered by what has not learned from it, in time."""

import numpy as np
import pytest

from handful.engines import Inline
from handful.errors import TrainingError
from handful.features.pixels import FILTERS, MAPS, REACH, Block
from handful.strategies.frozen import context as context_module
from handful.strategies.frozen.context import Context, Drawn, learned_context
from handful.strategies.frozen.pixels import PixelRows, compare

SIDE, PICTURES = 12, 6
FOLDS = np.array([0, 0, 1, 1, 2, 2])


class Scenes:
    """Pictures without pixels: what is seen at each place, and its class, which is that of the left or right half."""

    def __init__(self, flipped=(), taken=120, constant=False):
        self.taken = taken
        rng, wide = np.random.default_rng(0), SIDE + 2 * REACH
        right = np.arange(wide) >= wide // 2
        self.seen = [
            (right[None, :, None] + rng.normal(0, 1.5, (wide, wide, 3))).astype(np.float32) for _ in range(PICTURES)
        ]
        if constant:
            for one in self.seen:
                one[..., 0] = 0.5
        classes = np.broadcast_to(right[REACH:-REACH], (SIDE, SIDE)).ravel().astype(np.int64)
        self.classes = [1 - classes if i in flipped else classes for i in range(PICTURES)]

    def blocks(self, i):
        flat = self.seen[i].reshape(-1, 3)
        yield Block(0, 0, SIDE, SIDE, {FILTERS: flat[:, :2], MAPS: flat[:, 2:]}, REACH)

    def learned(self, left=lambda: 1e9):
        places = [np.random.default_rng(i).permutation(SIDE * SIDE)[: self.taken] for i in range(PICTURES)]
        own = [next(self.blocks(i)).within().features for i in range(PICTURES)]
        features = {
            look: np.concatenate([x[look][at] for x, at in zip(own, places, strict=True)]) for look in (FILTERS, MAPS)
        }
        classes = np.concatenate([c[at] for c, at in zip(self.classes, places, strict=True)])
        rows = PixelRows(
            features, np.zeros(len(classes), np.int64), classes, np.repeat(np.arange(PICTURES), self.taken)
        )
        first = np.concatenate([np.arange(self.taken) < 120] * PICTURES)
        compared = compare(rows.taken(first), ("left", "right"), FOLDS, Inline(), lambda done, total: None)
        steps = []
        drawn = Drawn(rows, first, places, [SIDE] * PICTURES)
        context = learned_context(compared, drawn, self.blocks, 0, left, lambda *at: steps.append(at))
        return context, compared, steps


@pytest.fixture(scope="module")
def learned():
    return Scenes().learned()


def test_what_lies_around_tells_more_than_a_pixel(learned):
    context, compared, steps = learned
    best = compared.searched.outcomes[compared.best(None)[0]].losses
    assert (context.losses < 0.8 * best).all()
    assert context.is_better(compared, None)
    assert all(context.is_better(compared, fold) for fold in range(3))
    assert steps == [(i, PICTURES + 3) for i in range(1, PICTURES + 4)]
    answers = context.whole.answered(next(Scenes().blocks(0)))
    assert (answers.argmax(1) == Scenes().classes[0]).mean() > 0.9
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)


def test_labels_of_a_fold_say_nothing_to_what_answers_it(learned):
    """Not even by way of what is heard: other labels of two pictures leave the network of their fold as it was."""
    first, (other, *_) = learned[0], Scenes(flipped=(2, 3)).learned()
    block = next(Scenes().blocks(0))
    assert np.array_equal(first.maps[1].answered(block), other.maps[1].answered(block))
    assert not np.array_equal(first.maps[0].answered(block), other.maps[0].answered(block))


def test_what_would_take_too_long_is_not_tried_and_said():
    reason, _, steps = Scenes().learned(left=lambda: 0.0)
    assert len(steps) == 1
    assert reason.startswith("context was given up: it would have taken about ")
    assert reason.endswith(" s more, and less was left of the budget. A larger --budget tries it.")


def test_a_training_that_runs_away_is_given_up_and_said(monkeypatch):
    def runaway(*_):
        raise TrainingError("the loss must stay a finite number. Try a rate ten times lower.")

    monkeypatch.setattr("handful.strategies.frozen.context.layers_of", runaway)
    reason, *_ = Scenes().learned()
    assert reason == "context was given up: the loss must stay a finite number. Try a rate ten times lower."


def test_more_classes_than_are_heard_are_said(monkeypatch):
    monkeypatch.setattr("handful.strategies.frozen.context.MOST_CLASSES", 1)
    assert Scenes().learned()[0] == "context was not tried, which is for 1 classes at most."


def test_ways_are_compared_by_the_same_pixels(monkeypatch):
    """Of the pixels that are drawn, those that linear maps learn from alone make losses."""
    counted = []
    original = context_module.calibrated

    def watched(scores, targets, folds, factors):
        counted.append(len(scores))
        return original(scores, targets, folds, factors)

    monkeypatch.setattr(context_module, "calibrated", watched)
    context, *_ = Scenes(taken=140).learned()
    assert counted == [120 * PICTURES]
    assert len(context.losses) == PICTURES


def test_what_was_constant_while_learning_changes_no_answer():
    scenes = Scenes(constant=True)
    context, *_ = scenes.learned()
    block = next(scenes.blocks(0))
    before = context.whole.answered(block)
    coloured = {**block.features, FILTERS: block.features[FILTERS] + np.array([0.2, 0], np.float32)}
    after = context.whole.answered(Block(0, 0, SIDE, SIDE, coloured, REACH))
    assert np.abs(after - before).max() < 0.05


def test_two_pictures_do_not_choose(learned):
    context, compared, _ = learned
    few = Context(context.maps, context.whole, np.where(FOLDS == 0, 9.0, 0.0))
    assert not few.is_better(compared, None)
    assert few.is_better(compared, 0)
    assert not Context(context.maps, context.whole, np.zeros(2)).is_better(compared, None)
