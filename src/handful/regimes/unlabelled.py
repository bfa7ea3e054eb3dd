"""Learning from a pool: arms that use items without labels face the frozen model, on the few folds, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.unlabelled import MOST
from handful.data.vectors import VECTORS
from handful.evaluation.intervals import interval
from handful.evaluation.metrics import Kind, Metric
from handful.features.feature_set import FeatureSet
from handful.features.view import Matrix, unit_rows
from handful.inspection.shift import LEVEL, Shift, shift_between
from handful.regimes.alignment import Importance, LabelShift, density_ratio, effective, shares_differ
from handful.regimes.known import known
from handful.regimes.part import Items, Part, PoolArm
from handful.regimes.self_training import SelfTraining
from handful.regimes.synthetic_rows import SyntheticRows
from handful.regimes.trial import Folds, Trial, best, tried, whole_of
from handful.seeding import generator
from handful.strategies.frozen.rung import Few, Frozen

SHARE, SMALLEST = 0.25, 100
"""Looking at a pool may take this share of the budget, by the usual speed; a pool of so many items is never cut."""
PER_SECOND = {"text": 10_000.0, "image": 10.0, "sound": 15.0, VECTORS: 100_000.0, IMAGE_TEXT: 10.0}
"""What the dearest default backbone looks at in a second on two cores: characters of texts, pictures, sounds."""

LIKE = 0.5
"""What is known from other sets counts for pools of which no larger share is stranger than 95 % of the rows."""

DOUBT = 0.2
"""Up to this p-value the classes of a pool may be otherwise frequent than among the rows: few rows hardly tell."""

ARMS: tuple[PoolArm, ...] = (SelfTraining(), SyntheticRows(), LabelShift(), Importance())
"""What is tried, in this order."""


@dataclass(frozen=True)
class PoolTerms:
    """Under which terms a pool is learned from."""

    modality: str
    """Of the items."""
    seed: int = 0
    """Fixes whatever is drawn."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Called with arms done and arms in all."""
    arms: Sequence[PoolArm] = ARMS
    """What is tried."""
    priors: bool = True
    """Whether what is known from other sets counts."""


@dataclass(frozen=True)
class Mixture:
    """How a pool compares with the rows."""

    unusual: float
    """The share of its items that are stranger than 95 % of the rows."""
    shifted: bool
    """Whether its features are spread otherwise."""
    frequent: bool
    """Whether its classes are otherwise frequent beyond doubt, by what is answered to both."""
    doubtful: bool
    """Whether they may be: then what is known of pools with the same shares does not count."""
    weights: NDArray[np.float64] | None
    """(N,) how much each row counts where the pool is what will be asked; None where the two are alike, or where the
    pool is of other things, which no weights of the rows can stand for."""

    @classmethod
    def of(cls, frozen: Frozen, sight: FeatureSet, part: Part, rng: np.random.Generator) -> Mixture:
        """Compare the two: features first, then answers."""
        task, shift = part.targets.task, compared(sight, part.pool, rng)
        answers = frozen.few.whole
        shifted, like = shift.p <= LEVEL, shift.unusual <= LIKE
        p = shares_differ(answers, task.strata(part.targets), part.answers) if task.exclusive else 1.0
        frequent = p <= LEVEL
        weights = None
        if like and frequent:
            weights = LabelShift().weights(part)
        elif like and shifted:
            weights = density_ratio(*part.alike)
        return cls(shift.unusual, shifted, frequent, p <= DOUBT, weights)

    @property
    def like(self) -> bool:
        """Whether it is of the same kind of items at all."""
        return self.unusual <= LIKE

    @property
    def told(self) -> str:
        """What differs, in a sentence; empty where nothing does."""
        if not self.like:
            return (
                f"{self.unusual:.0%} of the unlabelled items are stranger than 95 % of the rows: what learning from a "
                "pool did on other sets does not count here, and the model is not put right for such items."
            )
        if self.frequent:
            return "The unlabelled items are of the same classes in other shares: rows count as these have them."
        if self.shifted:
            return "The unlabelled items are another mixture than the rows: rows count as these have their like."
        return ""


@dataclass(frozen=True)
class Learned:
    """What a pool taught."""

    frozen: Frozen
    """The outcome of rung 0 with what the pool changed."""
    trials: tuple[Trial, ...]
    """Every arm that was tried, in order."""
    notes: tuple[str, ...]
    """What happened, one sentence each."""
    weights: NDArray[np.float64] | None = None
    """(N,) how much each row counts where the pool is what will be asked; None where the two look alike."""


def learn_from_pool(frozen: Frozen, sight: FeatureSet, pool: Items, terms: PoolTerms) -> Learned:
    """Let arms that learn from a pool try to replace the frozen model.

    Args:
        frozen: the outcome of rung 0.
        sight: features of the N rows and of the names of the classes.
        pool: (backbone, depth) → (M, D) features of the pool.
        terms: what to try.
    """
    task, part = frozen.rows.targets.task, whole_part(frozen, sight, pool, terms.seed)
    mixture = Mixture.of(frozen, sight, part, generator(terms.seed, "pool"))
    arms, notes = _offered(terms.arms, part, mixture)
    folds, below = folds_of(frozen, sight, pool, terms.seed), frozen.few.whole
    trials: list[Trial] = []
    for done, arm in enumerate(arms):
        terms.progress(done, len(arms))
        vouched = terms.priors and mixture.like and (arm.by_class or not mixture.doubtful)
        prior = known(arm, task.name, terms.modality) if vouched else None
        trials.append(tried(arm, folds, below, prior, mixture.weights))
    chosen = best(trials, folds, below, np.ones(len(below), bool))
    notes += [_told(trial, chosen) for trial in trials]
    settled = _settled(frozen, part, trials, chosen, whole_of(trials, folds, below))
    return Learned(settled, tuple(trials), tuple(notes), mixture.weights)


