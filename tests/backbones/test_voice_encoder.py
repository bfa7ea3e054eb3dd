"""Tests of the voice encoder: windows are cut as in the original, and the real weights give its embeddings."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from handful.backbones import catalog, entries, wheels
from handful.backbones.base import State
from handful.backbones.voice_encoder import COVERED, STEP, WINDOW, windows


def noise(samples, loudness=0.1):
    return (loudness * np.random.default_rng(0).normal(size=samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("seconds", "count"),
    [(0.1, 1), (1.6, 1), (1.9, 1), (1.97, 2), (2.37, 2), (3.0, 3), (30.0, 38)],
)
def test_windows_overlap_by_half_and_a_mostly_empty_one_is_left_out(seconds, count):
    mel, real = windows(noise(round(16000 * seconds)))
    assert mel.shape == (count, WINDOW, 40)
    assert real.shape == (count, WINDOW)
    assert count == 1 or real[-1].mean() >= COVERED
    assert_array_equal(mel[1:, : WINDOW - STEP], mel[:-1, STEP:])


def test_frames_of_sound_are_told_from_padding():
    mel, real = windows(noise(8000))
    assert real[0].tolist() == [1] * 51 + [0] * 109
    assert mel[0, :51].min() > 0
    assert mel[0, 60:].max() == 0


def test_a_quiet_sound_is_raised_and_a_loud_one_stays():
    quiet, quieter, loud, louder = (windows(noise(16000, level))[0] for level in (0.01, 0.0001, 0.1, 0.2))
    assert_allclose(quiet, quieter, rtol=1e-4)
    assert_allclose(louder, 4 * loud, rtol=1e-4)  # power


def test_silence_stays_silent():
    mel, _ = windows(np.zeros(16000, np.float32))
    assert mel.shape == (1, WINDOW, 40)
    assert mel.max() == 0


@pytest.mark.integration
def test_the_last_frame_of_a_window_is_the_embedding_of_the_original(tmp_path):
    entry = entries.find("voice-encoder")
    members = wheels.unpack(wheels.download(entry, tmp_path), entry, tmp_path / "members")
    (checkpoint,) = members.values()
    weights = torch.load(checkpoint, weights_only=True, map_location="cpu")["model_state"]
    with torch.device("meta"):
        lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    for module, name in ((lstm, "lstm."), (linear, "linear.")):
        own = {key.removeprefix(name): value for key, value in weights.items() if key.startswith(name)}
        module.load_state_dict(own, assign=True)
    mel, real = windows(noise(50_000))
    with torch.inference_mode():
        expected = torch.relu(linear(lstm(torch.from_numpy(mel))[1][0][-1]))
        expected = expected / expected.norm(dim=1, keepdim=True)
        state = State(torch.from_numpy(mel), torch.from_numpy(real))
        for block in catalog.load("voice-encoder", "sound").blocks:
            state = block(state)
    assert len(expected) == 3
    assert_allclose(state.x[:, -1], expected, atol=1e-5)
