"""Tests of reading sounds: every kind of file a user may bring, and what is said about the ones that cannot be read."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from handful.data.sounds import SOUND_SUFFIXES, duration, load_sound, waveform
from handful.errors import DataError


def tone(seconds, rate, hertz=440.0, loudness=0.5):
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write(path, samples, rate, subtype="PCM_16"):
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def loudest_hertz(samples, rate):
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000, 96000])
def test_any_rate_becomes_the_one_asked_for(tmp_path, rate):
    samples = load_sound(write(tmp_path / "a.wav", tone(1.0, rate), rate), 16000)
    assert samples.dtype == np.float32 and samples.shape == (16000,)
    assert loudest_hertz(samples, 16000) == pytest.approx(440, abs=1)
    assert np.abs(samples[2000:-2000]).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("subtype, error", [("PCM_U8", 1e-2), ("PCM_16", 1e-4), ("PCM_24", 1e-6), ("FLOAT", 0)])
def test_any_depth_is_read_at_its_own_scale(tmp_path, subtype, error):
    path = write(tmp_path / "a.wav", tone(0.1, 16000), 16000, subtype)
    np.testing.assert_allclose(load_sound(path, 16000), tone(0.1, 16000), atol=error)


def test_stereo_is_averaged(tmp_path):
    both = np.stack([tone(0.1, 16000), np.zeros(1600, np.float32)], axis=1)
    path = write(tmp_path / "a.wav", both, 16000, "FLOAT")
    np.testing.assert_allclose(load_sound(path, 16000), both[:, 0] / 2, atol=1e-7)


@pytest.mark.parametrize(
    "suffix, subtype", [("flac", "PCM_24"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"), ("aiff", "PCM_16")]
)
def test_other_formats(tmp_path, suffix, subtype):
    path = write(tmp_path / f"a.{suffix}", tone(1.0, 16000), 16000, subtype)
    assert path.suffix in SOUND_SUFFIXES
    assert loudest_hertz(load_sound(path, 16000), 16000) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("name", ["two words.wav", 'it\'s "quoted".wav', "звук 音.wav", "emoji 🎵.wav", "-rf.wav"])
def test_strange_names(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(write(tmp_path / "a.wav", tone(0.1, 16000), 16000).read_bytes())
    assert len(load_sound(path, 16000)) == 1600 and duration(path) == pytest.approx(0.1)


def test_a_name_that_is_not_text(tmp_path):
    path = tmp_path / "bad\udcff.wav"
    try:
        path.write_bytes(write(tmp_path / "a.wav", tone(0.1, 16000), 16000).read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("this file system refuses names that are not valid text")
    assert len(load_sound(path, 16000)) == 1600


def test_longest_is_the_start_of_the_whole(tmp_path):
    path = write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 88200), 44100)
    start = load_sound(path, 16000, longest=0.5)
    assert len(start) == 8000
    np.testing.assert_allclose(start, load_sound(path, 16000)[:8000], atol=1e-6)


def test_blocks_join_without_a_seam():
    samples = np.random.default_rng(0).normal(0, 0.1, 300_000).astype(np.float32)
    import soxr

    np.testing.assert_allclose(load_sound((samples, 44100), 16000), soxr.resample(samples, 44100, 16000), atol=1e-6)


@pytest.fixture
def one_hour(tmp_path):
    """An hour of 8-bit stereo at 1 kHz (7 MB), almost all of it a hole in the file."""
    path = write(tmp_path / "hour.wav", np.stack([tone(1, 1000)] * 2, axis=1), 1000, "PCM_U8")
    data, header = 1000 * 2 * 3600, bytearray(path.read_bytes())
    header[4:8], header[40:44] = (data + 36).to_bytes(4, "little"), data.to_bytes(4, "little")
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(44 + data)
    return path


def test_one_hour_costs_no_more_than_what_is_asked_for(one_hour):
    assert duration(one_hour) == pytest.approx(3600)
    tracemalloc.start()
    samples = load_sound(one_hour, 16000, longest=5)
    outline = waveform(one_hour, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples.shape == (80000,) and outline.shape == (100, 2)
    assert peak < 5e6


@pytest.mark.parametrize("kind, scale", [(np.int16, 2**15), (np.int32, 2**31), (np.float32, 1), (np.float64, 1)])
def test_arrays_of_any_kind(kind, scale):
    samples = (tone(0.1, 16000) * scale).astype(kind)
    np.testing.assert_allclose(load_sound((samples, 16000), 16000), tone(0.1, 16000), atol=1e-4)


def test_unsigned_bytes_are_centred():
    np.testing.assert_array_equal(load_sound((np.array([0, 128, 192], np.uint8), 16000), 16000), [-1, 0, 0.5])


def test_channels_may_come_first_or_last():
    both = np.stack([tone(0.1, 16000), np.zeros(1600, np.float32)])
    np.testing.assert_array_equal(load_sound((both, 16000), 16000), load_sound((both.T, 16000), 16000))


def test_louder_than_full_scale_is_turned_down():
    samples = load_sound((tone(0.1, 16000, loudness=20000.0), 16000), 16000)
    assert np.abs(samples).max() == 1
    np.testing.assert_allclose(samples, tone(0.1, 16000, loudness=1.0), atol=1e-2)


def test_duration_of_an_array():
    assert duration((np.zeros(8000, np.int16), 16000)) == 0.5


def test_waveform_is_the_envelope():
    samples = np.array([0, 0.5, -0.5, 0.1, 0.2, 0.3], np.float32)
    np.testing.assert_allclose(waveform((samples, 16000), 2), [[-0.5, 0.5], [0.1, 0.3]])


def test_waveform_of_more_points_than_samples_repeats():
    outline = waveform((np.array([0.1, -0.2], np.float32), 16000), 5)
    np.testing.assert_allclose(outline[:, 0], [0.1, 0.1, -0.2, -0.2, -0.2])


def test_waveform_across_blocks():
    samples = np.linspace(-1, 1, 200_001, dtype=np.float32)
    outline = waveform((samples, 16000), 7)
    assert outline[0, 0] == -1 and outline[-1, 1] == 1 and (np.diff(outline, axis=0) > 0).all()


def bad(tmp_path, make):
    path = tmp_path / "bad.wav"
    make(path)
    with pytest.raises(DataError) as caught:
        load_sound(path, 16000)
    return str(caught.value).replace(str(path), "bad.wav")


def test_no_file(tmp_path):
    assert bad(tmp_path, lambda path: None) == "bad.wav must be a sound file, got no such file."


def test_a_folder(tmp_path):
    assert bad(tmp_path, lambda path: path.mkdir()) == "bad.wav must be a sound file, got a folder."


def test_zero_bytes(tmp_path):
    assert bad(tmp_path, lambda path: path.touch()) == "bad.wav is empty (0 bytes). Export it again or remove it."


def test_zero_samples(tmp_path):
    said = bad(tmp_path, lambda path: write(path, np.zeros(0), 16000))
    assert said == "bad.wav holds no samples. Record it again or remove it."


def test_not_a_sound(tmp_path):
    said = bad(tmp_path, lambda path: path.write_text("dear diary " * 50))
    assert said == (
        "bad.wav cannot be decoded as a sound (Format not recognised). Convert it to WAV or FLAC, or remove it."
    )


@pytest.mark.parametrize("suffix", [".m4a", ".AAC", ".webm"])
def test_a_recording_of_a_phone_or_browser_says_how_to_convert_it(tmp_path, suffix):
    path = tmp_path / f"my call{suffix}"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(DataError) as caught:
        load_sound(path, 16000)
    assert str(caught.value) == (
        f"{path}: {suffix} is a format that cannot be read; convert it to WAV or FLAC, for example with "
        f"`ffmpeg -i 'my call{suffix}' 'my call.wav'`."
    )


def test_cut_off_wav(tmp_path):
    def make(path):
        write(path, tone(1, 16000), 16000)
        path.write_bytes(path.read_bytes()[:16044])

    said = bad(tmp_path, make)
    assert said == ("bad.wav is cut off: only 50% of the sound its header promises is there. Copy or export it again.")


def test_cut_off_flac(tmp_path):
    whole = write(tmp_path / "whole.flac", np.random.default_rng(0).normal(0, 0.1, 160_000), 16000).read_bytes()
    said = bad(tmp_path, lambda path: path.write_bytes(whole[: len(whole) // 2]))
    assert "bad.wav is damaged or cut off after" in said and "lost sync" in said


def test_a_length_that_its_writer_did_not_know_is_no_error(tmp_path):
    path = write(tmp_path / "a.wav", tone(0.1, 16000), 16000)
    piped = bytearray(path.read_bytes())
    piped[4:8] = piped[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(piped)
    assert len(load_sound(path, 16000)) == 1600


def test_numbers_that_are_not_finite():
    with pytest.raises(DataError, match="holds samples that are not finite numbers"):
        load_sound((np.array([0, np.nan], np.float32), 16000), 16000)


@pytest.mark.parametrize("item", [(np.zeros(0, np.float32), 16000), (np.zeros((0, 2)), 16000)])
def test_an_empty_array(item):
    with pytest.raises(DataError, match=r"a sound given as \(samples, rate\) holds no samples"):
        load_sound(item, 16000)


@pytest.mark.parametrize("item", [(np.zeros(9), 0), (np.array(["a"]), 16000), (np.zeros((2, 2, 2)), 16000)])
def test_an_array_of_something_else(item):
    with pytest.raises(DataError, match=r"must be numbers of shape \(T,\) or \(T, channels\) and a rate above 0"):
        load_sound(item, 16000)


def test_something_else():
    with pytest.raises(DataError, match=r"a sound must be a path or a pair \(samples, rate\), got int"):
        load_sound(3, 16000)


def test_too_short_for_one_sample():
    with pytest.raises(DataError, match="too short to hold a sound at 8000"):
        load_sound((np.ones(1, np.float32), 96000), 8000)


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"\0\0\0\x20ftypM4A ", ".m4a"), (b"\x1a\x45\xdf\xa3", ".webm"), (b"#!AMR\n", ".amr"), (b"\xff\xf1\x50", ".aac")],
)
@pytest.mark.parametrize(("name", "target"), [("my clip.mp3", "'my clip.wav'"), ("my clip.wav", "'my clip.flac'")])
def test_recordings_of_phones_and_browsers_under_another_name(tmp_path, start, kind, name, target):
    path = tmp_path / name
    path.write_bytes(start + bytes(500))
    with pytest.raises(DataError) as error:
        load_sound(path, 16000)
    assert str(error.value) == (
        f"{path} is in truth a file of the kind {kind}: {kind} is a format that cannot be read; convert it to WAV or "
        f"FLAC, for example with `ffmpeg -i '{name}' {target}`."
    )


@pytest.mark.parametrize(("suffix", "format", "subtype"), [("opus", "OGG", "OPUS"), ("ogg", "OGG", "VORBIS")])
def test_half_of_a_compressed_recording_is_called_damaged(tmp_path, suffix, format, subtype):  # noqa: A002
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.sin(np.arange(16000) / 5) / 3, 16000, format=format, subtype=subtype)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError) as error:
        load_sound(path, 16000)
    assert str(error.value) == (
        f"{path} is damaged or cut off (Supported file format but file is malformed). Copy or export it again, "
        "or remove it."
    )
