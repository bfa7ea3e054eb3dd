"""Prefixes: a few learned tokens that every block of a transformer sees before the real ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from handful.backbones.base import Backbone, Remembers, State
from handful.training.body import Body
from handful.training.loop import Group
from handful.training.tuners.base import Delta, Tuner, copied, groups_of, put, weighted_mean
from handful.training.tuners.inserted import needs_tokens


class Prefixed(nn.Module):
    """A block that sees P more tokens, its own ones, and forgets them afterwards: State → State."""

    def __init__(self, block: nn.Module, tokens: Tensor) -> None:
        """Wrap a block; ``tokens`` is (P, D)."""
        super().__init__()
        self.block, self.tokens = block, nn.Parameter(tokens)

    def forward(self, state: State) -> State:
        """(B, T, D) → (B, T, D)."""
        count = len(self.tokens)
        mask = state.mask
        longer = None if mask is None else torch.cat([mask.new_ones(len(mask), count), mask], 1)
        if isinstance(self.block, Remembers) and self.block.before(state):  # it has seen these tokens already
            seen: State = self.block(replace(state, mask=longer))
            return replace(seen, mask=mask)
        x = torch.cat([self.tokens.expand(len(state.x), -1, -1), state.x], 1)  # (B, P + T, D)
        return replace(state, x=self.block(replace(state, x=x, mask=longer)).x[:, count:])


@dataclass(frozen=True)
class Prefix(Tuner):
    """Tokens learned for every block: P-Tuning v2 (Liu et al. 2022) in the form of VPT-deep (Jia et al. 2022).

    Not by peft, whose prefix needs a model of transformers with a cache of keys and values; ours is made of blocks.
    """

    name: ClassVar[str] = "prefix"

    tokens: int = 8
    """P, how many tokens each block sees."""

    def prepare(self, body: Body, decay: float = 1.0) -> list[Group]:
        """Insert small random tokens."""
        rng = torch.Generator().manual_seed(0)
        start = {f"{i}.tokens": torch.randn(self.tokens, w, generator=rng) * 0.02 for i, w in enumerate(body.widths)}
        self.load(body, start)
        return groups_of(body, self._chosen(body), decay)

    def delta(self, body: Body) -> dict[str, Tensor]:
        """The tokens."""
        return copied(dict(self._chosen(body)))

    def load(self, body: Body, delta: Delta) -> None:
        """Insert the tokens; there is nothing that they could be merged into."""
        for i in range(len(body.blocks)):
            if delta[f"{i}.tokens"].dim() != 2:
                raise RuntimeError(f"{i}.tokens must have 2 axes, got {delta[f'{i}.tokens'].dim()}")
            body.blocks[i] = Prefixed(body.blocks[i], torch.zeros_like(delta[f"{i}.tokens"], device=body.device))
        put(self._chosen(body), delta)

    def combine(self, deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
        """The mean of the tokens, an approximation."""
        return weighted_mean(deltas, weights)

    def faded(self, body: Body, delta: Delta, share: float) -> dict[str, Tensor]:
        """Tokens made smaller: without any, attention would be what it was; an approximation."""
        return {name: tensor * share for name, tensor in delta.items()}

    def refusal(self, backbone: Backbone) -> str | None:
        """It needs blocks that take any number of tokens."""
        return super().refusal(backbone) or needs_tokens("a prefix", backbone)

    def _chosen(self, body: Body) -> Iterator[tuple[str, nn.Parameter]]:
        return ((n, w) for n, w in body.blocks.named_parameters() if n.count(".") == 1 and n.endswith(".tokens"))
