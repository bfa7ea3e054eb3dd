"""The contract of a tuner: prepare, delta, load, combine and fade."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from handful.backbones.base import Backbone
from handful.training.body import Body
from handful.training.loop import Group
from handful.training.schedules import layer_decay

Delta = Mapping[str, Tensor]
"""What moved, by name: all that has to be saved or sent."""


class Tuner(ABC):
    """Which weights of a body may move. Subclasses are dataclasses whose fields are the options."""

    name: ClassVar[str]
    """How the tuner is called."""

    @abstractmethod
    def prepare(self, body: Body, decay: float = 1.0) -> list[Group]:
        """Make what may move ready to move.

        Args:
            body: frozen throughout.
            decay: factor on the rate from each block to the one below it.

        Returns:
            What moves, with its rates; a classifier of the body always does.
        """

    @abstractmethod
    def delta(self, body: Body) -> dict[str, Tensor]:
        """What moved, copied to the CPU."""

    @abstractmethod
    def load(self, body: Body, delta: Delta) -> None:
        """Put what moved into an untouched body, merged into its weights where that can be done."""

    @abstractmethod
    def combine(self, deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
        """The delta whose effect is the weighted mean of the effects of several (soups, federated rounds)."""

    @abstractmethod
    def faded(self, body: Body, delta: Delta, share: float) -> dict[str, Tensor]:
        """The delta with only a share of its effect (WiSE-FT, Wortsman et al. 2022).

        Args:
            body: untouched, where the effect starts.
            delta: what moved.
            share: 0 for nothing, 1 for all.
        """

    def refusal(self, backbone: Backbone) -> str | None:
        """Why the backbone cannot be tuned so, or None where it can."""
        return None if backbone.blocks else f"{backbone.name} has no blocks that could move"


def copied(delta: Delta) -> dict[str, Tensor]:
    """Tensors of their own, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in delta.items()}


def put(chosen: Iterable[tuple[str, nn.Parameter]], delta: Delta, some: bool = False) -> None:
    """Exchange weights for what moved.

    Args:
        chosen: name and weight.
        delta: new values of the same names and shapes.
        some: whether weights may be left as they are.

    Raises:
        KeyError: a name is on one side only.
        RuntimeError: a weight has another shape.
    """
    weights = dict(chosen)
    odd = delta.keys() - weights.keys() if some else delta.keys() ^ weights.keys()
    if odd:
        raise KeyError(min(odd))
    for name, tensor in delta.items():
        if tensor.shape != weights[name].shape:  # copy_ would stretch it
            raise RuntimeError(f"{name} must have shape {tuple(weights[name].shape)}, got {tuple(tensor.shape)}")
        weights[name].data.copy_(tensor)


def weighted_mean(deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
    """The mean of tensors of the same names; right wherever the effect is linear in them."""
    total = sum(weights)
    return {
        name: sum((d[name] * (w / total) for d, w in zip(deltas, weights, strict=True)), start=0 * deltas[0][name])
        for name in deltas[0]
    }


def groups_of(body: Body, chosen: Iterable[tuple[str, nn.Parameter]], decay: float) -> list[Group]:
    """Let weights move, grouped by block and by whether they decay; a classifier moves ten times as fast.

    Args:
        body: whose weights they are.
        chosen: name within ``body.blocks`` (``2.query.weight``) and weight.
        decay: factor on the rate from each block to the one below it.
    """
    factors = layer_decay(len(body.blocks), decay)
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, weight in chosen:
        weight.requires_grad_(True)
        found.setdefault((factors[int(name.split(".")[0])], weight.dim() > 1), []).append(weight)
    groups = [Group(tuple(some), rate, heavy) for (rate, heavy), some in found.items()]
    if body.classifier is not None:
        groups.append(Group(tuple(body.classifier.parameters()), 10.0, False))
    return groups
