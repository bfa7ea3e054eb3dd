"""How the learning rate changes over a run: factors from 0 to 1 by update, and factors by block.

A schedule is a pure function of the number of the update, from 0, and of how many there will be. Every update
has a factor above 0: with so few of them none is spent on standing still.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from handful.errors import OptionError

# (update, total) → factor
Schedule = Callable[[int, int], float]


def _warm_updates(total: int, warm_up: float) -> int:
    """How many updates rise before the first one at full rate."""
    if not 0 <= warm_up <= 1:
        raise OptionError(f"warm-up must be a share of the updates between 0 and 1, got {warm_up}. Try 0.1.")
    return int(warm_up * total)


def _rise_then(update: int, total: int, warm_up: float, fall: Callable[[float], float]) -> float:
    """Rise in equal steps to 1, then follow ``fall``, a function of the share of the rest that is done."""
    warm = _warm_updates(total, warm_up)
    if update < warm:
        return (update + 1) / (warm + 1)
    return fall((update - warm) / max(total - warm, 1))


def constant(update: int, total: int, warm_up: float = 0.0) -> float:
    """Rise for a share of the updates, none unless asked for, then stay at 1.

    Args:
        update: number of the update, from 0.
        total: how many updates the run has.
        warm_up: share of the updates that rise.
    """
    return _rise_then(update, total, warm_up, lambda done: 1.0)


def linear(update: int, total: int, warm_up: float = 0.1) -> float:
    """Rise, then fall in equal steps that would reach 0 one update after the last.

    Args:
        update: number of the update, from 0.
        total: how many updates the run has.
        warm_up: share of the updates that rise.
    """
    return _rise_then(update, total, warm_up, lambda done: 1 - done)


def triangular(update: int, total: int) -> float:
    """Rise for half of the updates and fall for the rest, in equal steps (one triangle of Smith 2017).

    The first updates of Adam move every weight as far as the rate allows, whatever its gradient is worth; of few
    updates, more than one has to be a small one.

    Args:
        update: number of the update, from 0.
        total: how many updates the run has.
    """
    return linear(update, total, 0.5)


def cosine(update: int, total: int, warm_up: float = 0.1) -> float:
    """Rise, then fall along half a cosine (Loshchilov & Hutter 2017) that would reach 0 one update after the last.

    Args:
        update: number of the update, from 0.
        total: how many updates the run has.
        warm_up: share of the updates that rise.
    """
    return _rise_then(update, total, warm_up, lambda done: (1 + math.cos(math.pi * done)) / 2)


def slanted_triangular(update: int, total: int, warm_up: float = 0.1, ratio: float = 32) -> float:
    """Rise fast and fall slowly, never below ``1 / ratio`` (Howard & Ruder 2018, equation 3).

    The paper divides the fall by ``cut (1 / cut_frac - 1)``, which is 0 in runs of less than ten updates; this by
    the updates that are left, which is the same in long ones.

    Args:
        update: number of the update, from 0.
        total: how many updates the run has.
        warm_up: share of the updates that rise, the paper's ``cut_frac``.
        ratio: how many times the lowest rate the highest is, at least 1.
    """
    cut = _warm_updates(total, warm_up)
    height = update / cut if update < cut else 1 - (update - cut) / max(total - cut, 1)
    return (1 + height * (ratio - 1)) / ratio


def one_cycle(update: int, total: int, start: float = 0.1, tail: float = 0.1, last: float = 0.001) -> float:
    """Rise and fall back in equal time, then sink far below in the last few updates (Smith 2018).

    Args:
        update: number of the update, from 0.
        total: how many updates the run has.
        start: factor of the first update, and of the one where the tail begins.
        tail: share of the run after the cycle.
        last: factor of the last update.
    """
    # A run of one update is its peak: there is no time to rise.
    done = update / (total - 1) if total > 1 else (1 - tail) / 2
    return float(np.interp(done, [0, (1 - tail) / 2, 1 - tail, 1], [start, 1, start, last]))


SCHEDULES: Mapping[str, Schedule] = {
    "constant": constant,
    "linear": linear,
    "triangular": triangular,
    "cosine": cosine,
    "slanted_triangular": slanted_triangular,
    "one_cycle": one_cycle,
}


def layer_decay(blocks: int, decay: float) -> tuple[float, ...]:
    """Rate factors of the blocks, bottom to top: the top moves at full rate, each below at ``decay`` of the next.

    Lower blocks hold what is true of all data (Howard & Ruder 2018, section 3.2, who use 1 / 2.6).

    Args:
        blocks: how many blocks the backbone has.
        decay: from 0 (only the top moves) to 1 (all alike).
    """
    return tuple(decay ** (blocks - 1 - block) for block in range(blocks))
