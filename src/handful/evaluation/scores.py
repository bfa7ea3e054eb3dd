"""The Scores of a run: every arm with its interval, its difference to another, and a verdict in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import BundleError
from handful.evaluation.conformal import Sets
from handful.evaluation.curves import Curve
from handful.evaluation.intervals import LEVEL, Estimate
from handful.evaluation.slices import Slice, named
from handful.evaluation.stability import Changed, Kept, worth_telling

LARGEST_TABLE = 150
"""Above so many classes a table of all pairs is mostly empty, and nobody reads it."""


@dataclass(frozen=True)
class Arm:
    """One way to answer, measured on the same folds as the others."""

    name: str
    """What it is called in ``--strategies``."""
    rung: int
    """The rung of the ladder: 0 frozen, 1 and up moving weights."""
    estimate: Estimate
    """Its out-of-fold score."""
    verdict: str
    """``chosen``, ``tie``, ``worse``, ``better`` or ``reference``: how it compares with the chosen arm."""
    reason: str
    """The verdict in one sentence."""
    versus: str | None = None
    """The arm that ``difference`` compares with."""
    difference: Estimate | None = None
    """This arm minus ``versus`` in accuracy, paired on the same rows."""
    seconds: float = 0.0
    """What the arm's own fits took."""
    setting: dict[str, Any] | None = None
    """The options that its refit on all rows uses."""

    def as_dict(self) -> dict[str, Any]:
        """The arm as it stands in ``scores.json``."""
        out: dict[str, Any] = {"name": self.name, "rung": self.rung, **self.estimate.as_dict()}
        out["seconds"] = round(self.seconds, 3)
        if self.difference is not None:
            out["versus"], out["difference"] = self.versus, self.difference.as_dict()
        return {**out, "verdict": self.verdict, "reason": self.reason, "setting": self.setting}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Arm:
        """Read back what ``as_dict`` wrote."""
        estimate = Estimate(raw["value"], raw["low"], raw["high"])
        difference = Estimate(**raw["difference"]) if "difference" in raw else None
        told = {key: raw[key] for key in ("name", "rung", "verdict", "reason", "seconds", "setting")}
        return cls(**told, estimate=estimate, versus=raw.get("versus"), difference=difference)


@dataclass(frozen=True)
class ClassScore:
    """How one class fares out of fold."""

    name: str
    """The class."""
    rows: int
    """How many training rows it has."""
    recall: Estimate
    """Share of its rows that are found."""
    precision: Estimate | None
    """Share of the answers with this class that are right; None where it is never answered."""


