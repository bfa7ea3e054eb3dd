"""The catalogue of strategies: every name that ``--strategies`` knows."""

from __future__ import annotations

from handful.strategies.heads import Centroid, FeatureClassifier, LinearSVM, Logistic, Majority, Ridge
from handful.strategies.tuned import (
    Adapters,
    BiasOnly,
    Contrastive,
    Distilled,
    Factors,
    Full,
    Gradual,
    LowRank,
    Partial,
    Prefixes,
    Prompts,
    Soup,
    SupCon,
    Tuned,
    Wise,
)


def catalog() -> dict[str, type[FeatureClassifier]]:
    """Every strategy by its name, cheapest first."""
    return {strategy.name: strategy for strategy in (Majority, Centroid, Ridge, Logistic, LinearSVM)}


def movers() -> dict[str, type[Tuned]]:
    """Every strategy that moves weights, by its name."""
    kinds = (
        Contrastive, SupCon, BiasOnly, LowRank, Adapters, Prefixes, Prompts, Factors, Soup, Wise, Partial, Gradual,
        Distilled, Full,
    )  # fmt: skip
    return {strategy.name: strategy for strategy in kinds}