def told_for_pool(learned: Learned, metric: Metric, rng: np.random.Generator) -> list[str]:
    """What the score is where the pool is what will be asked, in a sentence; none where the two look alike.

    Args:
        learned: what the pool taught.
        metric: what is estimated.
        rng: source of bootstrap draws.
    """
    rows, weights = learned.frozen.rows, learned.weights
    if weights is None:
        return []
    # A weighted share is a ratio of two sums: no count of right and wrong rows that Wilson's interval could start from.
    plain = replace(metric, kind=Kind.RATIO) if metric.kind is Kind.SHARE else metric
    measured = plain.of(learned.frozen.whole, rows.targets)
    estimate = interval(replace(measured, sums=weights[:, None] * measured.sums), rows.groups, rng=rng)
    value, ends = estimate.told(metric.scale), metric.scale.between(estimate.low, estimate.high)
    return [
        f"With held-out rows weighted as the unlabelled items have their like (worth {effective(weights):.0f} of "
        f"{len(weights)} rows), {metric.title} of the heads is {value}, between {ends}; the scores are those of the "
        "rows as they are."
    ]


def _offered(arms: Sequence[PoolArm], part: Part, mixture: Mixture) -> tuple[list[PoolArm], list[str]]:
    """The arms that have anything to do, and why others are left out, as far as that is worth a word."""
    refused = {arm.name: why for arm in arms if (why := arm.refuses(part.targets.task))}
    notes = [f"{name} was left out: {why}." for name, why in refused.items()]
    if mixture.told:
        notes.append(mixture.told)
    able = [arm for arm in arms if arm.name not in refused and arm.applies(part)]
    shifted = [arm for arm in able if arm.for_shift and (mixture.shifted or (mixture.frequent and arm.by_class))]
    return [arm for arm in able if not arm.for_shift or (mixture.like and arm in shifted)], notes


def affordable(rows: Dataset, seconds: float) -> int:
    """How many items a pool may have, so that looking at them takes a part of the budget.

    By the usual speed, not by the clock: the same run twice learns from the same items.

    Args:
        rows: the labelled items, which those of the pool are like.
        seconds: for the whole run.
    """
    each = float(np.mean([len(item) for item in rows.items])) if rows.modality == "text" else 1.0
    return int(np.clip(SHARE * seconds * PER_SECOND[rows.modality] / max(each, 1.0), SMALLEST, MOST))


def reads(frozen: Frozen) -> list[str]:
    """The backbones that any setting reads which is pooled, in a fold or on all rows."""
    every, few = range(len(frozen.search.settings)), frozen.few
    members = [*frozen.search.members(every)]
    for k in range(few.count):
        members += few.search.members_without(every, 0, k)
    return list(dict.fromkeys(name for member in members for name in member.setting.view.backbones))


def compared(sight: FeatureSet, pool: Items, rng: np.random.Generator) -> Shift:
    """How a pool compares with the rows, by the last layers of all backbones."""
    last = [(name, depths[0]) for name, depths in sight.depths.items() if (name, depths[0]) in pool]
    rows, new = (np.concatenate([unit_rows(items[part]) for part in last], 1) for items in (sight.items, pool))
    return shift_between(rows, new, rng)


def folds_of(frozen: Frozen, sight: FeatureSet, pool: Items, seed: int) -> Folds:
    """What may be learned from without each of the few folds."""
    few, targets = frozen.few, frozen.rows.targets
    every = range(len(few.search.settings))
    parts: list[Part] = []
    held: list[Part] = []
    for k in range(few.count):
        members = few.search.members_without(every, 0, k)
        for rows, into in ((few.folds != k, parts), (few.folds == k, held)):
            into.append(
                Part(targets.take(rows), _rows(sight.items, rows), sight.names, pool, members, seed, sight.counts)
            )
    return Folds(frozen.rows, few.folds, tuple(parts), tuple(held))


def whole_part(frozen: Frozen, sight: FeatureSet, pool: Items, seed: int) -> Part:
    """All rows, with the settings that they support."""
    members = frozen.search.members(range(len(frozen.search.settings)))
    return Part(frozen.rows.targets, sight.items, sight.names, pool, members, seed, sight.counts)


def _rows(items: Mapping[tuple[str, int], Matrix], rows: NDArray[np.bool_]) -> Items:
    return {part: x[rows] for part, x in items.items()}


def _settled(
    frozen: Frozen, part: Part, trials: Sequence[Trial], chosen: Trial | None, whole: NDArray[np.float64]
) -> Frozen:
    """The frozen outcome with all trials among its arms, and with the one that was chosen as its model."""
    few = frozen.few
    arms = (*few.arms, *(trial.held(part) for trial in trials))
    settled: Few = replace(few, whole=whole, arms=arms)
    if chosen is None and np.array_equal(whole, few.whole):
        # Nothing passed, on all rows or in a fold: the frozen answers stand, of which all repeats count.
        return replace(frozen, arms=arms, settled=settled)
    rows = replace(frozen.rows, folds=few.count)
    changed = replace(frozen, arms=arms, settled=settled, whole=whole[None], rows=rows, protocol=few.protocol)
    if chosen is None:
        return changed
    model = chosen.arm.fit(part)
    return replace(changed, arm=chosen.arm.name, model=model, matrix=model.view.matrix(part.items))


def _told(trial: Trial, chosen: Trial | None) -> str:
    name = trial.arm.name
    if trial is chosen:
        return f"{name} takes the place of the heads."
    if trial.decided.passed:
        return f"{name} would take the place of the heads too, but less is expected of it."
    return f"{name} stays a trial."
