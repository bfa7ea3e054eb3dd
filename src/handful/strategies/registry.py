"""The catalogue of strategies: every name that ``--strategies`` knows for labelled items."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from handful.choices import METHODS
from handful.strategies.frozen.heads import Centroid, FeatureClassifier, LinearSVM, Logistic, Majority, Ridge
from handful.strategies.frozen.search import ZERO_SHOT
from handful.strategies.tuned.strategy import Tuned
from handful.tasks.base import HeadTask


def catalog() -> dict[str, type[FeatureClassifier]]:
    """Every head of classification as a strategy by its name, cheapest first."""
    return {strategy.name: strategy for strategy in (Majority, Centroid, Ridge, Logistic, LinearSVM)}


def frozen_names(task: HeadTask) -> tuple[str, ...]:
    """Names of what keeps the backbone as it is and answers what a task wants; what looks at no item first."""
    alone = (ZERO_SHOT.name,) if task.named_alone else ()
    return (Majority.name, *alone, *task.heads)


@cache
def movers() -> dict[str, type[Tuned]]:
    """Every strategy that moves weights by its name, in the order that their files say."""
    return {method.name: getattr(import_module(f"handful.{method.module}"), method.kind) for method in METHODS}