@dataclass(frozen=True)
class Scores:
    """What a run measured."""

    metric: str
    """The metric of ``estimate`` and of the arms."""
    n: int
    """How many rows were held out in turn."""
    labels: tuple[str, ...]
    """The class names, in the order of the confusion table."""
    protocol: str
    """How rows were held out."""
    chosen: str
    """The arm that became the model."""
    estimate: Estimate
    """The score of the whole procedure, every choice made inside the training part of each fold."""
    arms: tuple[Arm, ...]
    """All arms, cheapest first."""
    confusion: NDArray[np.float64]
    """(C, C) true by predicted class out of fold, mean over repeats: each row of data counts once."""
    classes: tuple[ClassScore, ...]
    """Per class, in the order of ``labels``."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each stage took."""
    level: float = LEVEL
    """Nominal coverage of every interval."""
    test: Estimate | None = None
    """The score on the rows that the source marks as test, touched once; None where it marks none."""
    test_n: int = 0
    """How many test rows there were."""
    sentence: str = ""
    """The result in one sentence."""
    curve: Curve | None = None
    """Accuracy of the frozen rung against the number of labels, and what more are worth; None in runs of old."""
    sets: Sets | None = None
    """What sets of classes look like that hold the right one nine times in ten; None where rows are too few."""
    slices: tuple[Slice, ...] = ()
    """How parts of the rows fare: by length, group, source and class."""
    stability: tuple[Changed, ...] = ()
    """How many answers survive each slight change of the items; empty at budget 0."""
    kept: Kept | None = None
    """How much of what it knew the backbone kept; None where no weights moved, and at budget 0."""

    @property
    def cautions(self) -> list[str]:
        """What to know before the model is used: parts that differ, changes that unsettle it, what it forgot."""
        return [part.sentence for part in named(self.slices)] + worth_telling(self.stability, self.kept)

    def as_dict(self) -> dict[str, Any]:
        """What ``scores.json`` holds."""
        return {
            "metric": self.metric,
            "level": self.level,
            "n": self.n,
            "labels": list(self.labels),
            "protocol": self.protocol,
            "chosen": self.chosen,
            "estimate": self.estimate.as_dict(),
            "sentence": self.sentence,
            "test": None if self.test is None else {**self.test.as_dict(), "n": self.test_n},
            "arms": [arm.as_dict() for arm in self.arms],
            "classes": [
                {
                    "name": c.name,
                    "rows": c.rows,
                    "recall": c.recall.as_dict(),
                    "precision": None if c.precision is None else c.precision.as_dict(),
                }
                for c in self.classes
            ],
            **_told(self.confusion),
            "seconds": {stage: round(time, 3) for stage, time in self.seconds.items()},
            **({} if self.curve is None else {"curve": self.curve.as_dict()}),
            **({} if self.sets is None else {"sets": self.sets.as_dict()}),
            **({"slices": [part.as_dict() for part in self.slices]} if self.slices else {}),
            **({"stability": [change.as_dict() for change in self.stability]} if self.stability else {}),
            **({} if self.kept is None else {"kept": self.kept.as_dict()}),
        }

    @classmethod
    def read(cls, file: Path) -> Scores:
        """Read back what ``as_dict`` wrote to ``scores.json``.

        Raises:
            BundleError: the file is missing or is not a scores file.
        """
        if not file.is_file():
            raise BundleError(
                f"{file.parent} must be a run folder, but there is no {file.name} in it. "
                "Name the folder that `handful tune` wrote."
            )
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                metric=raw["metric"],
                n=raw["n"],
                labels=tuple(raw["labels"]),
                protocol=raw["protocol"],
                chosen=raw["chosen"],
                estimate=Estimate(**raw["estimate"]),
                arms=tuple(Arm.from_dict(arm) for arm in raw["arms"]),
                confusion=_table(raw),
                classes=tuple(
                    ClassScore(
                        c["name"], c["rows"], Estimate(**c["recall"]), c["precision"] and Estimate(**c["precision"])
                    )
                    for c in raw["classes"]
                ),
                seconds=raw["seconds"],
                level=raw["level"],
                test=raw["test"] and Estimate(*(raw["test"][key] for key in ("value", "low", "high"))),
                test_n=raw["test"]["n"] if raw["test"] else 0,
                sentence=raw["sentence"],
                curve=Curve.from_dict(raw["curve"]) if "curve" in raw else None,
                sets=Sets(**raw["sets"]) if "sets" in raw else None,
                slices=tuple(Slice.from_dict(part) for part in raw.get("slices", ())),
                stability=tuple(Changed.from_dict(change) for change in raw.get("stability", ())),
                kept=Kept.from_dict(raw["kept"]) if "kept" in raw else None,
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(
                f"{file} cannot be read as the scores of a run ({error}). Name another run folder, or tune again."
            ) from error

    def __str__(self) -> str:
        """The arms as an aligned table, the result in a sentence, what more labels are worth, and what to beware of."""
        wide = max(len(arm.name) for arm in self.arms) + 2
        column = max(len(self.metric), 5)
        lines = [f"{'arm':<{wide}}{self.metric:>{column}}   {self.level:.0%} interval     verdict"]
        for arm in self.arms:
            e = arm.estimate
            lines.append(f"{arm.name:<{wide}}{e.value:>{column}.3f}   {e.low:.3f} to {e.high:.3f}   {arm.verdict}")
        worth = [] if self.curve is None else [self.curve.sentence]
        return "\n".join([*lines, self.sentence, *worth, *self.cautions])


def _told(confusion: NDArray[np.float64]) -> dict[str, Any]:
    """A table of confusions; of a large one, which is nearly empty, the fields that are not: true, answered, rows."""
    table = np.round(confusion, 3)
    if len(table) <= LARGEST_TABLE:
        return {"confusion": table.tolist()}
    at = np.nonzero(table)
    return {"confusions": [list(field) for field in zip(*(part.tolist() for part in (*at, table[at])), strict=True)]}


def _table(raw: dict[str, Any]) -> NDArray[np.float64]:
    """Read back what ``_told`` wrote."""
    if "confusion" in raw:
        return np.array(raw["confusion"])
    table = np.zeros((len(raw["labels"]),) * 2)
    for true, answered, rows in raw["confusions"]:
        table[true, answered] = rows
    return table


@dataclass(frozen=True)
class HeldOut:
    """The out-of-fold answer for one training row."""

    row: int
    """Zero-based position in the source."""
    label: str
    """The class that the source says."""
    predicted: str
    """The class with the highest mean probability over the repeats, each time held out."""
    confidence: float
    """Mean probability of ``predicted`` over repeats, calibrated inside the folds."""
    own: float
    """Mean probability of ``label``; the lowest are the most doubtful rows."""


def most_doubtful(answers: Sequence[HeldOut], count: int) -> list[HeldOut]:
    """The rows whose own label was least probable while they were held out, the most doubtful first."""
    return sorted(answers, key=lambda answer: (answer.own, answer.row))[:count]
