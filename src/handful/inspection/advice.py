"""Advice: which strategies make sense with this many rows, and why, as one table of rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from handful.choices import METHODS, MOVERS
from handful.data.dataset import CLASSIFIED, Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import PLURAL
from handful.data.targets import RATINGS
from handful.data.vectors import VECTORS

ALL = (*CLASSIFIED, VECTORS, IMAGE_TEXT)


@dataclass(frozen=True)
class Rule:
    """When some strategies make sense."""

    strategies: tuple[str, ...]
    """Names as ``--strategies`` knows them."""
    least: int
    """From so many rows per class on, counted in the smallest class."""
    most: int | None
    """Up to so many rows per class, None for any number."""
    why: str
    """The reason where it holds, in one sentence without a full stop."""
    otherwise: str
    """The reason where it does not hold, in one sentence without a full stop."""
    modalities: tuple[str, ...] = ALL
    """What the items have to be."""
    task: str | None = None
    """The task that it is about; None for all."""

    def holds(self, modality: str, per_class: int) -> bool:
        """Whether the strategies make sense for rows of a modality, the smallest class having so many."""
        return modality in self.modalities and self.least <= per_class and (self.most is None or per_class <= self.most)


@dataclass(frozen=True)
class Advice:
    """What one rule says about a Dataset."""

    strategies: tuple[str, ...]
    """The strategies it is about."""
    sensible: bool
    """Whether they make sense here."""
    why: str
    """The reason, in one sentence without a full stop."""


def _family(family: str) -> tuple[str, ...]:
    """The strategies that move weights and say that they are of this family."""
    return tuple(method.name for method in METHODS if method.family == family)


RULES: tuple[Rule, ...] = (
    Rule(
        ("majority",), 1, None,
        "it is what every other score is compared with", "",
    ),
    Rule(
        ("zero-shot",), 1, 8,
        "the names of the classes say as much as a few rows do, and cost nothing",
        "names of classes help where they are words and rows are texts, eight per class at most: beyond, rows say more",
        ("text",),
    ),
    Rule(
        ("centroid",), 1, 16,
        "a mean is all that so few rows can place, and hardly overfits",
        "with more than 16 rows per class heads that draw borders are at least as good",
    ),
    Rule(
        ("ridge", "logistic", "svm"), 2, None,
        "they draw borders in features that are there already, in milliseconds, and held-out rows choose the penalty",
        "a border needs two rows per class at least",
    ),
    Rule(
        ("cumulative-ridge", "cumulative"), 2, None,
        "they know the order of ratings, which the others do not: held-out rows say how much of each counts",
        "a border needs two rows per rating at least",
        task=RATINGS,
    ),
    Rule(
        _family("contrast"), 4, 64,
        "pairs turn few rows into many comparisons, and on other sets they gained most over frozen features",
        "pairs pay from 4 to 64 rows per class and on backbones whose weights can move",
        ("text", "image"),
    ),
    Rule(
        _family("few weights"), 8, None,
        "few weights move, so that tens of rows do not drown what the backbone knows",
        "with fewer than 8 rows per class whether a moved weight helps can hardly be measured",
    ),
    Rule(
        _family("average"), 8, None,
        "averages with the frozen weights keep what moving them would forget",
        "with fewer than 8 rows per class there is little to average",
    ),
    Rule(
        _family("blocks"), 25, None,
        "from about 25 rows per class the upper blocks can follow the rows without learning them by heart",
        "with fewer than 25 rows per class so many weights learn the rows by heart",
    ),
    Rule(
        _family("fewest weights"), 100, None,
        "they move very few weights; their rates have to be searched (--trials)",
        "at their usual rates they stay behind on few rows; name them to try them anyway",
        ("text",),
    ),
)  # fmt: skip
"""The rules, cheapest strategies first; thresholds follow published few-shot tables and stand below the
decision of ``tune``, which reads the rows themselves."""


def advice(dataset: Dataset, tried: Collection[str] = ()) -> list[Advice]:
    """What the rules say about the training rows of a Dataset, in the order of the table.

    Args:
        dataset: labelled rows.
        tried: the strategies that move weights which ``tune`` tries of such rows unasked: no others are recommended.
    """
    rows = dataset.part("train") if dataset.split else dataset
    smallest = min(rows.counts.values(), default=0)
    out: list[Advice] = []
    for rule in RULES:
        if rule.task not in (None, dataset.task):
            continue
        # What moves weights reads one text, or one picture, and vectors have none.
        still = dataset.pairs or dataset.modality in (VECTORS, IMAGE_TEXT)
        if still and set(rule.strategies) <= set(MOVERS):
            continue
        if not rule.holds(dataset.modality, smallest):
            out.append(Advice(rule.strategies, False, rule.otherwise))
            continue
        asked = tuple(name for name in rule.strategies if name in MOVERS and name not in tried)
        unasked = tuple(name for name in rule.strategies if name not in asked)
        out += [Advice(unasked, True, rule.why)] * bool(unasked)
        items = PLURAL[dataset.modality]
        why = f"that they help {items} was not shown on other sets: tune tries them where they are named"
        out += [Advice(asked, False, why)] * bool(asked)
    return out
