"""Recordings in the loop: windows that updates are drawn from, what is kept, and moments told window by window."""

import numpy as np
import pytest
import torch

from handful.backbones.base import State
from handful.backbones.parts import PartsBatch
from handful.backbones.toy import ToySound
from handful.features.words import words_seen
from handful.training.batches import Balanced, Wanted, parts_of
from handful.training.body import features_of
from handful.training.parts import PartBody
from handful.training.recordings import TOGETHER, RecordingActivations, rarest
from kept import pickled

CLOSE = dict(atol=4e-3)  # kept in half precision, as frozen features are
SEEN = 5


class Windowed(ToySound):
    """Hears half a second at a time: every window has five frames, and every fifth moment lies in two of them."""

    name = "windowed"
    batch_items = 2

    def __init__(self):
        super().__init__()
        self.passed = 0

    def prepare_parts(self, items):
        xs, masks, numbers, place = [], [], [], []
        for n, item in enumerate(items):
            (x, mask), own = (alone := super().prepare_parts([item])).batch, np.arange(len(alone))
            pad = -len(own) % SEEN
            numbers.append(np.stack([sum(map(len, xs)) + own // SEEN, own % SEEN, own * 0 + n]))
            xs.append(torch.nn.functional.pad(x[0], (0, 0, 0, pad)).reshape(-1, SEEN, x.shape[-1]))
            masks.append(torch.nn.functional.pad(mask[0], (0, pad)).reshape(-1, SEEN))
            place.append(alone.place)
        batch = torch.cat(xs), torch.cat(masks)
        return PartsBatch(batch, len(batch[0]), *np.concatenate(numbers, 1), np.concatenate(place))

    def stem(self, batch):
        self.passed += len(batch[0])
        return super().stem(batch)


def clip(seconds, seed):
    return np.random.default_rng(seed).normal(size=round(16000 * seconds)).astype(np.float32), 16000


CLIPS = [clip(*each) for each in ((2.0, 0), (0.7, 1), (3.1, 2))]
MOMENTS = [10, 4, 16]
NOTHING = [np.zeros(count, bool) for count in MOMENTS]


def kept(depth=1, top=2, marked=NOTHING, **bound):
    return RecordingActivations.of_marked(Windowed().up_to(top), CLIPS, depth, marked, **bound)


def wanted_of(made, rows):
    """What is wanted of each moment: its number among all, in the second column."""
    item = np.repeat(np.arange(len(made)), [len(own) for own in made.words])
    design = np.stack([item % 2, np.arange(len(item))], 1).astype(np.float32)
    parts = parts_of(item, rows)
    own = np.repeat(np.arange(len(rows)), [len(made.words[row]) for row in rows])
    return Wanted(
        design[parts], np.zeros(len(rows), np.int64), lambda at: np.eye(3, dtype=np.float32)[at][:, at], item=own
    )


@pytest.mark.parametrize(("first", "top"), [(0, 2), (1, 2), (0, 1)])
def test_an_untouched_body_hears_what_frozen_features_say_a_few_windows_at_a_time(first, top):
    made = kept(first, top)
    (heard,) = words_seen(Windowed(), CLIPS, (top,))[0].values()
    body = PartBody(Windowed().up_to(top), first)
    np.testing.assert_allclose(made.frozen, heard, **CLOSE)
    np.testing.assert_allclose(features_of(body, made, np.arange(3)), heard, **CLOSE)
    ends = np.cumsum([0, *MOMENTS])
    own = np.concatenate([heard[ends[i] : ends[i + 1]] for i in (2, 0)])
    np.testing.assert_allclose(features_of(body, made, np.array([2, 0])), own, **CLOSE)
    np.testing.assert_allclose(made.frozen_in(np.array([2, 0])), own, **CLOSE)


def test_they_are_kept_in_half_precision_and_numbers_too_large_for_it_are_as_large_as_can_be():
    class Loud(Windowed):
        def stem(self, batch):
            state = super().stem(batch)
            return State(state.x * 1e9, state.mask)

    made = RecordingActivations.of_marked(Loud(), CLIPS, 0, NOTHING)
    assert {one[0].dtype for one in made.slices} == {torch.float16}
    assert all(torch.isfinite(one[0]).all() for one in made.slices)
    assert np.isfinite(made.frozen).all()


def test_no_pass_hears_more_windows_than_fit():
    seen = []

    def top(state):
        seen.append(len(state.x))
        return state.x.new_zeros(len(state.words.window), 3)

    kept().seen_by(top, [0, 1, 2])
    assert max(seen) <= Windowed.batch_items
    assert sum(seen) == 4 + 2 + 7
    seen.clear()
    kept(most=0).seen_by(top, [2])
    assert max(seen) <= Windowed.batch_items


def test_updates_are_drawn_from_windows_and_have_what_is_wanted_of_the_moments_within():
    made = kept()
    rows = np.array([2, 0])
    drawn, units, wanted = made.drawn_from(rows, wanted_of(made, rows))
    assert len(units) == len(drawn) == 7 + 4
    # Of five frames there are two moments and a half: those that lie over a seam are left out.
    assert np.bincount(wanted.item).tolist() == [2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2]
    assert set(wanted.design[:, 1].astype(int)) == {i for i in range(30) if i not in range(10, 14)} - {
        *(14 + np.array([2, 7, 12])),
        2,
        7,
    }
    source = Balanced(drawn, units, wanted, 5)
    (batch,) = source(0, 1)
    body = PartBody(Windowed(), 1)
    heard = body(batch.state).features.detach()
    assert len(heard) == len(batch.targets)
    np.testing.assert_allclose(heard, made.frozen[batch.targets[:, 1].long()], **CLOSE)
    assert wanted.likeness(np.array([0, 10])).tolist() == [[1, 0], [0, 1]]


def test_windows_in_which_something_goes_on_are_kept_first_and_some_in_which_nothing_does():
    long, marked = [clip(60, 0)], [np.zeros(300, bool)]
    marked[0][100:110] = True
    backbone = Windowed()
    whole = RecordingActivations.of_marked(backbone, long, 1, marked)
    size = sum(x.numel() * 2 + mask.numel() * 4 for x, mask in whole.slices)
    made = RecordingActivations.of_marked(Windowed(), long, 1, marked, most=size // 4)
    there = np.flatnonzero([one is not None for one in made.slices])
    inside = made.inside[0][100:110]
    assert set(inside[inside >= 0]) <= set(there)
    assert 0.2 * 120 < len(there) <= 120 / 4
    rows = np.array([0])
    drawn, units, wanted = made.drawn_from(rows, Wanted(
        np.eye(2, dtype=np.float32)[marked[0].astype(int)], np.zeros(1, np.int64), lambda at: np.eye(len(at)),
        item=np.zeros(300, np.int64),
    ))  # fmt: skip
    assert len(units) == len(there)
    assert wanted.strata.sum() == len(set(inside[inside >= 0]))
    passed = made.backbone.passed
    Balanced(drawn, units, wanted, 8)(0, 1)
    assert made.backbone.passed == passed, "an update hears nothing again"
    np.testing.assert_allclose(made.frozen, whole.frozen, **CLOSE)
    assert made.backbone.passed > passed


def test_memory_does_not_grow_with_what_is_not_kept():
    made = kept(most=0)
    assert not any(made.slices)
    assert len(made.drawn_from(np.arange(3), wanted_of(made, np.arange(3)))[1]) == 0


def test_they_go_to_another_process_without_their_recordings():
    made = kept()
    there = pickled(made)
    assert [list(version) for version in there.versions] == [[0, 1, 2]]
    np.testing.assert_array_equal(there.frozen, made.frozen)


def test_an_update_has_as_many_windows_as_two_minutes_have():
    made = kept()
    made.seconds = TOGETHER / 4
    drawn, _, _ = made.drawn_from(np.arange(3), wanted_of(made, np.arange(3)))
    assert made.together == drawn.together == 4
    assert made.units(3) == 13
    assert made.units(1) == 4


def test_of_one_recording_its_first_window_stands_for_all():
    assert kept().example(2).x.shape[0] <= Windowed.batch_items


def test_the_rarest_of_what_goes_on_in_a_window_is_what_it_is_kept_in_proportion_by():
    classes, item = np.array([0, 0, 1, 0, 2, 1]), np.array([0, 1, 1, 2, 2, 2])
    assert rarest(classes, item, 4).tolist() == [0, 1, 2, 0]
