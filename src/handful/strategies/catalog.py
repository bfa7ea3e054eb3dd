"""The catalogue of strategies: every name that ``--strategies`` knows."""

from __future__ import annotations

from handful.strategies.heads import Centroid, Head, LinearSVM, Logistic, Majority, Ridge


def catalog() -> dict[str, type[Head]]:
    """Every strategy by its name, cheapest first."""
    return {strategy.name: strategy for strategy in (Majority, Centroid, Ridge, Logistic, LinearSVM)}
