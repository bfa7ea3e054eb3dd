"""The text backbone of the catalogue: converted, loaded without transformers, and equal to the original."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load, save
from tiny_text import TEXTS, bert, hidden_states, tokenizer, write_model

from handful.backbones import catalog, entries, manifest, text, weights
from handful.backbones.base import State
from handful.errors import WeightsError
from junk import junk, like
from rounding import rounding

LONGEST = 9
# Terms that the three layers of the tiny encoder add up one after the other, and its largest number.
CLOSE = rounding(steps=360, size=4.0)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The files of a wheel with a tiny BERT in it, unpacked."""
    folder = write_model(bert(), tmp_path_factory.mktemp("members"))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LONGEST}))
    return {file.name: file for file in folder.iterdir()}


@pytest.fixture
def folder(members, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    text.convert("minilm-l6", members, made)
    return made


@pytest.fixture
def backbone(folder):
    return text.load("minilm-l6", folder)


def test_only_what_loading_needs_is_kept(folder):
    kept = {file.name for file in folder.iterdir()}
    assert kept == {"config.json", "model.safetensors", "text.json", "tokenizer.json"}


def test_every_depth_equals_the_uncut_model_without_padding(backbone):
    found = backbone.encode(TEXTS, range(4))
    for row, item in enumerate(TEXTS):
        for depth, expected in enumerate(hidden_states(bert(), item, LONGEST)):
            assert_allclose(found[depth][row], expected.mean(0), rtol=0, atol=CLOSE)


def test_the_blocks_compute_in_training_what_the_original_computes(backbone):
    """Dropout is where the original has it: with the same dice, the same numbers."""
    original = bert(attention_probs_dropout_prob=0.0).train()
    # Padding throws no dice here, so that a batch with padding would have others.
    ids, mask = backbone.prepare(TEXTS[:1] * 3)
    for module in backbone.modules():
        module.train()
    for block in backbone.blocks:
        block.attention_dropout = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected = original(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        torch.manual_seed(1)
        state = backbone.stem((ids, mask))
        for block in backbone.blocks:
            state = block(state)
    real = mask.bool()
    assert_allclose(state.x[real].detach(), expected[real].detach(), rtol=0, atol=CLOSE)


def test_texts_are_cut_to_the_longest_that_the_model_was_trained_with(backbone):
    ids, mask = backbone.prepare(TEXTS)
    assert ids.shape == mask.shape == (4, LONGEST)
    assert mask.sum(1).tolist() == [6, LONGEST, 3, 5]
    assert ids[2].tolist() == [2, 9, 3] + [0] * 6


def test_a_very_long_text_is_cut_before_it_is_tokenised(backbone, monkeypatch):
    seen = []
    fake = tokenizer()

    class Watched:
        no_padding, enable_truncation = fake.no_padding, fake.enable_truncation

        def encode_batch_fast(self, texts):
            seen.extend(texts)
            return fake.encode_batch_fast(texts)

    found = text.fast_tokeniser(Watched(), 7)(["card " * 1000])
    assert [len(item) for item in seen] == [700]
    assert [len(ids) for ids in found] == [7]


def test_half_a_surrogate_pair_is_an_unknown_word(backbone):
    assert_array_equal(backbone.encode(["card \ud83d"], [3])[3], backbone.encode(["card ?"], [3])[3])


def test_many_texts_go_through_in_passes_and_keep_their_order(backbone, monkeypatch):
    many = [" ".join(("where", "is", "my", "parcel")[: 1 + i % 4]) for i in range(50)]
    together = backbone.encode(many, [3, 1])
    shapes = []
    stem = backbone.stem
    monkeypatch.setattr(backbone, "stem", lambda batch: shapes.append(tuple(batch[0].shape)) or stem(batch))
    monkeypatch.setitem(text._TOKENS, "cpu", 60)
    dealt = backbone.encode(many, [3, 1])
    for depth in (1, 3):
        assert_allclose(dealt[depth], together[depth], rtol=0, atol=CLOSE)
    assert sum(rows for rows, _ in shapes) == 50
    assert shapes[0] == (15, 4)  # 13 texts of 3 tokens and 2 of 4; one more would make 64 tokens
    assert all(rows * tokens <= 60 for rows, tokens in shapes)


def test_a_text_longer_than_a_pass_goes_alone():
    assert list(text._passes([2, 0, 1], [50, 90, 3], 40)) == [[2], [0], [1]]


@pytest.mark.parametrize(("layers", "depths"), [(6, (6, 5, 4)), (12, (12, 11, 8)), (2, (2, 1)), (1, (1,)), (0, (0,))])
def test_the_last_the_last_but_one_and_two_thirds_up_are_tried(layers, depths):
    assert text._search_depths(layers) == depths


@pytest.mark.parametrize(
    ("pooling", "expected"), [("mean", [2, -3]), ("cls", [1, -2]), ("max", [3, -2]), ("lasttoken", [3, -4])]
)
def test_padding_is_never_pooled(pooling, expected):
    x = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [99.0, 99.0]]])
    assert text.POOLINGS[pooling](x, torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [expected]


def test_padding_does_not_reach_a_real_token(backbone):
    with torch.inference_mode():
        state = backbone.stem(backbone.prepare(TEXTS))
        other = State(state.x + 100 * (1 - state.mask[:, :, None]), state.mask)
        for block in backbone.blocks:
            state, other = block(state), block(other)
    assert_allclose(backbone.pool(other), backbone.pool(state), atol=1e-5)


def test_a_long_text_is_more_work(backbone):
    assert backbone.size("card was charged") > backbone.size("card") > 0


def test_a_gpu_gets_more_texts_at_once(backbone, monkeypatch):
    monkeypatch.setitem(text._BATCH, "meta", 256)
    assert backbone.to("meta").batch_items == 256
    assert {p.device.type for module in backbone.modules() for p in module.parameters()} == {"meta"}


def test_the_fingerprint_changes_with_the_weights_and_the_settings(folder, backbone):
    assert text.load("minilm-l6", folder).fingerprint == backbone.fingerprint
    (folder / "text.json").write_text(json.dumps({"pooling": "cls", "max_length": LONGEST}))
    assert text.load("minilm-l6", folder).fingerprint != backbone.fingerprint
    other = write_model(bert(initializer_range=0.5), folder.parent / "other")
    shutil.copyfile(other / "model.safetensors", folder / "model.safetensors")
    (folder / "text.json").write_text(json.dumps({"pooling": "mean", "max_length": LONGEST}))
    assert text.load("minilm-l6", folder).fingerprint != backbone.fingerprint


def test_the_fingerprint_is_of_what_is_loaded_and_of_nothing_else(folder, backbone):
    (folder / "manifest.json").write_text(manifest.of(entries.find("minilm-l6")).text())
    weights = folder / "model.safetensors"
    weights.write_bytes(save(load(weights.read_bytes()), {"format": "another remark"}))
    assert text.load("minilm-l6", folder).fingerprint == backbone.fingerprint
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert text.load("minilm-l6", folder).fingerprint != backbone.fingerprint


@pytest.mark.parametrize("name", ["config.json", "text.json", "tokenizer.json", "model.safetensors"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=junk)
def test_junk_in_place_of_a_file_is_one_error(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsError, match="they cannot be loaded"):
        text.load("minilm-l6", folder)


@pytest.mark.parametrize("name", ["config.json", "text.json"])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_settings_with_wrong_values_load_or_are_one_error(folder, name, data):
    sound = (folder / name).read_bytes()
    (folder / name).write_bytes(data.draw(like(json.loads(sound))))
    with contextlib.suppress(WeightsError):
        text.load("minilm-l6", folder)
    (folder / name).write_bytes(sound)


def test_a_pooling_that_there_is_none_of_is_damage(folder):
    (folder / "text.json").write_text(json.dumps({"pooling": "sum", "max_length": LONGEST}))
    with pytest.raises(WeightsError, match=re.escape("they cannot be loaded (text.json names the pooling 'sum')")):
        text.load("minilm-l6", folder)


def test_a_prefix_that_is_no_text_is_damage(folder):
    (folder / "text.json").write_text(json.dumps({"pooling": "mean", "max_length": LONGEST, "prefix": 3}))
    with pytest.raises(WeightsError, match=re.escape("they cannot be loaded (text.json names the prefix 3)")):
        text.load("minilm-l6", folder)


def cut_header(folder):
    file = folder / "model.safetensors"
    file.write_bytes(b"\xff" * 8 + file.read_bytes()[8:])


def drop_a_tensor(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))


def widen(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 25}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_header, "header"),
        (drop_a_tensor, "encoder.layer.3"),
        (widen, "size mismatch"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json: "),
        (lambda folder: (folder / "config.json").write_text("{"), "Expecting"),
        (lambda folder: (folder / "text.json").unlink(), "No such file"),
    ],
)
def test_damaged_files_say_how_to_get_them_again(folder, damage, reason):
    damage(folder)
    first = re.escape(f"weights of 'minilm-l6' in {folder} must be as they were fetched, but they cannot be loaded (")
    last = re.escape("). Run `handful models repair minilm-l6`.")
    with pytest.raises(WeightsError, match=rf"(?is)^{first}.*{re.escape(reason)}.*{last}$"):
        text.load("minilm-l6", folder)


