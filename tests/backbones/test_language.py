"""Language backbones: cut into blocks they score as the whole model does, decode with memory, and fit the context."""

from __future__ import annotations

import contextlib
import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from handful.backbones import catalog, language_folders, memory
from handful.backbones.chat import Chat
from handful.backbones.decoding import Reply, answers, steps
from handful.backbones.language import LanguageBackbone, Sampling
from handful.backbones.language_folders import write_pretrained
from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message
from handful.errors import DataError, MachineError, WeightsError
from handful.training.apply_delta import arrays_of, installed
from handful.training.tokens import TokenBody
from handful.training.tuners import TUNERS
from junk import junk


def row(asked: str, answer: str) -> Conversation:
    return Conversation((Message("user", asked),), answer)


@pytest.fixture(scope="module")
def toy() -> LanguageBackbone:
    return ToyLanguage()


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    write_pretrained(toy, place)
    return place


def test_the_answer_alone_is_scored(toy):
    made = toy.chat.tokens(row("say hi", "hi"), toy.context)
    assert toy.chat.tokenizer.decode(made.ids[: made.start]) == "<user>say hi<end><assistant>"
    assert toy.chat.tokenizer.decode(made.ids[made.start :]) == "hi<end>"
    assert made.asked == 3


def test_losses_are_those_of_the_whole_model(toy, folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    rows = [toy.chat.tokens(row("a" * n, "b" * (n + 1)), toy.context) for n in (1, 7, 3)]
    nats, count = toy.losses(rows)
    for tokens, total, asked in zip(rows, nats, count, strict=True):
        ids = torch.tensor([tokens.ids])
        with torch.no_grad():
            scores = model(input_ids=ids).logits.log_softmax(-1)[0, :-1]
        wanted = -scores[range(len(tokens.ids) - 1), tokens.ids[1:]][tokens.start - 1 :]
        assert asked == len(wanted)
        assert total == pytest.approx(float(wanted.sum()), abs=1e-4)


def test_decoding_with_memory_says_what_decoding_without_it_says(toy):
    asked = [toy.chat.question((Message("user", text),), 100) for text in ("one", "a longer question", "x")]
    sampling = Sampling(most=6, temperature=1.0, seed=3)
    said = list(steps(toy, asked, sampling))
    assert len(said) > 1
    alone = [[int(t[0]) for t in steps(toy, [one], Sampling(most=6)) if t[0] is not None] for one in asked]
    together = list(steps(toy, asked, Sampling(most=6)))
    for i, ids in enumerate(alone):
        assert [step[i] for step in together if step[i] is not None] == ids
        state = list(asked[i].ids)
        for token in ids:  # each time everything is read anew
            scores = toy.scores(toy.run((torch.tensor([state]), torch.ones(1, len(state))), 2).x[:, -1])
            assert int(scores.argmax()) == token
            state.append(token)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", sorted(set(TUNERS) - {"head"}))
def test_what_a_tuner_moved_decodes_with_memory_too(toy, name, first):
    body = TokenBody(toy, first)
    tuner = TUNERS[name]()
    tokens = toy.chat.tokens(row("abc", "d"), toy.context)
    body.measure(toy.run(toy.prepare([tokens]), first))
    tuner.prepare(body)
    rng = torch.Generator().manual_seed(1)
    delta = {k: v + 0.3 * torch.randn(v.shape, generator=rng) for k, v in tuner.delta(body).items()}
    moved = installed(toy, name, first, arrays_of(delta))
    ids = list(toy.chat.question((Message("user", "abc"),), 100).ids)
    said = [int(t[0]) for t in steps(moved, [toy.chat.question((Message("user", "abc"),), 100)], Sampling(most=5))]
    for token in said:
        scores = moved.scores(moved.run((torch.tensor([ids]), torch.ones(1, len(ids))), 2).x[:, -1])
        assert int(scores.argmax()) == token
        ids.append(token)


def test_a_stream_is_the_answer_in_pieces(toy):
    prompt = toy.chat.question((Message("user", "hello"),), 100)
    sampling = Sampling(most=12, temperature=1.5, seed=5)
    assert "".join(Reply(toy, prompt, sampling)).strip() == answers(toy, [prompt], sampling)[0]


def test_a_long_row_loses_the_left_of_its_prompt(toy):
    made = toy.chat.tokens(row("a" * 500 + "z", "b"), 64)
    assert len(made.ids) == 64
    assert made.cut > 400
    assert toy.chat.tokenizer.decode(made.ids[: made.start]).endswith("az<end><assistant>")


def test_a_long_answer_is_cut_and_keeps_some_of_its_prompt(toy):
    made = toy.chat.tokens(row("a" * 50, "b" * 500), 64)
    assert (len(made.ids), made.start) == (64, 16)


def test_a_model_without_a_template_gets_a_plain_one():
    plain = ToyLanguage(template=None)
    assert plain.chat.plain
    text = plain.chat.prompt((Message("system", "Be kind."), Message("user", "Hi")))
    assert text == "Be kind.\n\n### Instruction:\nHi\n\n### Response:\n"
    made = plain.chat.tokens(row("Hi", "Yes"), plain.context)
    assert plain.chat.tokenizer.decode(made.ids[made.start :]) == "Yes<end>"


_REFUSING = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ m['content'] }}<end>{% endfor %}"
)


