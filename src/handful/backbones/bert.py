"""A BERT encoder in plain torch, cut into stem and blocks; importing transformers costs seconds, this does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones.attention import Padding, attend, split
from handful.backbones.base import State

# Our names of the parts of a layer → the names in a checkpoint of the original layout (Devlin et al. 2019).
_LAYER_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}
_STEM_NAMES = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}


class BertStem(nn.Module):
    """Word, position and segment vectors, added and normalised."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.words = _table(config["vocab_size"], width)
        self.positions = _table(config["max_position_embeddings"], width)
        self.types = _table(config["type_vocab_size"], width)
        self.norm = nn.LayerNorm(width, eps=config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, ids: Tensor, mask: Tensor) -> State:
        """Word ids (B, T) and which of them are real (B, T) → activations (B, T, D)."""
        x = self.words(ids) + self.positions.weight[: ids.shape[1]] + self.types.weight[0]
        return State(self.dropout(self.norm(x)), mask)


class BertBlock(nn.Module):
    """One encoder layer, State → State: attention over the real tokens, then two dense layers."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, inner, eps = config["hidden_size"], config["intermediate_size"], config["layer_norm_eps"]
        self.heads = config["num_attention_heads"]
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.attended = nn.Linear(width, width)
        self.attended_norm = nn.LayerNorm(width, eps=eps)
        self.wide = nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.attention_dropout = config["attention_probs_dropout_prob"]

    def forward(self, state: State) -> State:
        """Run the layer; padding is looked at by nobody, and the dense layers do not even see it."""
        x, padding = state.x, Padding.of(state)  # (B, T, D)
        rows = padding.without(x)  # (M, D) of the M real tokens
        q, k, v = (split(padding.put_back(part(rows)), self.heads) for part in (self.query, self.key, self.value))
        mixed = attend(q, k, v, padding.visible, self.attention_dropout if self.training else 0.0)
        mixed = padding.without(mixed.transpose(1, 2).flatten(2))  # (M, D)
        rows = self.attended_norm(rows + self.dropout(self.attended(mixed)))
        y = self.narrow(functional.gelu(self.wide(rows)))
        return replace(state, x=padding.put_back(self.norm(rows + self.dropout(y))))


def _table(rows: int, width: int) -> nn.Embedding:
    """An empty embedding; ``nn.Embedding`` draws first values, which on meta tensors imports torch's compiler, 2 s."""
    table: nn.Embedding = nn.Embedding.from_pretrained(torch.empty(rows, width), freeze=False)  # type: ignore[no-untyped-call]
    return table


def build(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[BertStem, list[BertBlock]]:
    """Build a BERT encoder around the tensors of a checkpoint, without copying them.

    Args:
        config: the checkpoint's ``config.json``.
        tensors: the checkpoint's tensors under their original names; others than the encoder's are ignored.

    Returns:
        The stem, and the blocks bottom to top, ready to encode (not to train).

    Raises:
        KeyError: the config or the tensors lack something.
        RuntimeError: a tensor has a shape that the config does not say.
    """
    with torch.device("meta"):
        stem = BertStem(config)
    _fill(stem, _STEM_NAMES, "", tensors)
    blocks = []
    for i in range(config["num_hidden_layers"]):  # one after the other: the first that is missing ends a wrong number
        with torch.device("meta"):
            blocks.append(BertBlock(config))
        _fill(blocks[-1], _LAYER_NAMES, f"encoder.layer.{i}.", tensors)
    for module in (stem, *blocks):
        module.eval()
    return stem, blocks


def _fill(module: nn.Module, names: Mapping[str, str], prefix: str, tensors: Mapping[str, Tensor]) -> None:
    found = {}
    for key in module.state_dict():
        ours, leaf = key.rsplit(".", 1)
        found[key] = tensors[f"{prefix}{names[ours]}.{leaf}"]
    module.load_state_dict(found, assign=True)
