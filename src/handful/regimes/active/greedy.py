"""The best item of a way whose scores only fall: most are not computed anew, since what they were bounds them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from handful.regimes.active.ways import Standing, Way

BLOCK = 128
"""So many scores are computed anew at a time."""

# What rounding may add to a score that only falls, as a part of it.
_SLACK = 1e-5


@dataclass
class Greedy:
    """Asks several questions of one fit, one after the other (the lazy greedy of Minoux 1978)."""

    _bounds: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _taken: frozenset[int] = frozenset()

    def best(self, way: Way, now: Standing, closed: NDArray[np.bool_]) -> int:
        """The place of the item to ask: of the open ones that with the highest score, of equal ones the first.

        Args:
            way: how it is decided.
            now: what is known; of all calls the fit is the same.
            closed: (N,) items that are not asked.
        """
        candidates, taken = now.pool.candidates, frozenset(now.taken.tolist())
        if not self._taken <= taken:  # something was put back: scores may have risen
            self._bounds.clear()
        self._taken = taken
        if not way.falls or way.name not in self._bounds or closed[candidates].all():
            scores = way.scores(now)  # (N,)
            self._bounds[way.name] = scores[candidates]
            return int(np.where(closed, -np.inf, scores).argmax())
        bounds = self._bounds[way.name]  # (M,)
        order = np.argsort(-bounds, kind="stable")
        order = order[~closed[candidates[order]]]
        most, place = -np.inf, -1
        for start in range(0, len(order), BLOCK):
            some = order[start : start + BLOCK]
            if bounds[some[0]] * (1 + _SLACK) < most:
                break
            bounds[some] = way.scores(replace(now, among=some))[candidates[some]]
            top = float(bounds[some].max())
            first = int(candidates[some[bounds[some] == top]].min())
            if top > most or (top == most and first < place):
                most, place = top, first
        return place
