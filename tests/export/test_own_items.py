"""Training items that travel with a model: what is taken, what is read back, and what junk in their place ends in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file, save_file
from test_bundle import TEXTS, Bundle, small, tuned  # noqa: F401  # fixtures too
from test_specimens import signed

import handful
from handful.errors import BundleError
from handful.export.own_items import COUNT, packed, short_items, unpacked


def test_the_shortest_texts_are_taken_each_once_and_cut():
    items = ["b" * 500, "a cat", "a cat", "  ", "a dog", "one", "a longer one"]
    assert short_items(items, "text") == ("one", "a cat", "a dog", "a longer one")
    assert short_items(["b" * 500], "text") == ("b" * 200,)


def test_pictures_become_small_and_sounds_short_and_what_cannot_be_read_is_passed_over(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    picture = Image.fromarray(np.arange(200 * 300 * 3, dtype=np.uint32).reshape(200, 300, 3).astype(np.uint8))
    (little,) = short_items([tmp_path / "broken.png", picture], "image")
    assert (little.shape, little.dtype) == ((64, 96, 3), np.uint8)
    ((samples, rate),) = short_items([(np.sin(np.arange(30_000) / 9), 8_000)], "sound")
    assert (samples.shape, samples.dtype, rate) == ((16_000,), np.int16, 16_000)


@pytest.mark.parametrize(
    ("modality", "items"),
    [
        ("text", ["häß", "\ud800"]), ("image", [np.zeros((4, 5, 3), np.uint8)]),
        ("sound", [(np.arange(9, dtype=np.int16), 16_000)]),
    ],
)  # fmt: skip
def test_items_are_read_back(modality, items):
    back = unpacked(packed(items), modality)
    assert len(back) == len(items)
    if modality == "text":
        assert back == ("häß", "?")
    elif modality == "image":
        assert np.array_equal(back[0], items[0])
    else:
        assert np.array_equal(back[0][0], items[0][0]) and back[0][1] == 16_000


@given(st.sampled_from(["text", "image", "sound"]), st.integers(0, 4), st.sampled_from(["u1", "i2", "f4"]), st.data())
def test_tensors_of_anybody_are_items_or_one_error(modality, axes, kind, data):
    shape = data.draw(st.tuples(*[st.integers(0, 3)] * axes))
    try:
        found = unpacked({"00": np.full(shape, 200, kind)}, modality)
    except ValueError as error:
        assert str(error)
    else:
        assert len(found) == 1


def test_a_model_keeps_none_unless_that_is_asked_for(tmp_path, table):
    options = dict(backbone="toy-text", strategies="centroid", budget=0)
    handful.tune(table(), **options).save(tmp_path / "without")
    run = handful.tune(table(), carry_items=True, **options)
    run.save(tmp_path / "with")
    assert not (tmp_path / "without/model/items.safetensors").exists()
    model = Bundle.load(tmp_path / "with")
    assert len(model.items) == COUNT and set(model.items) <= set(run.data.items)
    assert model.specimens[0].shape[0] > COUNT
    assert model.predict(run.data.items[:2]) == run.model.predict(run.data.items[:2])
    assert "- 4 of the training items, made short" in (tmp_path / "with/model/README.md").read_text()
    assert "training items, made short" not in (tmp_path / "without/model/README.md").read_text()
    model.save(tmp_path / "copy")
    assert Bundle.load(tmp_path / "copy").items == model.items


def test_items_that_were_changed_do_not_fit_what_was_seen_in_them(tmp_path, small):  # noqa: F811
    tuned(items=("a short text",)).save(tmp_path / "model")
    assert len(Bundle.load(tmp_path / "model").predict(TEXTS)) == 3
    save_file(packed(["another one, and longer"]), tmp_path / "model/items.safetensors")
    signed(tmp_path / "model")
    with pytest.raises(BundleError) as error:
        Bundle.load(tmp_path / "model").predict(TEXTS)
    assert "must see in a few test items what it saw when the model was saved" in str(error.value)


def test_junk_in_place_of_items_is_refused(tmp_path, small):  # noqa: F811
    tuned(items=("a short text",)).save(tmp_path / "model")
    file = tmp_path / "model/items.safetensors"
    save_file({name: value.astype(np.float32) for name, value in load_file(file).items()}, file)
    signed(tmp_path / "model")
    with pytest.raises(BundleError, match=r"items\.safetensors cannot be read \(00 is no text\)\. Restore it or tune"):
        Bundle.load(tmp_path / "model")
