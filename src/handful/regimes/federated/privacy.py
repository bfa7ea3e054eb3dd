"""Noise on request: how much is added to sums so that one row changes them by ε at most, as dp-accounting tells it.

Every site adds noise of its own before it sends, so that what it sends keeps its promise towards everybody, the
coordinator too. Each row is in one release alone, by a coin of its own: either its features are in the sums of classes,
or its answer is in the score.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.data.dataset import item_hash
from handful.errors import DataError, MachineError
from handful.evaluation.intervals import LEVEL, Estimate, wilson
from handful.regimes.federated.heads import Maps
from handful.regimes.federated.sums import Floats, Sums
from handful.regimes.federated.votes import Choice, Setting, Votes
from handful.strategies.frozen.solver import ABSENT

SCORED = 0.2
"""The share of rows that are scored with and not learned from."""
SHARPNESS = np.array([2.0, 5.0, 12.0, 30.0, 75.0])
"""What scores may be multiplied by; few, since each costs noise."""
USUAL = 2
"""Which of these is taken where noise hides the best one."""
MOST_LOSS = 3.0
"""Nats that a row's loss counts for at most."""
# How much counts and losses weigh beside what they are sent with: what weighs less is noisier, and others less so.
_COUNTS, _LOSSES = 0.2, 0.5
# From how many standard deviations on noise does not decide.
_SURE = 2.0


@dataclass(frozen=True)
class Noise:
    """The noise of one release, as standard deviations."""

    epsilon: float
    """What was asked for."""
    multiplier: float
    """The standard deviation in units of what one row can change."""

    @classmethod
    def of(cls, epsilon: float, delta: float, times: int = 1) -> Noise:
        """The least noise that keeps (ε, δ) when a row is added or taken away.

        Args:
            epsilon: ε.
            delta: δ.
            times: how often something of the same rows is sent, each time with so much noise.

        Raises:
            MachineError: dp-accounting is not installed.
        """
        try:
            import dp_accounting
            from dp_accounting.pld import PLDAccountant
        except ModuleNotFoundError as error:
            raise MachineError(
                "noise needs the package dp-accounting, which tells how much of it keeps ε and is not installed. Run: "
                "pip install 'handful[federated]'"
            ) from error

        def events(multiplier: float) -> object:
            return dp_accounting.SelfComposedDpEvent(dp_accounting.GaussianDpEvent(multiplier), times)

        multiplier = dp_accounting.calibrate_dp_mechanism(PLDAccountant, events, epsilon, delta, tol=1e-4)
        return cls(epsilon, float(multiplier))

    @property
    def totals(self) -> float:
        """On each number of the sum of a class."""
        return self.multiplier * float(np.hypot(1, _COUNTS))

    @property
    def counts(self) -> float:
        """On the number of rows of a class."""
        return self.totals / _COUNTS

    @property
    def answers(self) -> float:
        """On the number of scored rows, and of those that are answered right."""
        return self.multiplier * float(np.sqrt(2 + len(SHARPNESS) * _LOSSES**2))

    @property
    def losses(self) -> float:
        """On the sum of losses with each sharpness."""
        return self.answers * MOST_LOSS / _LOSSES


def scored_rows(items: Sequence[object]) -> NDArray[np.bool_]:
    """(N,) which rows are scored with: a coin for each, the same for copies, that nobody outside can know."""
    key = secrets.token_bytes(32)
    coins = [hashlib.blake2b(item_hash(item).encode(), key=key, digest_size=8).digest() for item in items]
    return np.array([int.from_bytes(coin, "big") < SCORED * 2**64 for coin in coins], bool)


def with_noise(sums: Sums, noise: Noise) -> Sums:
    """Sums over rows of length one at most, ready to be sent; products, which noise would drown, stay at home."""
    return Sums(
        sums.names,
        sums.counts + noise.counts * _normal(sums.counts.shape),
        sums.totals + noise.totals * _normal(sums.totals.shape),
        None,
    )


def noisy_votes(votes: Votes, noise: Noise) -> Votes:
    """What scored rows say, ready to be sent; their losses were limited to ``MOST_LOSS`` each."""
    rows = votes.rows + noise.answers * _normal(votes.rows.shape)
    return replace(
        votes,
        rows=rows,
        independent=rows,
        losses=votes.losses + noise.losses * _normal(votes.losses.shape),
        leads=np.zeros_like(votes.leads),
        right=votes.right + noise.answers * _normal(votes.right.shape),
    )


def _normal(shape: tuple[int, ...]) -> Floats:
    """Numbers that no seed gives again, from the operating system's own source."""
    source = secrets.SystemRandom()
    return np.array([source.normalvariate(0.0, 1.0) for _ in range(int(np.prod(shape)))]).reshape(shape)


def means(sums: Sums, noise: Noise, sites: int) -> Maps:
    """Nearest class mean, as ``tasks.classification.heads.CENTROID`` has it, from sums with noise.

    Noise makes means longer; what it adds on average is taken off. A class with no more rows than noise alone would
    show is drawn towards nothing.

    Args:
        sums: of all sites.
        noise: what each of them added.
        sites: how many they are.
    """
    least, added = _SURE * noise.counts * np.sqrt(sites), noise.totals * np.sqrt(sites)
    counts = np.maximum(sums.counts.sum(0), max(least, 1.0))  # (C,)
    centres = sums.totals.sum(0) / counts[:, None]  # (C, D)
    squares = np.maximum((centres**2).sum(1) - sums.width * (added / counts) ** 2, 0.0)
    present = sums.counts.sum(0) > 0
    intercept = np.where(present, -squares / 2, ABSENT)
    return Maps((centres.T * present)[None], intercept[None])


def chosen_in_noise(votes: Votes, noise: Noise, sites: int) -> Choice:
    """The sharpness of the lowest loss, where it is lower by more than noise; else the usual one.

    Args:
        votes: of all sites that answered.
        noise: what each of them added.
        sites: how many they are.
    """
    losses = votes.losses.sum((0, 1))
    best = int(losses.argmin())
    if losses[best] + _SURE * np.sqrt(2 * sites) * noise.losses > losses[USUAL]:
        best = USUAL
    setting = Setting(0, float(SHARPNESS[best]))
    rows = float(votes.rows.sum())
    return Choice(setting, (setting,), rows, rows, float(votes.right.sum()))


def score_in_noise(choice: Choice, noise: Noise, sites: int) -> Estimate | None:
    """The share of scored rows that are answered right, with what noise adds to its interval; None: it hides all.

    Args:
        choice: how many rows there were, and how many right.
        noise: what each site added to both.
        sites: how many sites answered.
    """
    spread = noise.answers * np.sqrt(sites)
    if choice.rows < 2 * _SURE * spread:
        return None
    share = float(np.clip(choice.right / choice.rows, 0, 1))
    own = wilson(share, choice.rows, LEVEL)
    more = _SURE * spread * np.sqrt(1 + share**2) / choice.rows
    low, high = (share - np.hypot(share - own.low, more), share + np.hypot(own.high - share, more))
    return Estimate(share, float(max(0.0, low)), float(min(1.0, high)))


def within_classes(labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """Positions of the rows whose class was named beforehand; which classes there are must not be told by rows.

    Raises:
        DataError: there are none.
    """
    known = set(classes)
    rows = np.array([i for i, label in enumerate(labels) if label in known], np.int64)
    if not len(rows):
        raise DataError(f"a row must be of one of the classes {', '.join(classes)}, got none. Check the labels.")
    return rows
