"""The ladder above rung 0: what moving weights will cost, and whether the held-out rows pay for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.atomic import replaced_file
from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.errors import HandfulError, MachineError
from handful.evaluation.gate import Gated, calibrated, gate
from handful.evaluation.intervals import Estimate
from handful.evaluation.verdicts import Held
from handful.strategies.adaptation import Adapted, Recipe, adapt, versions_of
from handful.strategies.catalog import movers
from handful.strategies.frozen import Frozen
from handful.strategies.heads import Logistic
from handful.strategies.linear import ABSENT
from handful.strategies.search import SHARPNESS
from handful.strategies.tuned import Tuned
from handful.training.activations import Activations
from handful.training.body import features_of
from handful.training.loop import Update

EXPECTED: Mapping[tuple[str, str], float] = {
    ("text", "supcon"): 0.25,
    ("text", "contrastive"): 0.2,
}
"""(modality, strategy) → the share of the frozen model's errors that it removes, mean over benchmark sets."""

# A rung is not tried for less than this many errors that it may be expected to remove.
_WORTH = 0.5

Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Offer:
    """What trying a strategy will cost and may bring, known before it starts."""

    strategy: Tuned
    """What would be tried."""
    seconds: float
    """All its fits on this machine, measured on a few updates."""
    fits: int
    """One per fold, and one on all rows."""
    worth: float
    """How many of the frozen model's errors it may be expected to remove."""

    def __str__(self) -> str:
        fits, updates = f"{self.fits} fits", f"{self.strategy.updates} updates"
        return f"{self.strategy.name}: {fits} of {updates}, about {self.seconds:.0f} s"


@dataclass(frozen=True)
class Rung:
    """One strategy on the folds of rung 0."""

    strategy: Tuned
    """What was tried."""
    proba: NDArray[np.float64]
    """(N, C) held-out probabilities, calibrated on the other folds."""
    gated: Gated
    """How it fared against the arm below."""
    sharpness: float
    """Its calibration, from all held-out scores."""
    curves: tuple[tuple[Update, ...], ...]
    """The log of each fold's training."""
    train: float
    """Mean accuracy on the rows that a fold learned from."""
    held: float
    """Mean accuracy on the rows that it did not."""
    moved: int
    """How many weights could move."""
    seconds: float
    """What all folds took."""


@dataclass(frozen=True)
class Climb:
    """What happened above rung 0."""

    rungs: tuple[Rung, ...]
    """Every strategy that was tried, in order."""
    chosen: Rung | None
    """The one that replaced the frozen model, or None."""
    final: Adapted | None
    """The chosen strategy fitted on all rows."""
    whole: NDArray[np.float64] | None
    """(1, N, C) answers of the whole procedure, every gate decided without the rows of the fold; None: as rung 0."""
    arms: tuple[Held, ...]
    """The rungs as arms of the comparison."""
    notes: tuple[str, ...]
    """What was tried or left out, and why, one sentence each."""


@dataclass(frozen=True)
class Terms:
    """Under which terms a climb takes place."""

    wanted: Sequence[str]
    """Names of strategies that move weights."""
    named: bool
    """Whether the user named them; otherwise only those are tried that benchmarks say are worth it."""
    budget: float
    """Seconds left."""
    seed: int = 0
    """Fixes batches and dropout."""
    say: Say = lambda stage, done, total: None
    """Called with stage, steps done and steps in all."""
    checkpoints: Path | None = None
    """A folder for the state of each training, so that a killed run can go on."""


