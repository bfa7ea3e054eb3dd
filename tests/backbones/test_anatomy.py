"""Every family of causal models: cut into blocks it scores, decodes, learns and is written as the whole model is."""

import re

import pytest
import torch
import transformers

from handful.backbones.anatomy import FAMILIES, anatomy_of
from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone, Sampling
from handful.backbones.language_folders import load_pretrained, write_pretrained
from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message
from handful.errors import WeightsError
from handful.training.apply_delta import arrays_of, installed
from handful.training.tokens import TokenBody
from handful.training.tuners import tuner

WORDS = dict(vocab_size=105, bos_token_id=0, eos_token_id=0, pad_token_id=0)
SIZE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=64)
GATED = dict(intermediate_size=32, num_key_value_heads=1)
KINDS = {
    "qwen3": transformers.Qwen3Config(**WORDS, **SIZE, **GATED, head_dim=8),
    "gemma": transformers.GemmaConfig(**WORDS, **SIZE, **GATED, head_dim=8),
    "gemma3": transformers.Gemma3TextConfig(**WORDS, **SIZE, **GATED, head_dim=8, sliding_window=64),
    "olmo2": transformers.Olmo2Config(**WORDS, **SIZE, **GATED),
    "phi": transformers.PhiConfig(**WORDS, **SIZE, intermediate_size=32),
    "phi3": transformers.Phi3Config(**WORDS, **SIZE, **GATED),
    "gpt_neox": transformers.GPTNeoXConfig(**WORDS, **SIZE, intermediate_size=32),
    "gpt2": transformers.GPT2Config(**WORDS, n_embd=16, n_layer=2, n_head=2, n_positions=64),
    "opt": transformers.OPTConfig(**WORDS, **SIZE, word_embed_proj_dim=16, ffn_dim=32),
}


def written(config, place):
    """A model with weights that are not tiny, in a folder, with the tokeniser of the toy."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # or the draws hang on which tests ran before
        model = transformers.AutoModelForCausalLM.from_config(config)
    rng = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.data += 0.2 * torch.randn(weight.shape, generator=rng)
    model.save_pretrained(place)
    ToyLanguage().chat.tokenizer.save_pretrained(place)
    return place


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    return written(KINDS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def backbone(folder) -> LanguageBackbone:
    return load_pretrained(str(folder))


def asked(text: str) -> Conversation:
    return Conversation((Message("user", text),), "yes")


def test_it_answers_as_plain_transformers_does(folder, backbone):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    prompts = [backbone.chat.question(asked(text).prompt, 40) for text in ("hi", "a longer one")]
    found = answers(backbone, prompts, Sampling(most=8))  # side by side, the shorter one padded
    for prompt, text in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt.ids])
        said = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        new = said[0, len(prompt.ids) :].tolist()
        end = next((i for i, token in enumerate(new) if token in backbone.chat.stops), len(new))
        assert text == backbone.chat.text(new[:end]).strip()


@pytest.mark.parametrize("name", ["lora", "ia3", "bias", "blocks"])
def test_what_moved_is_written_into_plain_weights(backbone, name, tmp_path):
    body = TokenBody(backbone, 0)
    tuner(name).prepare(body)
    rng = torch.Generator().manual_seed(1)
    for weight in body.blocks.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn(weight.shape, generator=rng)
    tuned = installed(backbone, name, 0, arrays_of(tuner(name).delta(body)))
    write_pretrained(tuned, tmp_path)
    tokens = [backbone.chat.tokens(asked("hi"), backbone.context)]
    (before, _), (after, _) = backbone.losses(tokens), tuned.losses(tokens)
    assert abs(after - before) > 1e-3
    assert load_pretrained(str(tmp_path)).losses(tokens)[0] == pytest.approx(after, rel=1e-4)


def test_every_family_has_a_model_here(tmp_path):
    found = set()
    for config in KINDS.values():
        with torch.device("meta"):
            found.add(anatomy_of(transformers.AutoModelForCausalLM.from_config(config)))
    assert found == set(FAMILIES)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            transformers.BloomConfig(**WORDS, hidden_size=16, n_layer=1, n_head=2),
            "must be a causal model built like one of these: Llama, SmolLM, Qwen, Mistral, Gemma, Phi, Pythia, "
            "GPT-NeoX, GPT-2, OPT; got a bloom without model.embed_tokens. Choose another, for example smollm2-135m.",
        ),
        (
            transformers.GraniteConfig(**WORDS, **SIZE, **GATED, embedding_multiplier=3.0),
            "must give the same scores cut into blocks as in one piece, got ",
        ),
    ],
)
def test_a_kind_of_model_that_cannot_be_cut_is_named(tmp_path, config, why):
    with pytest.raises(WeightsError, match=re.escape(why)):
        load_pretrained(str(written(config, tmp_path)))
