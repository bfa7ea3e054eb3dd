"""A static encoder: one vector per token and their weighted mean, with no transformer; distilled from a text backbone.

Every token of the vocabulary goes through the backbone alone, once (Tulkens & van Dongen 2024, Model2Vec): what it sees
then is the vector of that token for good. The vectors lose their mean and all but their main directions, and frequent
tokens count less (smooth inverse frequency, Arora et al. 2017, with frequency by Zipf's law from the rank).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handful.backbones.graphs import Preparation, recorded, text_inputs
from handful.backbones.text import TextBackbone

WIDTH = 256
"""How many main directions are kept at most."""

# The weight of a token of frequency p is a / (a + p).
_SMOOTH = 1e-3
_TOGETHER = 256


class StaticEncoder(nn.Module):
    """Token ids (B, T) and the mask (B, T) → (B, D): the mean of the vectors of all tokens but the special ones."""

    def __init__(self, table: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
        """Keep the vectors.

        Args:
            table: (V, D).
            weights: (V,) how much each token counts; 0 for special ones.
        """
        super().__init__()
        self.words = nn.Embedding.from_pretrained(torch.from_numpy(table))  # type: ignore[no-untyped-call]
        self.counts = nn.Embedding.from_pretrained(torch.from_numpy(weights[:, None]))  # type: ignore[no-untyped-call]

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The weighted mean; zeros where a text has no token that counts."""
        share = self.counts(ids) * mask[:, :, None]  # (B, T, 1)
        mean: Tensor = (self.words(ids) * share).sum(1) / share.sum(1).clamp(min=1e-6)
        return mean

    @torch.inference_mode()
    def encode(self, backbone: TextBackbone, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) of N texts, tokenised as the backbone does."""
        parts = [self(*backbone.prepare(texts[at : at + _TOGETHER])) for at in range(0, len(texts), _TOGETHER)]
        return torch.cat(parts).numpy()


def distilled(backbone: TextBackbone, depth: int, tick: Callable[[int, int], None] = lambda done, total: None) -> (
    StaticEncoder
):  # fmt: skip
    """The static encoder of a backbone.

    Args:
        backbone: whose weights moved or not.
        depth: after how many blocks it is read.
        tick: called with the number of tokens seen and in all.
    """
    tokenizer = backbone.tokenise.tokenizer  # type: ignore[attr-defined]
    size, (begin, end) = tokenizer.get_vocab_size(), _ends(tokenizer)
    rows = []
    for at in range(0, size, _TOGETHER):
        own = torch.arange(at, min(at + _TOGETHER, size))
        ids = torch.stack([torch.full_like(own, begin), own, torch.full_like(own, end)], 1)
        rows.append(backbone.encode_batch((ids, torch.ones(ids.shape)), [depth])[depth])
        tick(len(own) + at, size)
    vectors = np.concatenate(rows)
    special = [i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    special += [i for i in (tokenizer.token_to_id(name) for name in _SPECIAL) if i is not None]
    weights = _weights(size)
    weights[special] = 0
    return StaticEncoder(_main_directions(vectors), weights)


_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>")


def _ends(tokenizer: object) -> tuple[int, int]:
    """The tokens around a text that holds nothing."""
    ids = tokenizer.encode("").ids  # type: ignore[attr-defined]
    return int(ids[0]), int(ids[-1])


def _weights(size: int) -> NDArray[np.float32]:
    """Of tokens in the order of their frequency, as vocabularies are."""
    frequency = 1 / np.arange(2, size + 2)
    frequency /= frequency.sum()
    return (_SMOOTH / (_SMOOTH + frequency)).astype(np.float32)


def _main_directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(V, D) → (V, at most ``WIDTH``), without the mean."""
    centred = vectors - vectors.mean(0)
    values, directions = np.linalg.eigh(centred.T @ centred)  # rising
    return np.ascontiguousarray(centred @ directions[:, np.argsort(-values, kind="stable")[:WIDTH]], np.float32)


def static_graph(encoder: StaticEncoder, backbone: TextBackbone) -> tuple[bytes, list[Preparation]]:
    """The bytes of an ONNX file with the output ``features``, and how texts are prepared."""
    inputs, preparation = text_inputs(backbone)
    return recorded(encoder, inputs), [preparation]