def ascend(data: Dataset, backbone: Backbone, frozen: Frozen, terms: Terms) -> Climb:
    """Try to beat the frozen model by moving weights, as long as the budget lasts.

    Args:
        data: N labelled rows.
        backbone: what would move.
        frozen: the outcome of rung 0; its first repeat of folds is used again.
        terms: what is wanted, and how long it may take.

    Returns:
        What was tried, and what passed the gate.
    """
    ends = time.perf_counter() + terms.budget
    offers, notes = _offers(data, backbone, frozen, terms)
    decided = _Decisions.read(terms.checkpoints if offers else None)
    below = _Below(frozen.whole[0], None)
    chosen, rungs = None, list[Rung]()
    for offer, activations in offers:
        left = ends - time.perf_counter()
        if not decided.go(offer.strategy.name, offer.seconds <= left):
            notes.append(f"{offer} was left out: {max(0.0, left):.0f} s of the budget were left.")
            continue
        try:
            rung = _try(offer, activations, frozen, below, terms)
        except HandfulError as error:
            notes.append(f"{offer.strategy.name} failed and was given up: {error}")
            continue
        rungs.append(rung)
        notes.append(_told(rung))
        below = _Below(rung.proba if rung.gated.passed else below.best, rung.gated.whole)
        chosen = rung if rung.gated.passed else chosen
    final = None
    if chosen is not None:
        strategy = chosen.strategy
        activations = next(a for o, a in offers if o.strategy is strategy)
        final = adapt(
            activations, np.arange(len(data)), frozen.rows.truth, strategy.recipe(),
            checkpoint=_file(terms, strategy, "all"), progress=_progress(terms, f"{strategy.name} on all rows"),
        )  # fmt: skip
    whole = None if below.whole is None else below.whole[None]
    return Climb(tuple(rungs), chosen, final, whole, tuple(_arm(rung) for rung in rungs), tuple(notes))


@dataclass(frozen=True)
class _Below:
    """What the next rung has to beat."""

    best: NDArray[np.float64]
    """(N, C) held-out probabilities of the arm that stands."""
    whole: NDArray[np.float64] | None
    """(N, C) what all gates so far made of each fold without its rows; None before the first."""


@dataclass
class _Decisions:
    """What was tried and what was left out for want of time: a resumed run decides as the interrupted one did."""

    made: dict[str, bool]
    file: Path | None

    @classmethod
    def read(cls, folder: Path | None) -> _Decisions:
        """Those of an interrupted run, or none yet."""
        if folder is None:
            return cls({}, None)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / "decisions.json"
            return cls(_json(file), file)
        except OSError as error:
            raise MachineError(
                f"folder {folder}, where the trainings keep their state, cannot be used ({error.strerror or error}). "
                "Name another run folder."
            ) from error

    def go(self, name: str, affordable: bool) -> bool:
        """Whether a strategy is tried."""
        if name not in self.made:
            self.made[name] = affordable
            if self.file is not None:
                with replaced_file(self.file) as target:
                    target.write_text(json.dumps(self.made), "utf-8")
        return self.made[name]


def _json(file: Path) -> dict[str, bool]:
    try:
        return dict(json.loads(file.read_text("utf-8"))) if file.exists() else {}
    except ValueError:  # cut off when the machine went down: what it held is decided anew
        return {}


def _offers(
    data: Dataset, backbone: Backbone, frozen: Frozen, terms: Terms
) -> tuple[list[tuple[Offer, Activations]], list[str]]:
    """The strategies that fit the backbone and are worth a try, best value for time first."""
    notes: list[str] = []
    found: list[tuple[Offer, Activations]] = []
    if terms.budget <= 0:
        return found, ["Weights stay as they are: the budget is 0."] if terms.named else notes
    truth = frozen.rows.truth
    errors = float((frozen.whole[0].argmax(1) != truth).sum())
    kept: dict[tuple[int, int], Activations] = {}
    for name in terms.wanted:
        strategy = movers()[name](seed=terms.seed)
        why = strategy.refusal(backbone)
        worth = errors * EXPECTED.get((data.modality, name), 0.0)
        if why is not None:
            notes.append(f"{name} was left out: {why}.")
            continue
        if not terms.named and worth < _WORTH:
            continue
        recipe = strategy.recipe()
        key = (recipe.first(backbone), recipe.versions)
        if key not in kept:
            kept[key] = Activations.of(backbone, versions_of(data.items, data.modality, recipe), key[0])
        fits = int(frozen.found.folds[0].max()) + 2
        seconds = fits * _measured(kept[key], truth, recipe)
        found.append((Offer(strategy, seconds, fits, worth), kept[key]))
    found.sort(
        key=lambda pair: -pair[0].worth
    )  # not by the measured time: a resumed run must try them in the same order
    return found, notes


