"""Extraction: every item is looked at once, answers come in the order of the items, what fails is named."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.backbones.toy import ToyImage, ToyText
from handful.errors import DataError
from handful.features import extract as module
from handful.features.cache import FeatureCache
from handful.features.extract import extract
from rounding import TOY


class Counting(ToyText):
    """A toy that notes what it is given, and cannot read some texts."""

    batch_items = 4

    def __init__(self, bad=(), blind=()):
        super().__init__()
        self.prepared, self.passes, self.bad, self.blind = [], [], set(bad), set(blind)

    def prepare(self, items):
        if self.bad & set(items):
            raise DataError(f"{sorted(self.bad & set(items))[0]} is unreadable. Remove it.")
        self.prepared += items
        return items

    def encode_batch(self, batch, depths):
        self.passes.append(list(batch))
        vectors = super().encode_batch(super().prepare(batch), depths)
        for row, item in enumerate(batch):
            if item in self.blind:
                for depth in depths:
                    vectors[depth][row, 3] = np.nan
        return vectors


@pytest.fixture
def cache(tmp_path):
    made = FeatureCache(tmp_path / "features.sqlite")
    yield made
    made.close()


TEXTS = [f"{'word ' * (i % 5)}text {i}" for i in range(11)]


def alone(text, depth=2):
    return ToyText().encode([text], (depth,))[depth][0]


def test_every_item_is_looked_at_once_whatever_the_depths():
    toy = Counting()
    seen = extract(toy, TEXTS, (0, 1, 2))
    assert Counter(toy.prepared) == Counter(TEXTS)
    assert Counter(sum(toy.passes, [])) == Counter(TEXTS)
    assert seen.computed == 11
    assert {depth: x.shape for depth, x in seen.matrices.items()} == {0: (11, 32), 1: (11, 32), 2: (11, 32)}


def test_rows_come_in_the_order_of_the_items_though_batches_are_of_equal_size():
    toy = Counting()
    seen = extract(toy, TEXTS, (2, 1))
    assert sum(toy.passes, []) != TEXTS
    for depth in (1, 2):
        np.testing.assert_allclose(seen.matrices[depth], [alone(text, depth) for text in TEXTS], atol=TOY)


def test_more_items_than_one_window_keep_their_order(monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 5)
    seen = extract(Counting(), TEXTS, (2,))
    np.testing.assert_allclose(seen.matrices[2], [alone(text) for text in TEXTS], atol=TOY)


def test_repeated_items_are_computed_once():
    toy = Counting()
    seen = extract(toy, ["a b", "c", "a b", "a b"], (2,))
    assert sorted(toy.prepared) == ["a b", "c"]
    assert seen.computed == 2
    assert (seen.matrices[2][0] == seen.matrices[2][2]).all() and (seen.matrices[2][0] == seen.matrices[2][3]).all()
    assert not (seen.matrices[2][0] == seen.matrices[2][1]).all()


def test_no_items():
    seen = extract(Counting(), [], (2,))
    assert (len(seen.matrices[2]), seen.failed, seen.computed) == (0, {}, 0)


# The cache ---------------------------------------------------------------------------------------------------------


def test_what_the_cache_holds_is_not_computed_and_has_the_same_bits(cache):
    first = extract(Counting(), TEXTS, (1, 2), cache)
    toy = Counting()
    second = extract(toy, TEXTS, (1, 2), cache)
    assert (toy.passes, second.computed, first.computed) == ([], 0, 11)
    for depth in (1, 2):
        assert first.matrices[depth].tobytes() == second.matrices[depth].tobytes()


def test_only_what_is_missing_is_computed(cache):
    extract(Counting(), TEXTS[:8], (2,), cache)
    toy = Counting()
    seen = extract(toy, TEXTS, (2,), cache)
    assert sorted(toy.prepared) == sorted(TEXTS[8:])
    np.testing.assert_allclose(seen.matrices[2], [alone(text) for text in TEXTS], atol=TOY)


def test_another_depth_or_another_backbone_is_computed(cache):
    extract(Counting(), TEXTS, (2,), cache)
    assert extract(Counting(), TEXTS, (1, 2), cache).computed == 11
    other = Counting()
    other.fingerprint = "another"
    assert extract(other, TEXTS, (2,), cache).computed == 11


def test_files_are_known_by_their_content(tmp_path, cache):
    for name, level in (("a.png", 10), ("b.png", 200)):
        Image.new("RGB", (9, 9), (level,) * 3).save(tmp_path / name)
    (tmp_path / "copy of a.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert extract(ToyImage(), [tmp_path / "a.png", tmp_path / "b.png"], (2,), cache).computed == 2
    assert extract(ToyImage(), [tmp_path / "copy of a.png"], (2,), cache).computed == 0
    (tmp_path / "a.png").write_bytes((tmp_path / "b.png").read_bytes())
    seen = extract(ToyImage(), [tmp_path / "a.png", tmp_path / "b.png"], (2,), cache)
    assert (seen.computed, (seen.matrices[2][0] == seen.matrices[2][1]).all()) == (0, True)


def test_a_lost_cache_costs_time_only(tmp_path):
    (tmp_path / "file").touch()
    seen = extract(Counting(), TEXTS, (2,), FeatureCache(tmp_path / "file" / "features.sqlite"))
    assert seen.matrices[2].tobytes() == extract(Counting(), TEXTS, (2,)).matrices[2].tobytes()


# What fails --------------------------------------------------------------------------------------------------------


def test_items_that_cannot_be_read_are_named_and_the_others_are_there(cache):
    bad = [TEXTS[2], TEXTS[7], TEXTS[8]]
    seen = extract(Counting(bad), [*TEXTS, TEXTS[7]], (1, 2), cache)
    assert list(seen.failed) == [2, 7, 8, 11]
    assert seen.failed[2] == "it is unreadable. Remove it"
    good = [i for i in range(11) if i not in seen.failed]
    np.testing.assert_allclose(seen.matrices[2][good], [alone(TEXTS[i]) for i in good], atol=TOY)
    assert not seen.matrices[2][[2, 7, 8, 11]].any()
    assert extract(Counting(), TEXTS, (1, 2), cache).computed == 3  # what failed is not remembered as seen


def test_nothing_can_be_read():
    seen = extract(Counting(TEXTS), TEXTS, (2,))
    assert list(seen.failed) == list(range(11))
    assert len(seen.matrices[2]) == 11


def test_features_that_are_no_numbers_are_a_failure_of_the_item(cache):
    seen = extract(Counting(blind=[TEXTS[4]]), TEXTS, (1, 2), cache)
    assert seen.failed == {4: "toy-text gives numbers for it that are not finite"}
    assert np.isfinite(seen.matrices[2]).all()
    assert extract(Counting(), TEXTS, (1, 2), cache).computed == 1


def test_a_file_that_is_gone_or_damaged(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:40])
    (tmp_path / "c.png").unlink()
    seen = extract(ToyImage(), [tmp_path / name for name in ("a.png", "b.png", "c.png")], (2,))
    assert list(seen.failed) == [1, 2]
    assert seen.failed[1].startswith("it is cut off")
    assert str(tmp_path) not in seen.failed[1]  # whoever tells it, names the file
    assert seen.failed[2] == "cannot be opened (No such file or directory)"


def test_an_error_that_is_not_about_an_item_is_not_hidden():
    class Broken(Counting):
        def prepare(self, items):
            raise MemoryError

    with pytest.raises(MemoryError):
        extract(Broken(), TEXTS, (2,))


def test_progress_ends_with_all_items(cache):
    told = []
    extract(
        Counting([TEXTS[3]]), [*TEXTS, TEXTS[0], Path("/nowhere/at all")], (2,), None, lambda *step: told.append(step)
    )
    assert told[0] == (2, 13)  # the repeated one and the one that cannot be opened
    assert told[-1] == (13, 13)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
