"""Tests of changed sounds: measured strengths, and any clip down to one sample survives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.augment.options import SoundChanges
from handful.data.augment.sounds import (
    add_noise,
    add_reverb,
    change_gain,
    change_sound,
    change_speed,
    shift,
)

RATE = 8000
EVERYTHING = SoundChanges(speed=0.1, noise=1.0, reverb=1.0, shift=0.01)
CHANGES = {
    "speed": change_speed,
    "shift": lambda samples, rng: shift(samples, RATE, rng),
    "wrap": lambda samples, rng: shift(samples, RATE, rng, wrap=True),
    "noise": add_noise,
    "gain": change_gain,
    "reverb": lambda samples, rng: add_reverb(samples, RATE, rng),
    "all": lambda samples, rng: change_sound(samples, RATE, rng, EVERYTHING),
    "defaults": lambda samples, rng: change_sound(samples, RATE, rng, SoundChanges()),
}

seeds = st.integers(0, 2**32)
clips = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200).map(lambda values: np.array(values, np.float32))


def dice(seed=0):
    return np.random.default_rng(seed)


def tone(seconds=1.0, hertz=440.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def power(samples):
    return np.square(samples, dtype=np.float64).mean()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@given(samples=clips, seed=seeds)
def test_any_clip_survives(change, samples, seed):
    before = samples.copy()
    changed = change(samples, dice(seed))
    assert changed.dtype == np.float32 and changed.ndim == 1 and len(changed)
    assert np.isfinite(changed).all()
    assert not np.shares_memory(changed, samples)
    np.testing.assert_array_equal(samples, before)
    np.testing.assert_array_equal(changed, change(samples, dice(seed)))


@given(samples=clips, seed=seeds)
def test_all_together_stay_in_range(samples, seed):
    assert np.abs(change_sound(samples, RATE, dice(seed), EVERYTHING)).max() <= 1


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("length", [1, 2, 1000])
def test_silence_stays_silence(change, length):
    assert not change(np.zeros(length, np.float32), dice()).any()


@pytest.mark.parametrize("seed", range(5))
def test_speed_moves_length_and_pitch_together(seed):
    changed = change_speed(tone(), dice(seed), 0.1)
    factor = RATE / len(changed)
    assert 0.9 <= factor <= 1.1 and factor != 1
    hertz = np.abs(np.fft.rfft(changed)).argmax() * RATE / len(changed)
    assert hertz == pytest.approx(440 * factor, abs=2)


def test_a_clip_that_would_vanish_stays():
    assert len(change_speed(np.ones(1, np.float32), dice(), 0.5)) >= 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wrap", [False, True])
def test_a_shift_moves_by_whole_samples_and_fills_with_silence(seed, wrap):
    samples = np.arange(1, 101, dtype=np.float32)
    moved = shift(samples, 100, dice(seed), 0.1, wrap)
    by = int(moved.argmax()) - 99 if moved.max() == 100 else 100 - int(moved.max())
    expected = {by % 100: np.roll(samples, by), -by % 100: np.roll(samples, -by)}
    kept = moved != 0
    assert any((moved[kept] == rolled[kept]).all() for rolled in expected.values())
    assert (~kept).sum() == (0 if wrap else abs(by) % 100)
    assert (~kept).sum() <= 10


def test_a_shift_goes_both_ways_and_as_far_as_asked():
    samples = np.zeros(101, np.float32)
    samples[50] = 1
    places = {int(shift(samples, 100, dice(seed), 0.03).argmax()) - 50 for seed in range(100)}
    assert places == {-3, -2, -1, 0, 1, 2, 3}


def test_a_shift_never_loses_more_than_half():
    assert all(shift(np.ones(10, np.float32), RATE, dice(seed), 5.0).sum() >= 5 for seed in range(50))


def test_noise_has_the_ratio_asked_for():
    samples = tone(4.0)
    noise = add_noise(samples, dice(), 10, 10) - samples
    assert 10 * np.log10(power(samples) / power(noise)) == pytest.approx(10, abs=0.1)


def test_noise_lies_between_the_two_ratios():
    samples = tone()
    ratios = [10 * np.log10(power(samples) / power(add_noise(samples, dice(s)) - samples)) for s in range(30)]
    assert 4.5 < min(ratios) < 8 and 17 < max(ratios) < 20.5


def test_gain_stays_within_its_decibels():
    gains = [20 * np.log10(np.abs(change_gain(tone(), dice(s), 6)).max() / 0.5) for s in range(50)]
    assert -6.01 < min(gains) < -4 and 4 < max(gains) < 6.01


def test_the_echo_follows_the_click_and_fades():
    click = np.zeros(RATE, np.float32)
    click[1000] = 0.8
    heard = add_reverb(click, RATE, dice(), 0.5)
    assert heard.argmax() == 1000 and heard.max() == pytest.approx(0.8, abs=1e-6)
    np.testing.assert_allclose(heard[:1000], 0, atol=1e-6)
    early, late = power(heard[1001:1401]), power(heard[1401:1801])
    assert 0 < late < early
    assert power(heard[1001:]) * len(heard[1001:]) <= 0.8**2
    np.testing.assert_allclose(heard[1000 + RATE // 2 :], 0, atol=1e-6)


def test_a_room_of_one_sample_changes_nothing():
    np.testing.assert_allclose(add_reverb(tone(), RATE, dice(), 1e-5), tone(), atol=1e-6)


def test_a_loud_result_is_turned_down_not_clipped():
    loud = SoundChanges(shift=0, noise=0, reverb=0, gain=6)
    changed = np.stack([change_sound(tone() * 2, RATE, dice(seed), loud) for seed in range(10)])
    assert changed.max() == 1
    np.testing.assert_allclose(changed / changed.max(1, keepdims=True), np.stack([tone() * 2] * 10), atol=1e-3)


def test_switched_off_means_unchanged():
    off = SoundChanges(speed=0, shift=0, gain=0, noise=0, reverb=0)
    np.testing.assert_array_equal(change_sound(tone(), RATE, dice(), off), tone())