def _measured(activations: Activations, truth: NDArray[np.int64], recipe: Recipe) -> float:
    """Seconds of one fit here, from two updates."""
    start = time.perf_counter()
    tried = adapt(
        activations, np.arange(len(truth)), truth, replace(recipe, settings=replace(recipe.settings, updates=2))
    )
    each = min(update.seconds for update in tried.log)
    besides = time.perf_counter() - start - sum(update.seconds for update in tried.log)
    return besides + recipe.settings.updates * each


def _try(offer: Offer, activations: Activations, frozen: Frozen, below: _Below, terms: Terms) -> Rung:
    """Fit the strategy without each fold in turn, and let the gate decide."""
    start = time.perf_counter()
    truth, folds, groups = frozen.rows.truth, frozen.found.folds[0], frozen.rows.groups
    strategy, recipe = offer.strategy, offer.strategy.recipe()
    classes = int(truth.max()) + 1
    scores = np.full((len(truth), classes), ABSENT, np.float32)
    curves, right, moved = [], [], 0
    everyone = np.arange(len(truth))
    for k in range(int(folds.max()) + 1):
        rows = np.flatnonzero(folds != k)
        if len(np.unique(truth[rows])) < 2:
            scores[folds == k] = 0
            continue
        told = f"{offer} (fold {k + 1} of {offer.fits - 1})"
        tried = adapt(
            activations, rows, truth[rows], recipe,
            checkpoint=_file(terms, strategy, str(k)), progress=_progress(terms, told),
        )  # fmt: skip
        x = features_of(tried.body, activations, everyone)
        head = Logistic(recipe.penalty).fit(x[rows], truth[rows].tolist())
        found = head.decision_function(x)
        scores[np.ix_(folds == k, head.classes_)] = found[folds == k]
        right.append(float((head.classes_[found[rows].argmax(1)] == truth[rows]).mean()))
        curves.append(tried.log)
        moved = tried.moved
    proba, sharpness = calibrated(scores, truth, folds, SHARPNESS)
    gated = gate(below.best, proba, truth, folds, groups)
    if below.whole is not None:  # where the gate keeps the arm below, that is what earlier gates made of it
        kept = (gated.whole == below.best).all(1)
        gated = replace(gated, whole=np.where(kept[:, None], below.whole, gated.whole))
    held = float((scores.argmax(1) == truth).mean())
    seconds = time.perf_counter() - start
    return Rung(strategy, proba, gated, sharpness, tuple(curves), float(np.mean(right)), held, moved, seconds)


def _progress(terms: Terms, stage: str) -> Callable[[Update, int], None]:
    return lambda update, total: terms.say(stage, update.number + 1, total)


def _file(terms: Terms, strategy: Tuned, part: str) -> Path | None:
    return None if terms.checkpoints is None else terms.checkpoints / f"{strategy.name}-{part}.safetensors"


def _told(rung: Rung) -> str:
    name, fall = rung.strategy.name, _lower(rung.gated.gain)
    if rung.gated.passed:
        return f"{name} replaces the arm below: {fall}."
    return f"{name} stays a trial: {fall}, which is not beyond doubt."


def _lower(gain: Estimate) -> str:
    side = "lower" if gain.value >= 0 else "higher"
    return f"its held-out log loss is {abs(gain.value):.2f} {side} (gain {gain.low:+.2f} to {gain.high:+.2f})"


def _arm(rung: Rung) -> Held:
    strategy = rung.strategy
    setting = {
        "weights moved": f"{rung.moved:,}",
        "updates": strategy.updates,
        "rate": strategy.rate,
        "on rows learned from": f"{rung.train:.0%}",
        "on held-out rows": f"{rung.held:.0%}",
    }
    return Held(strategy.name, rung.proba[None], 1, rung.seconds, setting, _lower(rung.gated.gain))
