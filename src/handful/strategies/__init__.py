"""Named ways to adapt a frozen or moving backbone to labels, as scikit-learn estimators."""

from __future__ import annotations

from handful.strategies.heads import Centroid, Head, LinearSVM, Logistic, Majority, Ridge

__all__ = ["Centroid", "Head", "LinearSVM", "Logistic", "Majority", "Ridge", "catalog"]


def catalog() -> dict[str, type[Head]]:
    """Every strategy by the name used in ``--strategies`` and in the scores, cheapest first."""
    return {strategy.name: strategy for strategy in (Majority, Centroid, Ridge, Logistic, LinearSVM)}
