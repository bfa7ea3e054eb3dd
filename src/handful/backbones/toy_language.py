"""A toy language backbone: a real decoder with two tiny random layers that reads one letter per token."""

from __future__ import annotations

import string

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from handful.backbones.base import weights_fingerprint
from handful.backbones.chat import Chat
from handful.backbones.language import LanguageBackbone

_SPECIAL = ("<end>", "<system>", "<user>", "<assistant>", "<unknown>")

_TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

_WIDTH = 32


class ToyLanguage(LanguageBackbone):
    """Two layers, 32 numbers, one token per printable ASCII letter; 256 tokens of context."""

    def __init__(self, template: str | None = _TEMPLATE) -> None:
        """Make one; without a template the plain one is used."""
        import transformers

        config = transformers.LlamaConfig(
            vocab_size=len(_SPECIAL) + len(string.printable), hidden_size=_WIDTH, intermediate_size=2 * _WIDTH,
            num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=256,
            tie_word_embeddings=True,
        )  # fmt: skip
        with torch.random.fork_rng(devices=[]):  # what is drawn here is replaced, and the dice given back
            model = transformers.LlamaForCausalLM(config).eval()
        model.requires_grad_(False)
        rng = torch.Generator().manual_seed(0)
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=rng))
        fingerprint = weights_fingerprint((model,), "toy-language", template)
        super().__init__("toy-language", model, Chat(_tokenizer(template)), fingerprint)


def _tokenizer(template: str | None) -> object:
    import transformers

    letters = {letter: i for i, letter in enumerate((*_SPECIAL, *string.printable))}
    made = Tokenizer(models.WordLevel(letters, unk_token="<unknown>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    made.decoder = decoders.Fuse()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<end>", unk_token="<unknown>", chat_template=template,
        additional_special_tokens=["<system>", "<user>", "<assistant>"], model_max_length=256,
    )  # fmt: skip
