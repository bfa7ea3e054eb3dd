"""Anatomy: where families of causal language models of transformers keep their parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Anatomy:
    """The names of the parts of a model, as paths inside it."""

    like: str
    """Models that are built so."""
    embedding: str
    """The vectors of tokens."""
    layers: str
    """The decoder layers, one after the other."""
    norm: str
    """What stands between the last layer and the head."""
    head: str = "lm_head"
    """What scores the next token."""
    rotary: str = ""
    """What turns places into angles for every layer; empty where places have vectors of their own."""
    positions: str = ""
    """The vectors of places, added to those of tokens; empty where places are angles."""
    past: str = "past_key_values"
    """What a layer calls the keys and values of earlier tokens."""

    @property
    def parts(self) -> Iterator[tuple[str, str]]:
        """Field and path of every part that there is."""
        every = ("embedding", "layers", "norm", "head", "rotary", "positions")
        return ((name, path) for name in every if (path := str(getattr(self, name))))

    def missing(self, model: nn.Module) -> str | None:
        """The first path that a model does not have."""
        return next((path for _, path in self.parts if part(model, path) is None), None)


FAMILIES = (
    Anatomy(
        "Llama, SmolLM, Qwen, Mistral, Gemma", "model.embed_tokens", "model.layers", "model.norm",
        rotary="model.rotary_emb",
    ),
    Anatomy("Phi", "model.embed_tokens", "model.layers", "model.final_layernorm", rotary="model.rotary_emb"),
    Anatomy(
        "Pythia, GPT-NeoX", "gpt_neox.embed_in", "gpt_neox.layers", "gpt_neox.final_layer_norm",
        rotary="gpt_neox.rotary_emb", past="layer_past",
    ),
    Anatomy("GPT-2", "transformer.wte", "transformer.h", "transformer.ln_f", positions="transformer.wpe"),
    Anatomy(
        "OPT", "model.decoder.embed_tokens", "model.decoder.layers", "model.decoder.final_layer_norm",
        positions="model.decoder.embed_positions",
    ),
)  # fmt: skip
"""Every family that can be cut into blocks."""


def part(model: nn.Module, path: str) -> Any:
    """What lies at a path inside a model, or None."""
    found: Any = model
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def anatomy_of(model: nn.Module) -> Anatomy | None:
    """The family that a model is built like, or None."""
    return next((family for family in FAMILIES if family.missing(model) is None), None)