def test_a_template_that_refuses_a_conversation_says_which_roles():
    refusing = ToyLanguage(_REFUSING)
    with pytest.raises(DataError, match=r"got system, user: System role not supported\. Put what the system says"):
        refusing.chat.prompt((Message("system", "Be kind."), Message("user", "Hi")))


def test_a_plain_template_is_written_with_the_model(tmp_path):
    write_pretrained(ToyLanguage(template=None), tmp_path)
    told = transformers.AutoTokenizer.from_pretrained(tmp_path)
    said = told.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    assert said == ToyLanguage(template=None).chat.prompt((Message("user", "Hi"),))


def test_a_model_that_looks_back_less_far_is_asked_about_no_more(tmp_path, toy):
    config = transformers.MistralConfig(
        vocab_size=105, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=16, max_position_embeddings=64,
    )  # fmt: skip
    transformers.MistralForCausalLM(config).save_pretrained(tmp_path)
    toy.chat.tokenizer.save_pretrained(tmp_path)
    assert catalog.load(str(tmp_path), "language").context == 16


def test_a_folder_is_loaded_and_says_the_same(toy, folder):
    found = catalog.load(str(folder), "language")
    tokens = [toy.chat.tokens(row("say hi", "hi"), toy.context)]
    np.testing.assert_allclose(found.losses(tokens)[0], toy.losses(tokens)[0], rtol=1e-5)


def test_a_folder_that_is_no_language_model_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="must be a folder or hub id of a causal language model"):
        catalog.load(str(tmp_path), "language")


def flip(place):
    """One bit of a weight."""
    content = bytearray((place / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (place / "model.safetensors").write_bytes(content)


def other_heads(place):
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.1, "layer_norm_epsilon": 0.1}))


def other_words(place):
    told = json.loads((place / "tokenizer.json").read_text())
    told["model"]["unk_token"] = "another"
    (place / "tokenizer.json").write_text(json.dumps(told))


@pytest.mark.parametrize("change", [flip, other_heads, other_words])
@pytest.mark.parametrize("load", [language_folders.load_pretrained, lambda place: language_folders.load("x", place)])
def test_the_fingerprint_is_of_the_weights_the_settings_and_the_tokenizer(folder, tmp_path, change, load):
    place = shutil.copytree(folder, tmp_path / "copy")
    before = load(place).fingerprint
    assert load(shutil.copytree(folder, tmp_path / "another copy")).fingerprint == before
    change(place)
    assert load(place).fingerprint != before


def test_a_checkpoint_that_lacks_weights_is_refused(folder, tmp_path):
    place = shutil.copytree(folder, tmp_path / "copy")
    tensors = load_tensors((place / "model.safetensors").read_bytes())
    gone = next(name for name in sorted(tensors) if "layers.1" in name)
    del tensors[gone]
    (place / "model.safetensors").write_bytes(save_tensors(tensors, {"format": "pt"}))
    with pytest.raises(WeightsError, match=f"but it cannot be loaded: a checkpoint without {gone}$"):
        catalog.load(str(place), "language")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=junk)
def test_junk_in_a_folder_loads_or_is_one_error(folder, tmp_path, name, content):
    place = shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (place / name).write_bytes(content)
    with contextlib.suppress(WeightsError):
        language_folders.load_pretrained(str(place))
    with contextlib.suppress(WeightsError):
        language_folders.load("smollm2-135m", place)


def test_only_what_counts_is_kept_of_the_settings_of_a_converted_model(folder, tmp_path):
    """Versions of the library differ in what else they write, and the catalogue knows the files by their content."""
    place = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((place / "config.json").read_text())
    for name in (*language_folders._KEPT["config.json"], "transformers_version", "_name_or_path"):
        config.setdefault(name, None)
    (place / "config.json").write_text(json.dumps(config))
    (place / "chat_template.jinja").write_bytes(b"a\r\nb")
    (place / "tokenizer_config.json").write_text(
        json.dumps(dict.fromkeys(["bos_token", "eos_token", "pad_token", "unk_token", "backend"]))
    )
    language_folders._settle(place)
    assert tuple(json.loads((place / "config.json").read_text())) == language_folders._KEPT["config.json"]
    assert json.loads((place / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "backend" not in (place / "tokenizer_config.json").read_text()
    assert (place / "chat_template.jinja").read_bytes() == b"a\nb"
    assert not (place / "generation_config.json").exists()


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"model\.gguf must hold the weights of smollm2-135m, got something else"):
        language_folders.convert("smollm2-135m", {"model.gguf": tmp_path / "model.gguf"}, tmp_path)


def test_too_little_memory_is_said_before_loading_with_what_would_fit(folder, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1 << 30)
    with pytest.raises(MachineError, match=r"must have about 2\.0 GB of memory to learn, but 1\.0 GB are free"):
        catalog.load(str(folder), "language")


def test_the_end_of_an_answer_is_known(toy):
    assert toy.chat.stops == {toy.chat.tokenizer.eos_token_id}
    assert isinstance(toy.chat, Chat)
