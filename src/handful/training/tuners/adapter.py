"""Bottleneck adapters: a small network after each block, added to what the block gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from handful.backbones.base import State
from handful.training.body import Body
from handful.training.loop import Group
from handful.training.tuners.base import Delta, Tuner, copied, groups_of, put


class Adapted(nn.Module):
    """A block with a bottleneck after it, State → State: tokens on the last axis, channels of maps on the second."""

    def __init__(self, block: nn.Module, width: int, size: int, rng: torch.Generator) -> None:
        """Wrap a block.

        Args:
            block: what is adapted.
            width: D, the numbers per token or place that it gives.
            size: R, the numbers between the two layers.
            rng: draws the first layer; the second starts at zero, so the block starts as it was.
        """
        super().__init__()
        self.block = block
        down = torch.randn(size, width, generator=rng) / math.sqrt(width)
        self.down, self.down_bias = nn.Parameter(down), nn.Parameter(torch.zeros(size))
        self.up, self.up_bias = nn.Parameter(torch.zeros(width, size)), nn.Parameter(torch.zeros(width))

    def forward(self, state: State) -> State:
        """Run the block, then add what the bottleneck makes of its answer."""
        state = self.block(state)
        maps = state.x.dim() == 4
        x = state.x.movedim(1, -1) if maps else state.x
        added = nn.functional.gelu(x @ self.down.T + self.down_bias) @ self.up.T + self.up_bias
        return replace(state, x=state.x + (added.movedim(-1, 1) if maps else added))


@dataclass(frozen=True)
class Adapter(Tuner):
    """Bottleneck adapters after each block (Houlsby et al. 2019; one per block as in Pfeiffer et al. 2021)."""

    name: ClassVar[str] = "adapter"

    size: int = 16
    """R, the numbers between the two layers."""

    def prepare(self, body: Body, decay: float = 1.0) -> list[Group]:
        """Insert bottlenecks that do nothing yet."""
        self._insert(body, body.widths, self.size, torch.Generator().manual_seed(0))
        return groups_of(body, self._chosen(body), decay)

    def delta(self, body: Body) -> dict[str, Tensor]:
        """The layers of the bottlenecks."""
        return copied(dict(self._chosen(body)))

    def load(self, body: Body, delta: Delta) -> None:
        """Insert the bottlenecks; they cannot be merged, since they bend."""
        sizes = [delta[f"{i}.down"].shape for i in range(len(body.blocks))]
        self._insert(body, [width for _, width in sizes], sizes[0][0], torch.Generator())
        put(self._chosen(body), delta)

    def combine(self, deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
        """Bottlenecks side by side: exact."""
        shares = [weight / sum(weights) for weight in weights]
        found: dict[str, Tensor] = {}
        for name in deltas[0]:
            scaled = [d[name] * w if ".up" in name else d[name] for d, w in zip(deltas, shares, strict=True)]
            found[name] = sum(scaled[1:], scaled[0]) if "up_bias" in name else torch.cat(scaled, int(".up" in name))
        return found

    def faded(self, body: Body, delta: Delta, share: float) -> dict[str, Tensor]:
        """The second layer made smaller."""
        return {name: tensor * share if ".up" in name else tensor for name, tensor in delta.items()}

    def _insert(self, body: Body, widths: Sequence[int], size: int, rng: torch.Generator) -> None:
        device = body.device
        for i, width in enumerate(widths):
            body.blocks[i] = Adapted(body.blocks[i], width, size, rng).to(device)

    def _chosen(self, body: Body) -> Iterator[tuple[str, nn.Parameter]]:
        own = ("down", "down_bias", "up", "up_bias")
        return ((n, w) for n, w in body.blocks.named_parameters() if n.count(".") == 1 and n.split(".")[1] in own)
