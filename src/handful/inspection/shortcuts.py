"""Shortcuts: a class that can be told by its files alone, before anything in them is looked at.

For every class and every trait (size, format, length, level, parts of the file name) the best rule is found: an
interval of the numbers, or a set of the words, that holds as many rows of the class and as few of the others as
possible. The strength of a rule is the share of the class that it holds minus the share of the others (Youden 1950).
The largest strength of each of many shuffles of the labels, over all classes and traits tried, says how strong a rule
becomes by chance (Westfall and Young 1993), so that trying many costs no false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.data.dataset import Dataset
from handful.data.names import listed
from handful.data.traits import Trait, traits_of
from handful.inspection.findings import Finding
from handful.inspection.loo_logistic import Array

# Shuffles of the labels, and the p-value from which on a rule is told.
SHUFFLES, LEVEL = 199, 0.01

# A weaker rule than this is no shortcut, however surely it is there: what things are like changes how well their
# pictures compress and how long and loud their sounds are, and names are not seen by a model, so rules on these have to
# be almost perfect.
_STRONG, _NATURAL_STRONG = 0.6, 0.95
_NATURAL = frozenset({"length", "duration", "level", "bytes per pixel", "bytes per second"})
_NAMES = frozenset({"name starts with", "name ends with"})

# Fewer rows of a class than this are told apart by some rule in any case.
_FEWEST = 4

_WORDS = {
    "bytes per pixel": "file size",
    "bytes per second": "file size",
    "compression": "JPEG quality",
    "length": "length of the text",
    "level": "recording level",
    "rate": "sampling rate",
    "name starts with": "start of the file name",
    "name ends with": "end of the file name",
    "width": "width in pixels",
    "height": "height in pixels",
}


@dataclass(frozen=True)
class Shortcut:
    """A rule on one trait that tells one class from the others."""

    trait: str
    """Which trait."""
    label: str
    """Which class."""
    strength: float
    """Share of the class that the rule holds minus the share of the others, 0 to 1."""
    p: float
    """How often shuffled labels give as strong a rule on any trait and class."""


def shortcuts_in(
    found: Sequence[Mapping[str, Trait]], labels: Sequence[str], rng: np.random.Generator
) -> list[Shortcut]:
    """The rules that are strong and not by chance, the strongest first.

    Args:
        found: the traits of N rows.
        labels: N class names.
        rng: shuffles the labels.
    """
    classes, index = np.unique(np.asarray(labels), return_inverse=True)
    counts = np.bincount(index)
    if len(classes) < 2 or len(found) < 2 * _FEWEST:
        return []
    columns = {name: _column(name, found, labels) for name in sorted({name for row in found for name in row})}
    codes = {name: code for name, code in columns.items() if len(np.unique(code)) > 1}
    strengths = {name: _strengths(code, name, index, counts) for name, code in codes.items()}  # (C,)
    strong = [
        (name, c)
        for name, values in strengths.items()
        for c in np.flatnonzero(values >= (_NATURAL_STRONG if name in _NATURAL | _NAMES else _STRONG))
    ]
    if not strong:
        return []
    shuffled = np.array(
        [
            max(float(_strengths(code, name, mixed, counts).max()) for name, code in codes.items())
            for mixed in (rng.permutation(index) for _ in range(SHUFFLES))
        ]
    )
    rules = []
    for name, c in strong:
        strength = float(strengths[name][c])
        p = (1 + int((shuffled >= strength - 1e-9).sum())) / (1 + SHUFFLES)
        if p <= LEVEL:
            rules.append(Shortcut(name, str(classes[c]), strength, p))
    return sorted(rules, key=lambda rule: (-rule.strength, rule.trait, rule.label))


def _column(name: str, found: Sequence[Mapping[str, Trait]], labels: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the trait as whole numbers: ranks of numbers, with gaps for words, which have no order.

    What is not known is a value like any other. A word of a file name that only spells the label is none.
    """
    values = [row.get(name, "") for row in found]
    if any(isinstance(value, str) for value in values):
        words = [str(value) for value in values]
        if name in _NAMES:
            words = ["" if _spells(word, label) else word for word, label in zip(words, labels, strict=True)]
        return np.unique(words, return_inverse=True)[1].astype(np.int64)
    return np.unique(np.array(values, np.float64), return_inverse=True)[1].astype(np.int64)


def _spells(word: str, label: str) -> bool:
    plain = "".join(filter(str.isalnum, label.casefold()))
    return bool(word) and (word in plain or plain in word)


def _strengths(code: NDArray[np.int64], name: str, index: NDArray[np.int64], counts: NDArray[np.int64]) -> Array:
    """(C,) the strength of the best rule on one trait for each class; 0 for classes with too few rows."""
    classes, rows = len(counts), len(index)
    table = np.bincount(code * classes + index, minlength=(int(code.max()) + 1) * classes).reshape(-1, classes)
    rest = np.maximum(rows - counts, 1)
    excess = table / np.maximum(counts, 1) - (table.sum(1, keepdims=True) - table) / rest  # (values, C)
    if name in _WORDLIKE:
        best = np.maximum(excess, 0).sum(0)
    else:
        sums = np.concatenate([np.zeros((1, classes)), np.cumsum(excess, axis=0)])
        best = (sums - np.minimum.accumulate(sums, axis=0)).max(0)
    return np.asarray(np.where(counts >= _FEWEST, best, 0.0))


_WORDLIKE = _NAMES | {"format"}


def shortcuts(dataset: Dataset, rng: np.random.Generator) -> Iterator[Finding]:
    """Classes that can be told by their files alone.

    Args:
        dataset: N labelled rows.
        rng: shuffles the labels.

    Yields:
        One finding per trait, the strongest first.
    """
    if not dataset.labels or not dataset.one_class_each:
        return
    by_trait: dict[str, list[Shortcut]] = {}
    for rule in shortcuts_in(traits_of(dataset), dataset.labels, rng):
        by_trait.setdefault(rule.trait, []).append(rule)
    for trait, rules in by_trait.items():
        names = [rule.label for rule in rules]
        rows = [i for i, label in enumerate(dataset.labels) if label in names]
        best = rules[0]
        yield Finding(
            "shortcut",
            tuple(dataset.rows[i] for i in rows),
            f"{'class' if len(names) == 1 else 'classes'} {listed(names)} can be told by {_WORDS.get(trait, trait)} "
            f"alone: a rule on it holds {best.strength:.0%} more of {listed(names[:1])} than of the others "
            f"(p {best.p:.3f}, corrected for all rules tried)",
            _NAME_ADVICE if trait in _NAMES else _ADVICE,
            tuple(round(next(rule.strength for rule in rules if rule.label == dataset.labels[i]), 4) for i in rows),
            severity=0.6 * len(rows) / len(dataset),
        )


_ADVICE = (
    "Collect or save all classes in the same way: a model may learn how the files were made in place of what they show."
)
_NAME_ADVICE = (
    "The model does not see file names, but such classes come from different sources: mix the sources, or give each "
    "source as a group."
)
