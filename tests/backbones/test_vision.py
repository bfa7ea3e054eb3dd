"""VisionBackbone on tiny random models of every family whose layout is known, and on one that is not."""

import contextlib
import json

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_allclose
from PIL import Image

from handful.backbones import vision
from handful.backbones.image import load_pretrained
from handful.errors import WeightsError
from junk import junk

TOKENS = dict(
    hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
)
STAGES = dict(depths=[1, 1, 2, 1], hidden_sizes=[8, 12, 16, 24], num_stages=4)
SQUARE = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
CROPPED = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32})

# Name → model, blocks expected, width at the top.
MODELS = {
    "vit": (lambda: transformers.ViTModel(transformers.ViTConfig(**TOKENS)), 5, 16),
    "deit": (lambda: transformers.DeiTModel(transformers.DeiTConfig(**TOKENS)), 5, 16),
    "dinov2": (lambda: transformers.Dinov2Model(transformers.Dinov2Config(**TOKENS)), 5, 16),
    "registers": (
        lambda: transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**TOKENS)),
        5,
        16,
    ),
    "siglip": (lambda: transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**TOKENS)), 5, 16),
    "clip": (lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**TOKENS)), 5, 16),
    "convnext": (lambda: transformers.ConvNextModel(transformers.ConvNextConfig(**STAGES)), 6, 24),
    "convnextv2": (lambda: transformers.ConvNextV2Model(transformers.ConvNextV2Config(**STAGES)), 6, 24),
    "swin": (
        lambda: transformers.SwinModel(
            transformers.SwinConfig(image_size=32, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
        ),
        0,
        16,
    ),
}


def saved(folder, name, processor=True):
    torch.manual_seed(0)
    with torch.random.fork_rng():
        model = MODELS[name][0]()
    model.save_pretrained(folder)
    if processor:
        (CROPPED if "convnext" in name else SQUARE).save_pretrained(folder)
    return model.eval()


def photographs():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (h, w, 3), np.uint8)) for w, h in ((50, 40), (32, 32), (33, 90))]


@pytest.mark.parametrize("name", MODELS)
def test_the_cut_is_the_whole_model(tmp_path, name):
    model = saved(tmp_path, name)
    backbone = load_pretrained(str(tmp_path))
    last = len(backbone.blocks)
    assert (last, backbone.modality, backbone.name) == (MODELS[name][1], "image", str(tmp_path))
    batch = backbone.prepare(photographs())
    assert batch.shape == (3, 3, 32, 32)
    with torch.inference_mode():
        output = model(pixel_values=batch)
    found = backbone.encode_batch(batch, range(last + 1))
    assert all(vectors.dtype == np.float32 and len(vectors) == 3 for vectors in found.values())
    whole = output.last_hidden_state
    if "convnext" in name:
        expected = output.pooler_output
    elif name == "clip":
        expected = output.pooler_output  # its last hidden state lacks the closing norm
    elif name in ("siglip", "swin"):
        expected = whole.mean(1)
    else:
        expected = whole[:, 0]
    assert found[last].shape == (3, MODELS[name][2])
    assert_allclose(found[last], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["vit", "convnext"])
def test_every_block_is_reached_by_the_gradient(tmp_path, name):
    saved(tmp_path, name)
    backbone = load_pretrained(str(tmp_path))
    state = backbone.stem(backbone.prepare(photographs()))
    for block in backbone.blocks:
        state = block(state)
    backbone.pool(state).square().sum().backward()
    for block in backbone.blocks:
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in block.parameters())


def test_depths_worth_trying(tmp_path):
    saved(tmp_path, "vit")
    assert load_pretrained(str(tmp_path)).search_depths == (5, 4, 3, 2)


def test_an_uncut_model_has_the_one_depth_zero(tmp_path):
    saved(tmp_path, "swin")
    backbone = load_pretrained(str(tmp_path))
    assert backbone.search_depths == (0,)
    assert backbone.parameters() > 1000


