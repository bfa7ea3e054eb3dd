"""Text encoders through transformers: cut where that changes no number, whole where it would."""

from __future__ import annotations

import json
import re

import pytest
import torch
import transformers
from numpy.testing import assert_allclose
from tiny_text import SMALL, TEXTS, WORDS, add_sentence_transformers, bert, hidden_states, model, write_model

from handful.backbones import catalog, text
from handful.backbones.base import State
from handful.errors import OptionError, WeightsError

POSITIONS = {"max_position_embeddings": 40}
CUT = {
    "bert": transformers.BertConfig(**SMALL, **POSITIONS),
    "roberta": transformers.RobertaConfig(**SMALL, **POSITIONS, pad_token_id=0),
    "distilbert": transformers.DistilBertConfig(vocab_size=len(WORDS), dim=16, n_layers=3, n_heads=2, hidden_dim=24),
    "electra": transformers.ElectraConfig(**SMALL, **POSITIONS, embedding_size=8),
    "mpnet": transformers.MPNetConfig(**SMALL, **POSITIONS),
    "modernbert": transformers.ModernBertConfig(
        **SMALL, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3
    ),
}
WHOLE = {"albert": transformers.AlbertConfig(**SMALL, **POSITIONS, embedding_size=8)}


@pytest.fixture
def folder(tmp_path):
    return write_model(bert(), tmp_path / "model")


def last_means(encoder):
    return torch.stack([hidden_states(encoder, item)[-1].mean(0) for item in TEXTS])


@pytest.mark.parametrize("kind", CUT)
def test_an_encoder_is_cut_and_gives_the_same_numbers(kind, tmp_path):
    encoder = model(CUT[kind])
    found = catalog.load(str(write_model(encoder, tmp_path)), "text")
    assert len(found.blocks) == 3
    assert found.search_depths == (3, 2)
    assert found.parameters() == sum(p.numel() for p in encoder.parameters())
    vectors = found.encode(TEXTS, [3, 2])
    assert_allclose(vectors[3], last_means(encoder), atol=1e-5)
    second = torch.stack([hidden_states(encoder, item)[2].mean(0) for item in TEXTS])
    assert_allclose(vectors[2], second, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "mpnet", "modernbert"])
def test_blocks_run_on_kept_activations(kind, tmp_path):
    """Activations that were stored come back as x and mask alone."""
    found = catalog.load(str(write_model(model(CUT[kind]), tmp_path)), "text")
    with torch.inference_mode():
        state = found.blocks[0](found.stem(found.prepare(TEXTS)))
        again = State(state.x, state.mask)
        for block in found.blocks[1:]:
            state, again = block(state), block(again)
        assert_allclose(found.pool(again), found.pool(state), atol=1e-5)


@pytest.mark.parametrize("kind", WHOLE)
def test_an_encoder_that_cannot_be_cut_stays_whole(kind, tmp_path):
    encoder = model(WHOLE[kind])
    found = text.load_pretrained(str(write_model(encoder, tmp_path)))
    assert found.blocks == ()
    assert found.search_depths == (0,)
    assert_allclose(found.encode(TEXTS, [0])[0], last_means(encoder), atol=1e-5)


def test_an_encoder_whose_parts_give_other_numbers_stays_whole(folder, monkeypatch):
    from handful.backbones import text_hub

    monkeypatch.setattr(text_hub, "_CLOSE", 0.0)
    found = text.load_pretrained(str(folder))
    assert found.blocks == ()
    assert_allclose(found.encode(TEXTS, [0])[0], last_means(bert()), atol=1e-5)


def test_it_is_named_after_where_it_came_from(folder):
    found = text.load_pretrained(str(folder))
    assert (found.name, found.modality) == (str(folder), "text")
    assert text.load_pretrained(str(folder)).fingerprint == found.fingerprint


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode": "max", "embedding_dimension": 16}, "max"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
    ],
)
def test_pooling_and_length_come_from_sentence_transformers(folder, config, expected):
    plain = text.load_pretrained(str(folder))
    add_sentence_transformers(folder, config, 7)
    found = text.load_pretrained(str(folder))
    ids, mask = found.prepare(TEXTS)
    assert ids.shape[1] == 7
    states = torch.stack([hidden_states(bert(), TEXTS[0])[-1]])
    assert_allclose(
        found.encode(TEXTS[:1], [3])[3], text.POOLINGS[expected](states, torch.ones(1, states.shape[1])), atol=1e-5
    )
    assert found.fingerprint != plain.fingerprint


def test_without_sentence_transformers_the_model_says_how_long_a_text_may_be(folder):
    assert text.load_pretrained(str(folder)).prepare(["card " * 100])[0].shape[1] == 40


@pytest.mark.parametrize(
    ("config", "got"),
    [
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "cls + mean"),
    ],
)
def test_a_pooling_that_we_lack_is_refused(folder, config, got):
    add_sentence_transformers(folder, config, 7)
    expected = (
        f"pooling of backbone {str(folder)!r} must be one of mean, cls, max, lasttoken, got {got!r}. "
        "Choose another backbone."
    )
    with pytest.raises(OptionError, match=f"^{re.escape(expected)}$"):
        text.load_pretrained(str(folder))


def empty(folder):
    for file in folder.iterdir():
        file.unlink()


def damage(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])


def no_text(folder):
    empty(folder)
    config = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.ViTModel(transformers.ViTConfig(**config, image_size=32, patch_size=16)).save_pretrained(folder)


@pytest.mark.parametrize("change", [empty, damage, no_text])
def test_a_folder_without_a_text_encoder_is_refused(folder, change):
    change(folder)
    first = re.escape(
        f"backbone {str(folder)!r} must be a text encoder that transformers can load, from a folder or by its Hugging "
        "Face id, got: "
    )
    last = re.escape("Check the name and the network, or choose a name from `handful models list`.")
    with pytest.raises(WeightsError, match=f"^{first}.+{last}$"):
        text.load_pretrained(str(folder))


def test_an_older_folder_keeps_the_model_in_a_folder_of_its_own(tmp_path):
    write_model(bert(), tmp_path / "0_Transformer")
    modules = [{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "0_Transformer" / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    found = text.load_pretrained(str(tmp_path))
    assert found.prepare(["card " * 100])[0].shape[1] == 6
