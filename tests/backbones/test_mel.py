"""Tests of the mel filters against a reference implementation and against sounds of known pitch."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from handful.backbones.mel import mel_bank, mel_power


@pytest.mark.parametrize(("bands", "window", "low"), [(40, 400, 0.0), (128, 1024, 40.0)])
def test_the_filters_are_those_of_the_reference(bands, window, low):
    from transformers.audio_utils import mel_filter_bank

    reference = mel_filter_bank(window // 2 + 1, bands, low, 8000.0, 16000, norm="slaney", mel_scale="slaney")
    assert_allclose(mel_bank(bands, window, 16000, low, 8000.0), reference.T, atol=1e-7)


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 5000.0])
def test_a_tone_is_loudest_in_the_band_it_lies_in(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(16000) / 16000).astype(np.float32)
    power = mel_power(tone, 16000, bands=40, window=400, hop=160)
    assert power.shape == (40, 101)
    nearest = mel_bank(40, 400, 16000, 0.0, 8000.0)[:, round(hertz / 40)].argmax()
    assert (power[:, 5:-5].argmax(0) == nearest).all()


def test_a_sound_shorter_than_a_frame_is_followed_by_silence():
    power = mel_power(np.ones(10, np.float32), 16000, bands=40, window=400, hop=160)
    assert power.shape == (40, 3)
    assert np.isfinite(power).all()


def test_the_power_is_that_of_the_whole_filter_bank():
    noise = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    padded = np.pad(noise, 512, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    frames = np.stack([padded[start : start + 1024] * hann for start in range(0, 16001, 256)])
    expected = mel_bank(400, 1024, 16000, 0.0, 8000.0) @ np.abs(np.fft.rfft(frames)).T ** 2
    assert (expected.max(1) == 0).any()  # some bands are too narrow to hold a bin
    assert_allclose(mel_power(noise, 16000, bands=400, window=1024, hop=256), expected, rtol=1e-4)
