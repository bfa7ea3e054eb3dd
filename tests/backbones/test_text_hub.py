"""Text encoders through transformers: cut where that changes no number, whole where it would."""

from __future__ import annotations

import contextlib
import json
import re
import shutil

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_allclose
from safetensors.torch import load, save
from tiny_text import SMALL, TEXTS, WORDS, add_sentence_transformers, bert, hidden_states, model, write_model

from handful.backbones import catalog, memory, text_hub
from handful.backbones.base import State
from handful.errors import MachineError, OptionError, WeightsError
from junk import junk

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
    assert found.parameters() == sum(p.numel() for name, p in encoder.named_parameters() if "pooler" not in name)
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
    found = text_hub.load_pretrained(str(write_model(encoder, tmp_path)))
    assert found.blocks == ()
    assert found.search_depths == (0,)
    assert_allclose(found.encode(TEXTS, [0])[0], last_means(encoder), atol=1e-5)


def test_an_encoder_whose_parts_give_other_numbers_stays_whole(folder, monkeypatch):
    from handful.backbones import text_hub

    monkeypatch.setattr(text_hub, "_CLOSE", 0.0)
    found = text_hub.load_pretrained(str(folder))
    assert found.blocks == ()
    assert_allclose(found.encode(TEXTS, [0])[0], last_means(bert()), atol=1e-5)


def test_it_is_named_after_where_it_came_from(folder):
    found = text_hub.load_pretrained(str(folder))
    assert (found.name, found.modality) == (str(folder), "text")
    assert text_hub.load_pretrained(str(folder)).fingerprint == found.fingerprint


def without(folder, part):
    """Write a checkpoint that lacks some weights."""
    file = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load(file.read_bytes()).items() if part not in name}
    file.write_bytes(save(kept, {"format": "pt"}))


@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_what_a_checkpoint_lacks_and_nothing_uses_does_not_depend_on_dice(kind, tmp_path):
    encoder = model((CUT | WHOLE)[kind])
    expected = text_hub.load_pretrained(str(write_model(encoder, tmp_path))).encode(TEXTS, [0])[0]
    without(tmp_path, "pooler")
    found = []
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found.append(text_hub.load_pretrained(str(tmp_path)))
    assert found[0].fingerprint == found[1].fingerprint
    assert_allclose(found[0].encode(TEXTS, [0])[0], expected)


def test_a_checkpoint_without_a_pooler_is_the_same_encoder_and_loads_without_a_word(folder, capfd):
    whole = text_hub.load_pretrained(str(folder))
    other = write_model(bert(), folder.parent / "other")
    without(other, "pooler")
    capfd.readouterr()
    found = text_hub.load_pretrained(str(other))
    assert capfd.readouterr() == ("", "")
    assert found.fingerprint == whole.fingerprint
    assert found.parameters() == whole.parameters()


def test_a_run_on_a_checkpoint_without_a_pooler_is_loaded_again(folder, table, handful, tmp_path):
    without(folder, "pooler")
    rows = [
        (text, label) for label, text in (("pay", "card was charged"), ("post", "where is my parcel")) for _ in range(6)
    ]
    data = table([(f"{text} {i % 3}", label) for i, (text, label) in enumerate(rows)])
    run = tmp_path / "run"
    assert handful("tune", data, "--backbone", folder, "--out", run).code == 0
    answers = handful("predict", run, data, "--only", "answers")
    said = "The model is not shown to be better than always answering the same class: "  # by random weights, rightly
    assert answers.code == 0
    assert [line for line in answers.err.splitlines() if not line.startswith(said)] == []