def test_a_wheel_with_other_contents_is_not_converted(members, tmp_path):
    (tmp_path / "broken").write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="they cannot be loaded"):
        text.convert("minilm-l6", members | {"model.safetensors": tmp_path / "broken"}, tmp_path)


def test_loading_needs_no_transformers(folder):
    code = (
        "import sys, pathlib; from handful.backbones import text; "
        f"text.load('minilm-l6', pathlib.Path({str(folder)!r})).encode(['card'], [3]); "
        "slow = {'transformers', 'sympy', 'sklearn', 'scipy'} & set(sys.modules); sys.exit(str(slow) if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.integration
def test_minilm_equals_the_mean_that_transformers_computes():
    import transformers

    folder = weights.weights_folder("minilm-l6")
    original = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    texts = ["Card was charged twice.", "Where is my parcel? " * 80, "¿Dónde está? 日本 🙂", "a"]
    backbone = catalog.load("minilm-l6", "text")
    found = backbone.encode(texts, backbone.search_depths)
    ids, mask = backbone.prepare(texts)
    assert ids.shape[1] == 256
    with torch.inference_mode():
        states = original(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    for depth in (6, 5, 4):
        expected = (states[depth] * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        assert_allclose(found[depth], expected, atol=1e-5)
    assert np.linalg.norm(found[6], axis=1).min() > 0
    assert abs(backbone.parameters() - entries.find("minilm-l6").parameters) < 384 * 384 + 400  # all but the pooler
