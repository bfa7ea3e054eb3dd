"""Weights that move together, as the coordinator goes about it: step after step, and whether they ship.

For every fold weights go round by round without its rows, then heads are fitted on sums of what they see, as on frozen
ones. Held-out rows of all sites say whether that is better; only then weights learn from all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.errors import DataError
from handful.evaluation.intervals import Estimate
from handful.regimes.federated import wire
from handful.regimes.federated.averaging import Average, length, recipe_in
from handful.regimes.federated.heads import ridges
from handful.regimes.federated.paired import Paired, check_paired
from handful.regimes.federated.steps import (
    COMPARE,
    END,
    SUM,
    TRAIN,
    TRY,
    Reply,
    Step,
    pack_choices,
    pack_weights,
    unpack_paired,
    unpack_weights,
)  # fmt: skip
from handful.regimes.federated.sums import Floats, Sums, check_sums
from handful.regimes.federated.terms import Terms
from handful.regimes.federated.votes import FACTORS, Choice, Votes, check_votes, chosen
from handful.tasks.classification.softmax import SMALLEST
from handful.training.apply_delta import untouched

# Fewer sites than this average nothing.
_FEWEST = 2
# Lengths are sums of float32 numbers, and losses of such.
_ROUNDING = 1e-3
Steps = Generator[Step, Any, "Moved | None"]


@dataclass(frozen=True)
class Moved:
    """What weights that moved together came to, on rows that were held out."""

    gain: Estimate
    """By how much the loss is lower than that of heads on frozen weights, on the rows of all sites."""
    ships: bool
    """Whether the model reads them."""
    by_fold: tuple[bool, ...]
    """(K,) the same by the rows of all other folds."""
    choice: Choice
    """What was taken for heads on them."""
    votes: Votes
    """What held-out rows said of these."""
    sites: int
    """How many sites averaged their weights at the least."""
    sums: Sums | None = None
    """What they see in the rows of all sites; None where they do not ship."""
    delta: Mapping[str, NDArray[np.float32]] | None = None
    """The weights; None where they do not ship."""

    def as_dict(self) -> dict[str, Any]:
        """What was found, as plain values."""
        return {"ships": self.ships, "gain": self.gain.as_dict(), "by_fold": list(self.by_fold), "sites": self.sites}

    @property
    def sentence(self) -> str:
        """What rows say of them, in words."""
        side = "lower" if self.gain.value >= 0 else "higher"
        ends = f"{self.gain.low:+.3f} to {self.gain.high:+.3f}".replace("-", "\N{MINUS SIGN}")
        what = "the model reads them" if self.ships else "that is not beyond doubt, and the model keeps frozen ones"
        return (
            f"with weights that moved together the held-out loss is {abs(self.gain.value):.3f} nats {side} than with "
            f"frozen ones (gain {ends}): {what}"
        )


class Moving:
    """Where the rounds stand: the step that sites are at, and what came of it so far."""

    def __init__(self, terms: Terms, backbone: Backbone, tell: Callable[[str], None] = lambda said: None) -> None:
        """Make ready; nothing is asked for yet.

        Args:
            terms: what sites were told.
            backbone: untouched.
            tell: told how far things are, a sentence each.

        Raises:
            OptionError: the strategy of the terms does not fit.
        """
        assert terms.rounds is not None
        self._terms, self._rounds, self._tell = terms, terms.rounds, tell
        recipe = recipe_in(terms.rounds, backbone)
        self.tuner, self.first = recipe.tuner, recipe.first(backbone)
        self.start = untouched(backbone, self.tuner, self.first)
        self.step = Step(0, END)
        self.replied: set[str] = set()
        self.moved: Moved | None = None
        self.failure = ""
        self.over = False
        self._came: Any = None
        self._current = self.start

    def begin(self, together: Sums, frozen: Votes) -> None:
        """Go to the first step.

        Args:
            together: the sums of all sites with frozen weights.
            frozen: what their rows said of heads on these.
        """
        self._steps = self._through(together, frozen)
        self._to(next(self._steps))

    def take(self, name: str, rows: Floats, body: bytes) -> bool:
        """Take what a site replies; False where it comes too late to count.

        Args:
            name: of the site.
            rows: (K,) how many rows it has in each fold.
            body: what came.

        Raises:
            DataError: it cannot be used.
        """
        reply, step = Reply.decoded(body), self.step
        if reply.number != step.number or self.over or name in self.replied:
            return False
        learned = float(rows.sum() - (0 if step.fold is None else rows[step.fold]))
        came = self._read(reply, rows, learned)
        if came is not None:
            self._came = came if self._came is None else self._joined(self._came, came)
        self.replied.add(name)
        return True

    def go_on(self) -> None:
        """Go to the next step with what came."""
        try:
            self._to(self._steps.send(self._came))
        except StopIteration as ended:
            self.moved, self.over = ended.value, True
        except DataError as error:
            self.failure, self.over = str(error).rstrip("."), True
        if self.over:
            self.step = Step(self.step.number + 1, END)

    def _to(self, step: Step) -> None:
        self.step = replace(step, number=self.step.number + 1)
        self.replied, self._came = set(), None

    def _read(self, reply: Reply, rows: Floats, learned: float) -> Any:
        """What a reply holds, checked; None where the site sits the step out."""
        step, terms = self.step, self._terms.of_moved
        if step.kind == TRAIN and reply.rows == 0:
            return None
        if reply.rows != learned:
            raise DataError(f"its rows must be the {learned:g} whose sums it sent, got {reply.rows}")
        if step.kind == TRAIN:
            delta = unpack_weights(reply.payload, self.start)
            if length(delta, self._current) > self._rounds.longest * (1 + _ROUNDING):
                raise DataError(f"its weights must move by {self._rounds.longest:.3g} at most in a round, got more")
            return Average(delta, learned, 1)
        if step.kind == SUM:
            sums = wire.unpack_sums(reply.payload, replace(terms, folds=1))
            check_sums(sums, noise=False)
            if sums.rows != learned:
                raise DataError(f"its sums must be of {learned:g} rows, got {sums.rows:g}")
            return sums
        if step.kind == TRY:
            votes = wire.unpack_votes(reply.payload, terms, len(FACTORS))
            check_votes(votes, rows)
            return votes
        paired = unpack_paired(reply.payload, terms)
        check_paired(paired, rows, -np.log(SMALLEST) * (1 + _ROUNDING))
        return paired

    def _joined(self, one: Any, other: Any) -> Any:
        if isinstance(one, Average):
            return one.joined(other, self.tuner)
        return one.joined(other) if isinstance(one, Sums) else one + other

    def _through(self, together: Sums, frozen: Votes) -> Steps:
        """All steps, each with what sites replied to it, one after the other."""
        names, folds, least = together.names, self._terms.folds, []
        maps = []
        for fold in range(folds):
            delta, sites = yield from self._averaged(fold)
            least.append(sites)
            sums = _there((yield Step(0, SUM, fold, pack_weights(delta))), "sums")
            maps.append(ridges(sums.aligned(names), self._terms.penalties))
            self._tell(f"weights moved together without fold {fold + 1} of {folds}")
        votes: Votes = _there((yield Step(0, TRY, None, wire.pack_maps(maps, names))), "answers")
        before, choice = chosen(frozen), chosen(votes)
        said: Paired = _there((yield Step(0, COMPARE, None, pack_choices(before.by_fold, choice.by_fold))), "losses")
        blind = _blind(together)
        every = np.ones(folds, bool)
        ships = said.passes(every, blind)
        by_fold = tuple(said.passes(np.arange(folds) != fold, blind) for fold in range(folds))
        moved = Moved(said.gain(every), ships, by_fold, choice, votes, min(least))
        if not ships:
            return moved
        delta, sites = yield from self._averaged(None)
        sums = _there((yield Step(0, SUM, None, pack_weights(delta))), "sums")
        return replace(moved, sums=sums.aligned(names), delta=delta, sites=min(*least, sites))

    def _averaged(self, fold: int | None) -> Generator[Step, Any, tuple[Mapping[str, NDArray[np.float32]], int]]:
        """Weights after all rounds without a fold, and of how many sites they are the mean at the least."""
        self._current, payload, least = self.start, b"", []
        for number in range(self._rounds.count):
            mean: Average | None = yield Step(0, TRAIN, fold, payload)
            if mean is None or mean.sites < _FEWEST:
                got = 0 if mean is None else mean.sites
                raise DataError(
                    f"{_FEWEST} sites at least must send weights in a round, got {got} in round {number + 1}"
                )
            least.append(mean.sites)
            self._current, payload = dict(mean.delta), pack_weights(mean.delta)
        return self._current, min(least)


def _there(came: Any, what: str) -> Any:
    """What came of a step. Raises DataError: nothing did."""
    if came is None:
        raise DataError(f"a site at least must send its {what}, got none")
    return came


def _blind(together: Sums) -> float:
    """Mean loss of an answer that knows nothing but how frequent the classes are, in nats."""
    shares = together.counts.sum(0) / together.rows
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