def test_a_tokenizer_with_more_entries_than_word_vectors_is_refused(folder):
    write_model(bert(vocab_size=len(WORDS) - 1), folder)
    expected = (
        f"backbone {str(folder)!r} must have a word vector for every entry of its tokenizer, got {len(WORDS) - 1} "
        f"vectors and {len(WORDS)} entries. Put the tokenizer beside it that the model was saved with."
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        text_hub.load_pretrained(str(folder))


def test_word_vectors_that_no_entry_uses_do_no_harm(folder):
    write_model(bert(vocab_size=len(WORDS) + 4), folder)
    assert len(text_hub.load_pretrained(str(folder)).blocks) == 3


def test_too_little_memory_is_said_before_loading(folder, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1 << 28)
    monkeypatch.setattr(text_hub, "read_model", lambda *args, **named: pytest.fail("loaded"))
    with pytest.raises(MachineError, match=r"must have about 0\.5 GB of memory to learn, but 0\.2 GB are free"):
        text_hub.load_pretrained(str(folder))


@pytest.mark.parametrize("part", ["encoder.layer.1.output.dense.weight", "embeddings.word_embeddings"])
def test_a_checkpoint_that_lacks_what_is_used_is_refused(folder, part):
    without(folder, part)
    with pytest.raises(WeightsError, match=rf"got: a checkpoint without {re.escape(part)}.*\. Check the name"):
        text_hub.load_pretrained(str(folder))


def test_the_encoder_of_a_model_with_a_decoder_is_enough(tmp_path):
    config = transformers.T5Config(
        vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, pad_token_id=0
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        write_model(transformers.AutoModel.from_config(config), tmp_path)
    whole = text_hub.load_pretrained(str(tmp_path))
    without(tmp_path, "decoder.")
    found = text_hub.load_pretrained(str(tmp_path))
    assert found.fingerprint == whole.fingerprint
    without(tmp_path, "encoder.block.1.layer.0")
    with pytest.raises(WeightsError, match="got: a checkpoint without encoder.block.1.layer.0"):
        text_hub.load_pretrained(str(tmp_path))


def flip(folder):
    """One bit of a weight that is used."""
    file = folder / "model.safetensors"
    tensors = load(file.read_bytes())
    tensors["encoder.layer.2.output.dense.weight"].view(torch.int32)[0, 0] ^= 1
    file.write_bytes(save(tensors, {"format": "pt"}))


def other_heads(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 4}))


def other_words(folder):
    told = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(told.replace('"card"', '"cart"'))


@pytest.mark.parametrize("change", [flip, other_heads, other_words])
def test_the_fingerprint_is_of_the_weights_the_settings_and_the_tokenizer(folder, change):
    before = text_hub.load_pretrained(str(folder)).fingerprint
    change(folder)
    assert text_hub.load_pretrained(str(folder)).fingerprint != before


def test_the_fingerprint_is_the_same_in_another_place(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "notes.txt").write_text("read by nobody")
    assert text_hub.load_pretrained(str(copy)).fingerprint == text_hub.load_pretrained(str(folder)).fingerprint


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=junk)
def test_junk_in_a_folder_loads_or_is_one_error(folder, name, content):
    sound = (folder / name).read_bytes()
    (folder / name).write_bytes(content)
    with contextlib.suppress(WeightsError):
        text_hub.load_pretrained(str(folder))
    (folder / name).write_bytes(sound)


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
    plain = text_hub.load_pretrained(str(folder))
    add_sentence_transformers(folder, config, 7)
    found = text_hub.load_pretrained(str(folder))
    ids, mask = found.prepare(TEXTS)
    assert ids.shape[1] == 7
    states = torch.stack([hidden_states(bert(), TEXTS[0])[-1]])
    assert_allclose(
        found.encode(TEXTS[:1], [3])[3], text_hub.POOLINGS[expected](states, torch.ones(1, states.shape[1])), atol=1e-5
    )
    assert found.fingerprint != plain.fingerprint


def test_without_sentence_transformers_the_model_says_how_long_a_text_may_be(folder):
    assert text_hub.load_pretrained(str(folder)).prepare(["card " * 100])[0].shape[1] == 40


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
        text_hub.load_pretrained(str(folder))


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
        text_hub.load_pretrained(str(folder))


def test_an_older_folder_keeps_the_model_in_a_folder_of_its_own(tmp_path):
    write_model(bert(), tmp_path / "0_Transformer")
    modules = [{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "0_Transformer" / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    found = text_hub.load_pretrained(str(tmp_path))
    assert found.prepare(["card " * 100])[0].shape[1] == 6
