"""Parts in the loop: the words that a body sees are those of frozen features, whatever the company and the windows."""

import numpy as np
import pytest
import torch

from handful.backbones.parts import PartsBatch
from handful.backbones.toy import ToySound, ToyText
from handful.features.words import words_seen
from handful.training.batches import Balanced, Wanted, parts_of
from handful.training.body import features_of
from handful.training.parts import PartActivations, PartBody
from kept import pickled

TEXTS = ["Ada went to Rome, then home.", "Bo", "…", "a b c d e f g 2021 X", "Mary's cat"]
CLOSE = dict(atol=2e-3)  # frozen features are kept in half precision


class Windowed(ToyText):
    """Reads three tokens at a time, in windows that overlap by one; a token is read where it comes first."""

    name = "windowed"

    def prepare_parts(self, items):
        whole = super().prepare_parts(items)
        (x, mask), windows, masks, window, cell = whole.batch, [], [], [], []
        for row, own in zip(x, mask, strict=True):
            for first in range(0, max(1, int(own.sum()) - 1), 2):
                new = range(1 if first else 0, min(3, int(own.sum()) - first))
                window += [len(windows)] * len(new)
                cell += new
                windows.append(torch.nn.functional.pad(row[first : first + 3], (0, 0, 0, 3))[:3])
                masks.append(torch.nn.functional.pad(own[first : first + 3], (0, 3))[:3])
        at = (np.array(numbers, np.int64) for numbers in (window, cell))
        return PartsBatch((torch.stack(windows), torch.stack(masks)), len(windows), *at, whole.item, whole.place)


def clips():
    rng = np.random.default_rng(0)
    return [(rng.normal(size=size).astype(np.float32), 16000) for size in (8000, 20000, 900)]


CASES = {"words": (ToyText, TEXTS), "windows": (Windowed, TEXTS), "moments": (ToySound, clips())}


@pytest.fixture(params=CASES)
def case(request):
    kind, items = CASES[request.param]
    return kind(), items


@pytest.mark.parametrize(("first", "top"), [(0, 2), (1, 2), (0, 1)])
def test_an_untouched_body_sees_what_frozen_features_say(case, first, top):
    backbone, items = case
    kept = PartActivations.reading(backbone.up_to(top), items, first)
    (seen,) = words_seen(backbone, items, (top,))[0].values()
    body = PartBody(backbone.up_to(top), first)
    np.testing.assert_allclose(features_of(body, kept, np.arange(len(items))), seen, **CLOSE)
    np.testing.assert_allclose(kept.frozen, seen, **CLOSE)
    some = [2, 0]
    ends = np.cumsum([0, *map(len, kept.words)])
    own = np.concatenate([seen[ends[i] : ends[i + 1]] for i in some])
    np.testing.assert_allclose(kept.frozen_in(np.array(some)), own, **CLOSE)
    np.testing.assert_allclose(features_of(body, kept, np.array(some)), own, **CLOSE)


def test_what_is_not_kept_is_computed_again(case):
    backbone, items = case
    kept, not_kept = (PartActivations.reading(backbone, items, 1, most=most) for most in (1 << 30, 0))
    assert kept.cached
    assert not not_kept.cached
    np.testing.assert_allclose(not_kept.frozen, kept.frozen, atol=1e-5)


def test_they_go_to_another_process_without_their_items(case):
    backbone, items = case
    kept = PartActivations.reading(backbone, items, 1)
    there = pickled(kept)
    assert [list(version) for version in there.versions] == [list(range(len(items)))]
    np.testing.assert_array_equal(there.frozen, kept.frozen)


def test_a_long_item_is_many_windows_and_every_token_is_read_once():
    kept = PartActivations.reading(Windowed(), TEXTS, 0)
    assert kept.windows == [4, 1, 1, 4, 2]  # of 8, 1, 1, 9 and 4 tokens
    assert [len(own.window) for own in kept.words] == [len(ToyText().located(text)[0]) for text in TEXTS]


def test_a_batch_has_one_row_of_what_is_wanted_per_word_of_its_items():
    backbone = ToyText()
    kept = PartActivations.reading(backbone, TEXTS, 0)
    item = np.repeat(np.arange(len(TEXTS)), [len(own) for own in kept.words])
    design = np.stack([item, np.arange(len(item))], 1).astype(np.float32)
    rows = np.array([1, 3, 4])
    parts = parts_of(item, rows)
    own = np.repeat(np.arange(3), [len(kept.words[row]) for row in rows])
    wanted = Wanted(design[parts], np.zeros(3, np.int64), lambda at: np.eye(len(at), dtype=np.float32), item=own)
    (batch,) = Balanced(kept, rows, wanted, 3)(0, 1)
    body = PartBody(backbone, 0)
    seen = body(batch.state).features
    assert len(seen) == len(batch.targets) == batch.weight == len(parts)
    np.testing.assert_allclose(seen.detach(), kept.frozen[batch.targets[:, 1].long()], atol=1e-5)


def test_parts_of_rows_come_one_row_after_the_other():
    assert parts_of(np.array([0, 0, 2, 2, 2, 3]), np.array([3, 0, 1, 2])).tolist() == [5, 0, 1, 2, 3, 4]
    assert parts_of(np.array([0, 0]), np.empty(0, np.int64)).tolist() == []


def test_of_long_items_fewer_go_through_together():
    assert PartActivations.reading(ToyText(), TEXTS, 0).together == 32
    assert PartActivations.reading(Windowed(), ["a " * 21, "b"], 0).together == 32 // 10
    long = PartActivations.reading(Windowed(), ["a " * 200, "b " * 200, "c"], 0)
    assert long.together == 1
    assert sorted(len(at) for at, _ in long.states([0, 1, 2])) == [1, 1, 1]
