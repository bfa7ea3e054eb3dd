"""Recorded graphs give the features that the backbones give, for items of any length side by side."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from exportable import KINDS, TEXTS, spectrogram, text
from handful.backbones import graphs
from handful.backbones.char_ngrams import CharNgrams
from handful.data.sounds import load_sound
from handful.errors import OptionError
from handful.features.view import unit_rows


def fed(backbone, items):
    """The arrays that a program prepares for a graph."""
    if backbone.modality == "text":
        ids, mask = backbone.prepare(items)
        return {"ids": ids.numpy(), "mask": mask.numpy()}
    if backbone.modality == "image":
        return {"pixels": backbone.prepare(items).permute(0, 2, 3, 1).contiguous().numpy()}
    sounds = [load_sound(item, 16_000, 30.0) for item in items]
    waves = np.zeros((len(sounds), max(map(len, sounds))), np.float32)
    for i, sound in enumerate(sounds):
        waves[i, : len(sound)] = sound
    return {"waves": waves, "lengths": np.array([len(sound) for sound in sounds])}


def seen_by(content, feed):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_backbone_sees_what_the_backbone_sees(kind):
    make, items, depth = KINDS[kind]
    backbone = make()
    some = items()
    content, _ = graphs.graph_of({backbone.name: backbone}, [(backbone.name, depth)], pairs=False)
    expected = unit_rows(backbone.encode(some, [depth])[depth])
    np.testing.assert_allclose(seen_by(content, fed(backbone, some)), expected, rtol=0, atol=2e-5)
    alone = np.concatenate([seen_by(content, fed(backbone, [item])) for item in some])
    np.testing.assert_allclose(alone, expected, rtol=0, atol=2e-5)


def test_several_depths_and_backbones_stand_side_by_side():
    one, other = text(), text("other", 4)
    parts = [("tiny-text", 1), ("other", 2), ("tiny-text", 2)]
    content, preparations = graphs.graph_of({"tiny-text": one, "other": other}, parts, pairs=False)
    feed = {**fed(one, TEXTS), **{f"{name}_1": x for name, x in fed(other, TEXTS).items()}}
    seen = seen_by(content, feed)
    made = {("tiny-text", d): one.encode(TEXTS, [d])[d] for d in (1, 2)} | {("other", 2): other.encode(TEXTS, [2])[2]}
    np.testing.assert_allclose(seen, np.concatenate([unit_rows(made[p]) for p in parts], 1), atol=2e-5)
    assert [p.entry["ids"] for p in preparations] == ["ids", "ids_1"]
    assert [list(p.files) for p in preparations] == [["tokenizer.json"], ["tokenizer_1.json"]]


def test_a_backbone_that_counts_letters_is_refused_by_name():
    with pytest.raises(OptionError) as error:
        graphs.eye_of(CharNgrams("char-ngrams"), [0])
    assert str(error.value) == (
        "backbone 'char-ngrams' must be one that ONNX can express, got one that counts letters, which no operator of "
        "ONNX does. Tune with `--backbone minilm-l6`, or export without --format."
    )


def test_a_backbone_of_others_is_refused_by_name():
    from small_backbones import SmallImage

    with pytest.raises(OptionError, match="'small-image' must be one that ONNX can express, got one that is none of"):
        graphs.eye_of(SmallImage(), [1])


def test_of_silence_nothing_is_drawn_and_no_rounding_made_large():
    """Its deviation is 0: the rounding of the mean of a constant, divided by it, was a picture of its own."""
    for seconds in (0.1, 1.0, 3.3):
        assert not spectrogram()._picture(np.zeros(round(seconds * 16_000), np.float32)).any()
