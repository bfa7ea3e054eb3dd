"""Tuners that move weights the backbone has: none of them, its biases and norms, or whole blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from handful.backbones.base import Backbone
from handful.training.body import Body
from handful.training.loop import Group
from handful.training.tuners.base import Delta, Tuner, copied, groups_of, put, weighted_mean


@dataclass(frozen=True)
class _InPlace(Tuner):
    """What moved are weights under their own names; the effect of their mean is close to the mean of the effects."""

    def chosen(self, body: Body) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights that may move, by name."""
        raise NotImplementedError

    def prepare(self, body: Body, decay: float = 1.0) -> list[Group]:
        """As in the contract."""
        return groups_of(body, self.chosen(body), decay)

    def delta(self, body: Body) -> dict[str, Tensor]:
        """The moved weights as they are now."""
        return copied(dict(self.chosen(body)))

    def load(self, body: Body, delta: Delta) -> None:
        """Exchange the weights that moved."""
        put(body.blocks.named_parameters(), delta, some=True)

    def combine(self, deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
        """The mean of the weights (model soups, Wortsman et al. 2022)."""
        return weighted_mean(deltas, weights)

    def faded(self, body: Body, delta: Delta, share: float) -> dict[str, Tensor]:
        """Weights on the way from where they started."""
        return weighted_mean([copied(dict(self.chosen(body))), delta], [1 - share, share])


@dataclass(frozen=True)
class HeadOnly(_InPlace):
    """No block moves: only a classifier does."""

    name: ClassVar[str] = "head"

    def chosen(self, body: Body) -> Iterator[tuple[str, nn.Parameter]]:
        """Nothing."""
        return iter(())


@dataclass(frozen=True)
class Bias(_InPlace):
    """Biases, and the factors of norms (BitFit, Ben Zaken et al. 2022)."""

    name: ClassVar[str] = "bias"

    def chosen(self, body: Body) -> Iterator[tuple[str, nn.Parameter]]:
        """Every weight that is a vector."""
        return ((name, weight) for name, weight in body.blocks.named_parameters() if weight.dim() == 1)

    def refusal(self, backbone: Backbone) -> str | None:
        """There must be some."""
        vectors = any(weight.dim() == 1 for block in backbone.blocks for weight in block.parameters())
        return super().refusal(backbone) or (None if vectors else f"{backbone.name} has no biases and norms")


@dataclass(frozen=True)
class Blocks(_InPlace):
    """All weights of the blocks of the body: a part of the backbone, or all of it."""

    name: ClassVar[str] = "blocks"

    top: int | None = None
    """How many blocks of the body move, from the top; all by default."""

    def chosen(self, body: Body) -> Iterator[tuple[str, nn.Parameter]]:
        """Every weight of these blocks."""
        first = 0 if self.top is None else len(body.blocks) - self.top
        return ((name, w) for name, w in body.blocks.named_parameters() if int(name.split(".")[0]) >= first)
