"""What moved, put in its place: a delta as plain arrays and an untouched backbone become the tuned backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.training.body import Body
from handful.training.tuners import Tuner, tuner
from handful.training.tuners.base import Delta

Arrays = dict[str, NDArray[np.float32]]


def arrays_of(delta: Delta) -> Arrays:
    """What moved as NumPy arrays, for a file."""
    return {name: tensor.detach().cpu().float().numpy() for name, tensor in delta.items()}


def tensors_of(arrays: Mapping[str, NDArray[np.float32]]) -> Delta:
    """What ``arrays_of`` was given."""
    return {name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}


def untouched(backbone: Backbone, moves: Tuner, first: int) -> Arrays:
    """What would be saved of a backbone in which nothing has moved yet.

    Args:
        backbone: untouched.
        moves: says which weights may.
        first: how many blocks stay frozen.
    """
    return arrays_of(moves.delta(Body(backbone, first)))


def combined(moves: Tuner, deltas: Sequence[Mapping[str, NDArray[np.float32]]], weights: Sequence[float]) -> Arrays:
    """``Tuner.combine`` of plain arrays."""
    return arrays_of(moves.combine([tensors_of(delta) for delta in deltas], weights))


def installed(backbone: Backbone, name: str, first: int, delta: Mapping[str, NDArray[np.float32]]) -> Backbone:
    """A backbone with what moved in its place; the one it was made from stays as it was.

    Args:
        backbone: untouched.
        name: the tuner that made the delta.
        first: how many blocks stayed frozen.
        delta: what moved.

    Raises:
        OptionError: there is no such tuner.
        IndexError: the backbone has not that many blocks.
        KeyError: the delta has other weights than the blocks.
        RuntimeError: a weight has another shape.
    """
    if not 0 <= first < len(backbone.blocks):
        raise IndexError(f"{first} blocks below what moved, of {len(backbone.blocks)}")
    body = Body(backbone, first)
    tuner(name).load(body, tensors_of(delta))
    return backbone.with_top(list(body.eval().blocks), name, first)
