"""Trials: other settings of the strategies that move weights, raced on the same folds, the slow half given up early."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import MachineError, TrainingError
from handful.strategies.tuned.cross_fit import CrossFit
from handful.strategies.tuned.methods.supcon import SupCon
from handful.strategies.tuned.strategy import Tuned

# Augmented versions of each item in a trial that has some; their activations are kept, so that they cost one pass.
_VERSIONS = 4

GoOn = Callable[[int, NDArray[np.float64]], bool]


@dataclass(frozen=True)
class Trial:
    """One setting that was tried."""

    strategy: Tuned
    """The setting."""
    loss: float
    """Mean held-out loss on the folds that were run; infinite where the training ran away or memory
    ran out."""
    folds: int
    """How many folds were run."""
    cross_fit: CrossFit | None
    """The held-out answers, where all folds were run."""

    def record(self) -> dict[str, Any]:
        """The trial as plain values for ``trials.json``."""
        options = {f.name: getattr(self.strategy, f.name) for f in fields(self.strategy) if f.name != "backbone"}
        loss = self.loss if np.isfinite(self.loss) else None
        return {"strategy": self.strategy.name, **options, "loss": loss, "folds": self.folds}


@dataclass
class Race:
    """Successive halving over folds (Jamieson & Talwalkar 2016), one trial after the other as in ASHA (Li et al. 2020).

    After every fold but the first a trial goes on only if its loss is in the better half of all that came so far.
    """

    trials: list[Trial] = field(default_factory=list)
    """All that were run, in order."""
    _reached: dict[int, list[float]] = field(default_factory=dict)

    def run(
        self, strategy: Tuned, fit: Callable[[Tuned, GoOn], CrossFit | None],
        losses_of: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> Trial:  # fmt: skip
        """Run one trial as far as it deserves.

        Args:
            strategy: the setting.
            fit: runs it fold by fold, asking after each whether to go on.
            losses_of: (N, K) held-out answers → (N,) what they cost.
        """
        latest = (np.inf, 0)

        def go_on(done: int, losses: NDArray[np.float64]) -> bool:
            nonlocal latest
            latest = (float(losses.mean()), done)
            others = self._reached.setdefault(done, [])
            others.append(latest[0])
            return latest[0] <= float(np.median(others))

        try:
            cross_fit = fit(strategy, go_on)
        except (TrainingError, MachineError):  # it ran away, or took more memory than there is
            trial = Trial(strategy, np.inf, latest[1], None)
        else:
            loss = latest[0] if cross_fit is None else float(losses_of(cross_fit.outputs).mean())
            folds = latest[1] if cross_fit is None else len(cross_fit.curves)
            trial = Trial(strategy, loss, folds, cross_fit)
        self.trials.append(trial)
        return trial

    def finished(self) -> list[Trial]:
        """The trials of which all folds were run."""
        return [trial for trial in self.trials if trial.cross_fit is not None]


def near(strategy: Tuned, changes: bool = True) -> Iterator[Tuned]:
    """A small, sensible space around a setting: rates, updates, blocks, the whole way, temperature, augmented versions.

    One of the rates is what a sweep inside each fold finds. Whether versions help, and whether those that may change a
    label do, is left to the held-out rows.

    Args:
        strategy: the setting.
        changes: whether there may be augmented versions of items.
    """
    yield replace(strategy, learning_rate=strategy.learning_rate * 3)
    yield replace(strategy, learning_rate=strategy.learning_rate / 3)
    if not strategy.sweep:
        yield replace(strategy, sweep=True)
    yield replace(strategy, updates=strategy.updates * 2)
    more = min(1.0, strategy.trainable_fraction * 1.5) if strategy.trainable_fraction < 1 else 0.67
    yield replace(strategy, trainable_fraction=more)
    if strategy.wise_alpha < 1:
        yield replace(strategy, wise_alpha=1.0)
    if isinstance(strategy, SupCon):
        yield replace(strategy, temperature=strategy.temperature * 2)
    if changes and not strategy.augment:
        yield replace(strategy, augment=_VERSIONS)
        yield replace(strategy, augment=_VERSIONS, strong_augment=True)
    yield replace(strategy, learning_rate=strategy.learning_rate / 3, updates=strategy.updates * 2)


def suggested(
    defaults: Sequence[Tuned], count: int, seed: int, tell: Callable[[], Trial], changes: bool = True
) -> Iterator[Tuned]:
    """Settings from a wider space, each learned from those before: method, rate, updates, blocks, penalty, rank.

    Args:
        defaults: the strategies to choose from, with their own settings.
        count: how many settings.
        seed: fixes the suggestions.
        tell: gives the trial of the last suggestion.
        changes: whether there may be augmented versions of items.

    Raises:
        MachineError: optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MachineError(
            "a search needs the package optuna, which is not installed. Run: pip install 'handful[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    by_name = {strategy.name: strategy for strategy in defaults}
    for _ in range(count):
        asked = study.ask()
        default = replace(by_name[asked.suggest_categorical("strategy", sorted(by_name))], seed=seed)
        options: dict[str, Any] = {
            "learning_rate": asked.suggest_float("learning rate factor", 0.1, 10, log=True) * default.learning_rate,
            "updates": int(asked.suggest_int("updates", 8, 80, log=True)),
            "trainable_fraction": asked.suggest_float("trainable_fraction", 0.2, 1.0),
            "penalty": asked.suggest_float("penalty", 0.01, 1.0, log=True),
        }
        if changes:
            options["augment"] = asked.suggest_categorical("augment", [0, _VERSIONS])
        if hasattr(default, "rank"):
            options["rank"] = asked.suggest_categorical("rank", [2, 4, 8, 16])
        yield replace(default, **options)
        study.tell(asked, tell().loss if np.isfinite(tell().loss) else 1e6)
