"""Agreement: how often people say the same of an item, beside what chance would give; pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from handful.evaluation.intervals import Estimate, wilson


@dataclass(frozen=True)
class Agreement:
    """How often two people say the same."""

    people: tuple[str, str]
    """Who."""
    n: int
    """How many items both of them labelled."""
    share: Estimate
    """Of how many they say the same, with its 95 % interval."""
    kappa: float | None
    """Cohen's kappa: 0 as chance gives it, 1 always the same; None where both always say the same one thing."""
    apart: tuple[str, ...]
    """The items of which they say different things."""


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Agreement beyond chance (Cohen 1960, equation 1): (p_o - p_e) / (1 - p_e).

    Args:
        first: N labels of one person.
        second: those of another, of the same items.

    Returns:
        The coefficient; None where chance alone would agree on everything.
    """
    n = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    one, other = Counter(first), Counter(second)
    expected = sum(one[name] * other[name] for name in one) / n**2
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def agreements(labels: Mapping[str, Mapping[str, str]]) -> list[Agreement]:
    """Of each two people that labelled the same items, how often they agree; those with most items first.

    Args:
        labels: person → item → label.
    """
    found = []
    for one, other in combinations(sorted(labels), 2):
        both = [item for item in labels[one] if item in labels[other]]
        if not both:
            continue
        first, second = [labels[one][item] for item in both], [labels[other][item] for item in both]
        apart = tuple(item for item, a, b in zip(both, first, second, strict=True) if a != b)
        share = wilson(1 - len(apart) / len(both), len(both))
        found.append(Agreement((one, other), len(both), share, cohens_kappa(first, second), apart))
    return sorted(found, key=lambda agreement: -agreement.n)