def test_pictures_go_through_the_models_own_processor(tmp_path):
    saved(tmp_path, "vit")
    config = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(config | {"image_mean": [0, 0, 0], "image_std": [1] * 3})
    )
    batch = load_pretrained(str(tmp_path)).prepare([np.full((20, 30), 255, np.uint8)])
    assert_allclose(batch, np.ones((1, 3, 32, 32)), atol=1e-6)


def test_the_fingerprint_follows_weights_and_processor(tmp_path):
    saved(tmp_path, "vit")
    first = load_pretrained(str(tmp_path)).fingerprint
    assert load_pretrained(str(tmp_path)).fingerprint == first
    transformers.ViTImageProcessorPil(size={"height": 32, "width": 32}, resample=3).save_pretrained(tmp_path)
    second = load_pretrained(str(tmp_path)).fingerprint
    with torch.random.fork_rng():
        torch.manual_seed(7)
        MODELS["vit"][0]().save_pretrained(tmp_path)
    assert len({first, second, load_pretrained(str(tmp_path)).fingerprint}) == 3


def test_the_fingerprint_follows_the_settings_of_the_model(tmp_path):
    saved(tmp_path, "vit")
    first = load_pretrained(str(tmp_path)).fingerprint
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_attention_heads": 4}))
    assert load_pretrained(str(tmp_path)).fingerprint != first


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=junk)
def test_junk_in_a_folder_loads_or_is_one_error(tmp_path, name, content):
    saved(tmp_path, "vit")
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(WeightsError):
        load_pretrained(str(tmp_path))


MUST = "must be a vision model with its image processor that transformers can load, from a folder or by its Hugging"


def test_a_folder_without_a_processor(tmp_path):
    saved(tmp_path, "vit", processor=False)
    with pytest.raises(WeightsError) as caught:
        load_pretrained(str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"backbone {str(tmp_path)!r} {MUST} Face id, got: ")
    assert "preprocessor_config.json" in message
    assert message.endswith("Check the name and the network, or choose a name from `handful models list`.")
    assert "\n" not in message


def test_an_empty_folder_and_damaged_weights(tmp_path):
    with pytest.raises(WeightsError, match=f"{MUST} Face id, got: "):
        load_pretrained(str(tmp_path))
    saved(tmp_path, "vit")
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(WeightsError, match=f"{MUST} Face id, got: "):
        load_pretrained(str(tmp_path))


def test_a_text_model_is_refused(tmp_path):
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=20
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    SQUARE.save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=f"{MUST} Face id, got: a BertModel. Check the name"):
        load_pretrained(str(tmp_path))


def test_a_model_whose_parts_give_other_numbers_is_not_cut(tmp_path, monkeypatch):
    saved(tmp_path, "vit")
    monkeypatch.setitem(vision._CLOSING, "vit", "layers.0.mlp")
    assert load_pretrained(str(tmp_path)).blocks == ()


def test_a_classifier_of_another_library_loads_quietly_and_always_the_same(tmp_path, capfd):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.SwinConfig(image_size=32, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4)
        transformers.SwinForImageClassification(config).save_pretrained(tmp_path / "swin")
        transformers.ViTForImageClassification(transformers.ViTConfig(**TOKENS)).save_pretrained(tmp_path / "vit")
    for name in ("swin", "vit"):
        SQUARE.save_pretrained(tmp_path / name)
        capfd.readouterr()
        found = [load_pretrained(str(tmp_path / name)).fingerprint for _ in range(2)]
        assert capfd.readouterr() == ("", "")
        assert found[0] == found[1]


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path):
    model = saved(tmp_path, "vit")
    model.save_pretrained(tmp_path, state_dict={k: v for k, v in model.state_dict().items() if "layers.2.mlp" not in k})
    with pytest.raises(WeightsError, match=f"{MUST} Face id, got: a checkpoint without layers.2.mlp"):
        load_pretrained(str(tmp_path))
