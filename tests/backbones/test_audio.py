"""Tests of the sound backbones with their real weights: what they hear, and what they tell apart."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from handful.backbones import audio, catalog
from handful.errors import WeightsError
from handful.features.view import unit_rows

NAMES = ("speech-embedding", "spectrogram-lite0", "voice-encoder", "whisper-tiny-en")
DATA = Path(os.environ.get("HANDFUL_BENCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


def sweep(seconds, loudness=0.3, rate=16000):
    t = np.arange(round(seconds * rate)) / rate
    return (loudness * np.sin(2 * np.pi * (200 + 900 * t / seconds) * t)).astype(np.float32)


@pytest.fixture(scope="module", params=NAMES)
def backbone(request):
    return catalog.load(request.param, "sound")


@pytest.mark.integration
def test_a_file_and_its_samples_are_heard_alike(backbone, tmp_path):
    soundfile.write(tmp_path / "a.wav", sweep(1.0), 16000, subtype="FLOAT")
    depth = len(backbone.blocks)
    found = backbone.encode([tmp_path / "a.wav", (sweep(1.0), 16000)], [depth])[depth]
    assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.integration
def test_only_the_start_of_a_long_sound_is_heard(backbone):
    depth = len(backbone.blocks)
    start = sweep(backbone.longest)
    found = backbone.encode([(start, 16000), (np.concatenate([start, sweep(4.0)]), 16000)], [depth])[depth]
    assert_allclose(found[0], found[1], atol=1e-4)
    assert backbone.size((start, 16000)) == backbone.size((np.zeros(10**8, np.int8), 16000))


@pytest.mark.integration
@pytest.mark.parametrize("item", [(np.zeros(8000, np.float32), 16000), (np.ones(3, np.float32), 16000)])
def test_silence_and_clicks_have_features_too(backbone, item):
    for depth, vectors in backbone.encode([item], range(len(backbone.blocks) + 1)).items():
        assert np.isfinite(vectors).all(), f"depth {depth}"


@pytest.mark.integration
def test_an_unreadable_sound_has_a_size_because_its_error_comes_when_it_is_read(backbone, tmp_path):
    assert backbone.size(tmp_path / "missing.wav") == 1


@pytest.mark.integration
@pytest.mark.parametrize("name", ["speech-embedding", "spectrogram-lite0", "whisper-tiny-en"])
def test_the_distance_to_the_microphone_does_not_matter(name):
    backbone = catalog.load(name, "sound")
    depth = len(backbone.blocks)
    near, far = backbone.encode([(sweep(1.0), 16000), (sweep(1.0, 0.03), 16000)], [depth])[depth]
    assert_allclose(near, far, atol=1e-3 * np.abs(near).max())


@pytest.mark.integration
def test_low_and_high_sounds_fill_different_bands_of_the_spectrogram():
    backbone = catalog.load("spectrogram-lite0", "sound")
    noise = np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32)
    (rows,) = backbone.encode([(noise, 16000)], [16])[16]
    assert len(rows) == 320 * 7
    assert backbone.encode([(noise, 16000)], [17])[17].shape == (1, 1280 * 3)


def clips(name, folder, per_class, label):
    """Clips of a benchmark set: the same number of each class, evenly spread over its files."""
    archive = DATA / f"{name}.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not there; set HANDFUL_BENCH_DATA to the folder with the benchmark data")
    with zipfile.ZipFile(archive) as file:
        by_label = {}
        for member in sorted(m for m in file.namelist() if not m.endswith("/")):
            by_label.setdefault(label(Path(member)), []).append(member)
        picked = {c: m[:: max(1, len(m) // per_class)][:per_class] for c, m in by_label.items()}
        items = [Path(file.extract(member, folder)) for members in picked.values() for member in members]
    return items, np.repeat(list(picked), [len(m) for m in picked.values()])


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "data", "label", "at_least"),
    [
        # Plain logistic probe on unit rows of the best depth, 5 per class; means over ten draws are 0.97, 0.97, 0.85,
        # 0.96.
        ("speech-embedding", "fsdd", lambda path: path.parent.name, 0.9),
        ("voice-encoder", "fsdd", lambda path: path.stem.split("_")[1], 0.9),
        ("spectrogram-lite0", "esc10", lambda path: path.parent.name, 0.75),
        ("whisper-tiny-en", "fsdd", lambda path: path.parent.name, 0.9),
    ],
)
def test_five_clips_per_class_are_enough_for_what_it_is_good_at(name, data, label, at_least, tmp_path):
    items, truth = clips(data, tmp_path, 10, label)
    backbone = catalog.load(name, "sound")
    found = {depth: [] for depth in backbone.search_depths}
    for start in range(0, len(items), 16):
        for depth, vectors in backbone.encode(items[start : start + 16], backbone.search_depths).items():
            found[depth].append(vectors)
    scores = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        train = np.concatenate([rng.permutation(np.flatnonzero(truth == c))[:5] for c in np.unique(truth)])
        rest = np.setdiff1d(np.arange(len(truth)), train)
        each = []
        for vectors in found.values():
            x = unit_rows(np.concatenate(vectors))
            x = x @ np.linalg.qr(x[train].T)[0]  # into the span of the rows: the same fit, much sooner
            probe = LogisticRegression(C=100, max_iter=3000).fit(x[train], truth[train])
            each.append(probe.score(x[rest], truth[rest]))
        scores.append(max(each))
    assert np.mean(scores) > at_least, scores


def test_a_wheel_with_other_files_is_refused(tmp_path):
    for name in ("melspectrogram.onnx", "embedding_model.onnx", "pretrained.pt"):
        (tmp_path / name).write_bytes(b"not what it says")
    graphs = {name: tmp_path / name for name in ("melspectrogram.onnx", "embedding_model.onnx")}
    with pytest.raises(WeightsError, match=r"embedding_model.onnx must hold the weights of speech-embedding, got some"):
        audio.convert("speech-embedding", graphs, tmp_path)
    with pytest.raises(
        WeightsError,
        match=r"pretrained.pt must hold the weights of voice-encoder, got something else \(\w+: .+\)\. Noth",
    ):
        audio.convert("voice-encoder", {"pretrained.pt": tmp_path / "pretrained.pt"}, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["speech-embedding", "voice-encoder", "whisper-tiny-en"])
def test_damaged_weights_are_named_with_what_to_do(tmp_path, name):
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(
        WeightsError, match=rf"weights of '{name}' in .* cannot be loaded .*`handful models repair {name}`"
    ):
        audio.load(name, tmp_path)
