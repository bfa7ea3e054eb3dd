"""The catalogue of strategies: every name that ``--strategies`` knows."""

from __future__ import annotations

from handful.strategies.frozen.heads import Centroid, FeatureClassifier, LinearSVM, Logistic, Majority, Ridge
from handful.strategies.tuned.adapters import Adapters
from handful.strategies.tuned.bias import BiasOnly
from handful.strategies.tuned.contrastive import Contrastive
from handful.strategies.tuned.distilled import Distilled
from handful.strategies.tuned.full import Full
from handful.strategies.tuned.gradual import Gradual
from handful.strategies.tuned.ia3 import IA3
from handful.strategies.tuned.lora import LoRA
from handful.strategies.tuned.partial import Partial
from handful.strategies.tuned.prefix import Prefixes
from handful.strategies.tuned.prompt import Prompts
from handful.strategies.tuned.soup import Soup
from handful.strategies.tuned.strategy import Tuned
from handful.strategies.tuned.supcon import SupCon
from handful.strategies.tuned.wise import WiSEFT


def catalog() -> dict[str, type[FeatureClassifier]]:
    """Every strategy by its name, cheapest first."""
    return {strategy.name: strategy for strategy in (Majority, Centroid, Ridge, Logistic, LinearSVM)}


def movers() -> dict[str, type[Tuned]]:
    """Every strategy that moves weights, by its name."""
    kinds = (
        Contrastive, SupCon, BiasOnly, LoRA, Adapters, Prefixes, Prompts, IA3, Soup, WiSEFT, Partial, Gradual,
        Distilled, Full,
    )  # fmt: skip
    return {strategy.name: strategy for strategy in kinds}
