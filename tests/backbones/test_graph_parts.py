"""Recorded graphs see in words, moments, patches and pixels what the backbones see, however an item is cut up."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportable import TEXTS, clips, image, pictures, spectrogram, speech, text, whisper_tiny
from handful.backbones import graph_parts
from handful.backbones.char_ngrams import CharNgrams
from handful.backbones.frames import Cuts
from handful.backbones.graph_items import tokenisers
from handful.backbones.graph_pixels import pixel_graph_of
from handful.backbones.tiles import made_large
from handful.data.sentences import bounds_of
from handful.data.sounds import load_sound
from handful.data.tracks import moments
from handful.errors import OptionError
from handful.export.onnx.windows import (
    joined_feeds,
    patch_feeds,
    windows_of_picture,
    windows_of_sound,
    windows_of_text,
)
from handful.features.moments import length_of
from handful.features.parts import each_parts
from handful.features.pixels import BLOCK, FILTERS, HALO, MAPS, MOST, blocks_of, filter_bank, seen_blocks
from handful.features.view import unit_rows
from handful.features.word_forms import forms_of
from handful.features.words import words_seen

# Several windows of 24 tokens, words that no window holds alone, and signs.
LONG = "the parcel, zebra! " * 60
JOINED = {
    "words": (text, 1), "frames": (speech, 6), "middle frames": (speech, 4), "tokens of sounds": (whisper_tiny, 2),
    "columns": (lambda: spectrogram(96), 5), "wider columns": (lambda: spectrogram(96), 8),
}  # fmt: skip
# Vectors of parts are kept in half precision: what lies between two of its numbers may become either.
HALF = 2e-4


def session(content):
    made = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    read = {one.name for one in made.get_inputs()}
    return lambda feed: made.run(["features"], {name: x for name, x in feed.items() if name in read})[0]


def fed(entry, files, item, together):
    if "ids" in entry:
        windows = windows_of_text(entry, tokenisers([entry], files)[0], item)
        return joined_feeds([entry], [windows], bounds_of(item), together, forms_of(item))
    windows = windows_of_sound(entry, load_sound(item, 16_000))
    return joined_feeds([entry], [windows], moments(length_of(item)), together)


@pytest.mark.parametrize("kind", JOINED)
def test_words_and_moments_are_seen_as_the_backbone_sees_them(kind):
    make, depth = JOINED[kind]
    backbone = make()
    content, (preparation,) = graph_parts.joined_graph_of({backbone.name: backbone}, [(backbone.name, depth)])
    graph = session(content)
    items = [*filter(None, TEXTS), LONG] if backbone.modality == "text" else [*clips(), LONG_SOUND]
    for item in items:
        expected = unit_rows(words_seen(backbone, [item], [depth])[0][depth])
        for together in (7, 2000):
            feeds = list(fed(preparation.entry, preparation.files, item, together))
            assert len(feeds) == -(-len(expected) // together)
            found = np.concatenate([graph(feed) for feed in feeds])
            np.testing.assert_allclose(found, expected, rtol=0, atol=HALF)


LONG_SOUND = (np.random.default_rng(1).normal(0, 0.1, 16_000 * 33).astype(np.float32), 16_000)


def test_patches_of_any_picture_are_seen_as_the_backbone_sees_them():
    backbone = image("tiny", 96)
    content, (preparation,) = graph_parts.compared_graph_of(backbone, [6, 3])
    graph = session(content)
    for item in (*pictures(), np.random.default_rng(0).integers(0, 256, (150, 1400, 3)).astype(np.uint8)):
        (one,) = each_parts(backbone, [item], [6, 3])
        windows = windows_of_picture(preparation.entry, item)
        np.testing.assert_array_equal(windows.place, one.place)
        found = np.full((len(one), one.vectors[6].shape[1] + one.vectors[3].shape[1]), np.nan)
        for at, feed in patch_feeds(preparation.entry, windows):
            found[at] = graph(feed)
        np.testing.assert_allclose(found, np.concatenate([one.vectors[6], one.vectors[3]], 1), rtol=1e-3, atol=HALF)


def test_whole_texts_are_compared_in_half_precision():
    backbone = text()
    content, preparations = graph_parts.compared_graph_of(backbone, [2])
    ids, mask = (part.numpy() for part in backbone.prepare(TEXTS[:3]))
    expected = backbone.encode(TEXTS[:3], [2])[2].astype(np.float16)
    np.testing.assert_allclose(session(content)({"ids": ids, "mask": mask}), expected, rtol=1e-3)
    assert list(preparations[0].files) == ["tokenizer.json"]


@pytest.fixture(scope="module")
def pixels():
    backbone = image("tiny", 96)
    content, preparation = pixel_graph_of(filter_bank(), backbone, HALO, MOST, BLOCK)
    assert preparation.entry["block"] == BLOCK
    return backbone, session(content)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(["noise", "flat", "edge"]))
def test_pixels_of_a_picture_of_any_size_are_seen_as_filters_and_maps_see_them(pixels, height, width, kind):
    backbone, graph = pixels
    picture = np.full((height, width, 3), 230, np.uint8)
    if kind == "noise":
        picture = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    elif kind == "edge":
        picture[:, : width // 2] = 20
    (block,), ((*_, seen),) = blocks_of(picture, backbone), seen_blocks(picture)
    found = graph({"pixels": seen, "large": made_large(seen)})
    filters = block.features[FILTERS].shape[1]
    np.testing.assert_allclose(found[:, :filters], block.features[FILTERS], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found[:, filters:], block.features[MAPS], rtol=1e-3, atol=1e-3)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
def test_maps_of_a_block_are_the_same_whatever_is_looked_at_around_it(pixels, height, width):
    """What is measured while networks hear what lies around is what ships without them."""
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    (plain,), (wide,) = blocks_of(picture, pixels[0]), blocks_of(picture, pixels[0], 32)
    np.testing.assert_allclose(wide.within().features[MAPS], plain.features[MAPS], rtol=1e-3, atol=2e-3)


def test_filters_or_maps_alone_are_recorded_alone():
    picture = pictures()[2]
    ((*_, seen), *_) = seen_blocks(picture)
    block = next(blocks_of(picture, None))
    content, _ = pixel_graph_of(filter_bank(), None, HALO, MOST, BLOCK)
    np.testing.assert_allclose(session(content)({"pixels": seen}), block.features[FILTERS], rtol=0, atol=1e-4)
    backbone = image("tiny", 96)
    content, _ = pixel_graph_of(None, backbone, HALO, MOST, BLOCK)
    maps = next(blocks_of(picture, backbone)).features[MAPS]
    np.testing.assert_allclose(session(content)({"large": made_large(seen)}), maps, rtol=1e-3, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 400), st.integers(1, 9), st.integers(5, 12), st.integers(0, 5), st.integers(0, 9), st.booleans(),
    st.sampled_from([None, 0, 2]),
)  # fmt: skip
def test_every_frame_is_read_once_from_where_it_lies(samples, step, seen, before, after, silence, margin):
    sound = np.arange(1, samples + 1, dtype=np.float32)
    cuts = Cuts(step, seen, 0 if margin is not None else before, after, silence, margin)
    found = cuts.of(sound, 100)
    count = max(1, -(-samples // step))
    assert len(found.window) == len(found.cell) == len(found.place) == count
    for frame in range(count):
        wave = found.sounds[found.window[frame]]
        start = found.cell[frame] * step
        own = sound[frame * step : (frame + 1) * step]
        np.testing.assert_array_equal(wave[start : start + len(own)], own)
    np.testing.assert_allclose(found.place[1:, 0], found.place[:-1, 1])


def test_a_backbone_that_counts_letters_is_refused_by_name():
    with pytest.raises(OptionError, match="backbone 'char-ngrams' must be one that ONNX can express, got one that"):
        graph_parts.compared_graph_of(CharNgrams("char-ngrams"), [0])
