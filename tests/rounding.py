"""Rounding: how far two ways to compute the same numbers may lie apart, on any processor."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def rounding(steps: int, size: float, kind: torch.dtype = torch.float32) -> float:
    """The largest difference that rounding makes between two ways to compute one number.

    Every processor adds up in an order of its own. Roundings are of half a step, and as often down as up: they come to
    no more than six times the square root of their number (Higham and Mary 2019), nor to more than all of them.

    Args:
        steps: how many numbers are added up on the way, one sum after the other.
        size: the largest number on the way, partial sums included.
        kind: the kind of numbers.
    """
    return min(steps, 6 * math.sqrt(steps)) * size * torch.finfo(kind).eps


TOY = rounding(steps=64, size=8.0)
"""The same for features of the toys: two blocks after each other, each a sum over 32 numbers."""


def parted(first: Mapping[str, Tensor], second: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> float:
    """How far two trainings ended from each other, as a share of the way that the first one went.

    A step of Adam is as long as the rate even where a gradient is nothing but rounding: a few single weights go astray,
    and all biases of keys, on which attention does not depend. These are left out.

    Args:
        first: the weights of a training, by name.
        second: those of the other one.
        start: where both began.
    """
    names = [name for name, weight in start.items() if weight.is_floating_point() and "key.bias" not in name]
    apart, way = (torch.cat([(first[n] - to[n]).flatten() for n in names]).norm() for to in (second, start))
    return float(apart / way)
