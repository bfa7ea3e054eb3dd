"""Small causal language models as a backbone: embeddings, decoder blocks, and the head that reads the next token."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones.anatomy import FAMILIES, Anatomy, anatomy_of, part
from handful.backbones.base import Backbone, Remembers, State
from handful.backbones.chat import Chat, Tokens
from handful.data.conversations import Conversation
from handful.errors import WeightsError

# A pass over more tokens than this, padding counted, is made in several: scores of a whole vocabulary are large.
_TOKENS = {"cpu": 2048, "cuda": 16384}

Tell = Callable[[int, int], None]
"""Told how many rows are done, and how many there are."""


def untold(done: int, total: int) -> None:
    """Tell nobody."""


class Block(nn.Module, Remembers):
    """One decoder layer, State → State.

    Without ``past`` rows are padded on the right, where no real token sees the padding. With ``past``, for decoding,
    rows are padded on the left, ``mask`` is over all tokens so far, and keys and values of the new ones are remembered.
    """

    def __init__(self, layer: nn.Module, index: int, rotary: nn.Module | None, past: str, *kind: str) -> None:
        """Wrap a layer.

        Args:
            layer: what it does.
            index: which one it is, from the bottom.
            rotary: turns places into angles; shared by all layers, without weights; None where places have vectors.
            past: what the layer calls the keys and values of earlier tokens.
            kind: which angles it takes, where there are several.
        """
        super().__init__()
        self.layer, self.index, self._past, self._kind = layer, index, past, kind
        self._rotary = (rotary,)  # in a tuple: it is no part of this block

    def before(self, state: State) -> int:
        """How many tokens this block remembers."""
        return 0 if state.past is None else int(state.past.get_seq_length(self.index))

    def forward(self, state: State) -> State:
        """(B, T, D) → (B, T, D)."""
        x, before = state.x, self.before(state)
        count, mask = x.shape[1], None
        if state.past is None:
            at = torch.arange(count, device=x.device)[None]  # (1, T)
        else:
            assert state.mask is not None
            at = _places(state.mask)[:, before:]  # (B, T)
            mask = _visible(state.mask, before, count)
        told: dict[str, Any] = {"attention_mask": mask, "use_cache": state.past is not None, self._past: state.past}
        if self._rotary[0] is not None:
            told |= {"position_ids": at, "position_embeddings": self._rotary[0](x, at, *self._kind)}
        y = self.layer(x, **told)
        return replace(state, x=y[0] if isinstance(y, tuple) else y)


def _places(mask: Tensor) -> Tensor:
    """Which place each token has among the real ones. (B, T) → (B, T)."""
    return (mask.long().cumsum(1) - 1).clamp(min=0)


def _visible(mask: Tensor, before: int, count: int) -> Tensor:
    """Which tokens each of the last ``count`` ones may look at: real ones up to itself. (B, S) → (B, 1, T, S)."""
    key = torch.arange(before + count, device=mask.device)
    query = key[before:, None]  # (T, 1)
    # A padded token sees itself, since a softmax over nothing is no number.
    return (((key <= query) & mask[:, None].bool()) | (key == query))[:, None]


class LanguageBackbone(Backbone):
    """A causal language model. An item is a ``Tokens``: a conversation as token ids, and where its answer begins."""

    modality = "language"
    transformer = True
    batch_items = 8

    def __init__(self, name: str, model: Any, chat: Chat, fingerprint: str) -> None:
        """Cut a causal model of transformers, of one of the families in ``anatomy``.

        Args:
            name: in the catalogue, or where it came from.
            model: in evaluation mode.
            chat: writes conversations the way it reads them.
            fingerprint: of weights and template.

        Raises:
            WeightsError: it is of another family.
        """
        self.name, self.chat, self.fingerprint = name, chat, fingerprint
        self.config: Any = model.config
        self.anatomy = _known(name, model)
        parts = {field: part(model, path) for field, path in self.anatomy.parts}
        self.embedding: Any = parts["embedding"]
        self.positions: Any = parts.get("positions")
        rotary = parts.get("rotary")
        several = hasattr(rotary, "layer_types")  # angles of their own for each kind of layer
        self.blocks = tuple(
            Block(layer, i, rotary, self.anatomy.past, *([self.config.layer_types[i]] if several else []))
            for i, layer in enumerate(parts["layers"])
        )
        self.norm: nn.Module = parts["norm"]
        self.head: Any = parts["head"]
        positions: int = self.config.max_position_embeddings
        # A layer that looks back less far than this is asked about no more: blocks here look back to the start.
        window: int = getattr(self.config, "sliding_window", None) or positions
        self.context = min(positions, window, chat.longest)
        count = len(self.blocks)
        self.search_depths = tuple(dict.fromkeys((count, count - count // 3)))

    def modules(self) -> Sequence[nn.Module]:
        """Everything that holds weights."""
        places = () if self.positions is None else (self.positions,)
        return (self.embedding, *places, *self.blocks, self.norm, self.head)

    def size(self, item: Tokens) -> int:
        """The number of tokens."""
        return len(item.ids)

    def prepare(self, items: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) and the mask (B, T), padded on the right."""
        longest = max(len(item.ids) for item in items)
        ids = np.zeros((len(items), longest), np.int64)
        mask = np.zeros((len(items), longest), np.float32)
        for row, item in enumerate(items):
            ids[row, : len(item.ids)], mask[row, : len(item.ids)] = item.ids, 1
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def stem(self, batch: tuple[Tensor, Tensor]) -> State:
        """Look the embeddings up."""
        ids, mask = (tensor.to(self.device, non_blocking=True) for tensor in batch)
        return State(self.embed(ids, mask), mask)

    def embed(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The vectors of the last T tokens, with those of their places where the model has such: (B, T) → (B, T, D).

        Args:
            ids: (B, T) tokens.
            mask: (B, S) of all tokens so far, these among them.
        """
        x: Tensor = self.embedding(ids)
        if self.positions is None:
            return x
        at = _places(mask)[:, -ids.shape[1] :] + getattr(self.positions, "offset", 0)  # OPT begins at 2
        return x + functional.embedding(at, self.positions.weight)

    def pool(self, state: State) -> Tensor:
        """The mean over tokens, (B, D)."""
        assert state.mask is not None
        return (state.x * state.mask[:, :, None]).sum(1) / state.mask.sum(1, keepdim=True).clamp(min=1)

    def scores(self, x: Tensor) -> Tensor:
        """Scores of the next token after the last block, (…, D) → (…, V)."""
        found: Tensor = self.head(self.norm(x))
        return found

    @torch.inference_mode()
    def losses(self, rows: Sequence[Tokens], tell: Tell = untold) -> tuple[np.ndarray, np.ndarray]:
        """How surprising the answers are.

        Args:
            rows: N conversations.
            tell: told how many of them are read, and how many there are.

        Returns:
            (N,) minus the log likelihood of each answer in nats, and (N,) how many tokens it has.
        """
        total, count, read = np.zeros(len(rows)), np.array([row.asked for row in rows]), 0
        tell(0, len(rows))
        for at in self._passes(rows):
            some = [rows[i] for i in at]
            state = self.run(self.prepare(some), len(self.blocks))
            for i, row, x in zip(at, some, state.x, strict=True):
                scores = self.scores(x[row.start - 1 : len(row.ids) - 1]).float()  # (M, V): each reads the next token
                target = torch.tensor(row.ids[row.start :], device=scores.device)
                total[i] = float(functional.cross_entropy(scores, target, reduction="sum"))
            read += len(at)
            tell(read, len(rows))
        return total, count

    def room(self, rows: Sequence[Conversation]) -> int:
        """How many tokens answers to questions like these may get: half as many again as the longest of the rows."""
        longest = max(self.chat.tokens(row, self.context).asked for row in rows)
        return min(self.context // 2, math.ceil(1.5 * longest) + 8)

    def sampling(self, rows: Sequence[Conversation], seed: int = 0) -> Sampling:
        """How questions like these are answered: as long, and as little repeated, as the answers of the rows allow.

        Args:
            rows: with their answers.
            seed: fixes what is drawn.
        """
        told = [self.chat.tokens(row, self.context) for row in rows]
        longest = max(longest_repeated(row.ids[row.start :]) for row in told)
        return Sampling(self.room(rows), seed=seed, unrepeated=unrepeated(longest))

    def _passes(self, rows: Sequence[Tokens]) -> Iterator[list[int]]:
        """Rows of like length together, so that little is padded."""
        limit = _TOKENS.get(self.device.type, _TOKENS["cpu"])
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
        some: list[int] = []
        for i in order:
            if some and (len(some) + 1) * len(rows[i].ids) > limit:
                yield some
                some = []
            some.append(i)
        if some:
            yield some


def _known(name: str, model: Any) -> Anatomy:
    found = anatomy_of(model)
    if found is None:
        like = ", ".join(family.like for family in FAMILIES)
        raise WeightsError(
            f"backbone {name!r} must be a causal model built like one of these: {like}; got a "
            f"{model.config.model_type} without {FAMILIES[0].missing(model)}. Choose another, for example smollm2-135m."
        )
    return found


FEWEST_UNREPEATED, SLACK = 4, 2
"""A run of so many tokens may be said twice, and one so many times as long as any that answers of the rows say twice.

``benchmarks/repeated_runs.py`` counts how many right answers that would change.
"""


def unrepeated(longest: int, fewest: int = FEWEST_UNREPEATED, slack: float = SLACK) -> int:
    """How long a run must be not to be said twice.

    Args:
        longest: the longest run that an answer of the rows says twice.
        fewest: tokens in any case.
        slack: how many times as long as ``longest`` may be said twice.
    """
    return max(fewest, int(slack * longest)) + 1


def longest_repeated(ids: Sequence[int]) -> int:
    """How long the longest run of tokens is that stands twice in an answer; the two may overlap."""
    low, high = 0, len(ids)
    while low < high:  # where a run of n stands twice, so does one of n - 1
        n = (low + high + 1) // 2
        runs = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
        low, high = (n, high) if len(set(runs)) < len(runs) else (low, n - 1)
    return low


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    most: int = 256
    """The most tokens an answer gets."""
    temperature: float = 0.0
    """0 takes the most likely token; above, tokens are drawn, the flatter the higher."""
    seed: int = 0
    """Fixes the draws."""
    unrepeated: int = 0
    """No run of so many tokens is said twice in an answer (n-gram blocking, Paulus et al. 2017); 0: it may be."""
