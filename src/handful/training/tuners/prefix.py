"""Prefixes and prompts: a few learned tokens that a transformer sees before the real ones, per block or once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from handful.backbones.base import Backbone, Remembers, State
from handful.training.body import Body
from handful.training.loop import Group
from handful.training.tuners.base import Delta, Tuner, copied, groups_of, put, weighted_mean
from handful.training.tuners.peft_tuners import needs_tokens


class Opened(nn.Module, Remembers):
    """A block that sees P more tokens before the real ones and hands all of them on: State → State."""

    def __init__(self, block: nn.Module, tokens: Tensor) -> None:
        """Wrap a block; ``tokens`` is (P, D)."""
        super().__init__()
        self.block, self.tokens = block, nn.Parameter(tokens)

    def before(self, state: State) -> int:
        """How many tokens the block has seen, these among them."""
        return _before(self.block, state)

    def forward(self, state: State) -> State:
        """(B, T, D) → (B, P + T, D), or (B, T, D) where the block remembers these tokens; the mask always grows."""
        mask, x = state.mask, state.x
        if mask is not None:
            mask = torch.cat([mask.new_ones(mask.shape[0], len(self.tokens)), mask], 1)
        if not self.before(state):
            x = torch.cat([self.tokens.expand(x.shape[0], -1, -1), x], 1)  # (B, P + T, D)
        found: State = self.block(replace(state, x=x, mask=mask))
        return found


class Closed(nn.Module, Remembers):
    """A block after which the first P tokens are dropped: State → State."""

    def __init__(self, block: nn.Module, count: int) -> None:
        """Wrap a block; ``count`` is P."""
        super().__init__()
        self.block, self.count = block, count

    def before(self, state: State) -> int:
        """How many tokens the block has seen."""
        return _before(self.block, state)

    def forward(self, state: State) -> State:
        """(B, P + T, D) → (B, T, D), or (B, T, D) as it is where the block remembers these tokens."""
        known = self.before(state)
        found: State = self.block(state)
        mask = None if found.mask is None else found.mask[:, self.count :]
        return replace(found, x=found.x if known else found.x[:, self.count :], mask=mask)


def _before(block: nn.Module, state: State) -> int:
    return block.before(state) if isinstance(block, Remembers) else 0


@dataclass(frozen=True)
class _Learned(Tuner):
    """What tuners share that learn tokens: there is nothing that these could be merged into.

    Not by peft, whose prefix and prompt need a whole model of transformers; ours is made of blocks.
    """

    tokens: int = 8
    """P, how many tokens are learned."""

    @abstractmethod
    def places(self, count: int) -> Sequence[tuple[int, int]]:
        """Of ``count`` blocks, the first and the last one that see the same tokens, for each set of tokens."""

    def prepare(self, body: Body, decay: float = 1.0) -> list[Group]:
        """Insert the first tokens of an item as they enter each block, again and again where it has fewer.

        Where a model begins with tokens that it knows it does what it did, or nearly (Li & Liang 2021); random ones
        undo a language model: of smollm2-135m the loss begins at 10.8 nats per token in place of 1.7.
        """
        seen = body.entering
        start = {}
        for i, _ in self.places(len(body.blocks)):
            at = torch.arange(self.tokens, device=seen[i].device) % len(seen[i])
            start[f"{i}.tokens"] = seen[i][at].float().cpu()  # (P, D)
        self.load(body, start)
        return groups_of(body, self._chosen(body), decay)

    def delta(self, body: Body) -> dict[str, Tensor]:
        """The tokens."""
        return copied(dict(self._chosen(body)))

    def load(self, body: Body, delta: Delta) -> None:
        """Insert the tokens."""
        for first, last in self.places(len(body.blocks)):
            tokens = delta[f"{first}.tokens"]
            if tokens.dim() != 2:
                raise RuntimeError(f"{first}.tokens must have 2 axes, got {tokens.dim()}")
            body.blocks[first] = Opened(body.blocks[first], torch.zeros_like(tokens, device=body.device))
            body.blocks[last] = Closed(body.blocks[last], len(tokens))
        put(self._chosen(body), delta)

    def combine(self, deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
        """The mean of the tokens, an approximation."""
        return weighted_mean(deltas, weights)

    def faded(self, body: Body, delta: Delta, share: float) -> dict[str, Tensor]:
        """Tokens made smaller: without any, attention would be what it was; an approximation."""
        return {name: tensor * share for name, tensor in delta.items()}

    def refusal(self, backbone: Backbone) -> str | None:
        """It needs blocks that take any number of tokens."""
        return super().refusal(backbone) or needs_tokens(f"a {self.name}", backbone)

    def _chosen(self, body: Body) -> Iterator[tuple[str, nn.Parameter]]:
        for i, block in enumerate(body.blocks):
            inner = block.block if isinstance(block, Closed) else block
            if isinstance(inner, Opened):
                yield f"{i}.tokens", inner.tokens


@dataclass(frozen=True)
class Prefix(_Learned):
    """Tokens of its own for every block: P-Tuning v2 (Liu et al. 2022) in the form of VPT-deep (Jia et al. 2022)."""

    name: ClassVar[str] = "prefix"

    def places(self, count: int) -> Sequence[tuple[int, int]]:
        """Every block forgets what it was shown."""
        return [(i, i) for i in range(count)]


@dataclass(frozen=True)
class Prompt(_Learned):
    """Tokens before the first block that moves, seen by all above it: prompt tuning (Lester et al. 2021)."""

    name: ClassVar[str] = "prompt"

    def places(self, count: int) -> Sequence[tuple[int, int]]:
        """They go from the first block to the last."""
        return [(0, count - 1)]
