"""The Scores of a run: every arm with its interval, its difference to another, and a verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.names import listed
from handful.energy import Energy
from handful.errors import BundleError, OptionError, suggestion
from handful.evaluation.curves import Curve
from handful.evaluation.inputs import Inputs
from handful.evaluation.intervals import LEVEL, Estimate
from handful.evaluation.lead import Lead
from handful.evaluation.metrics import Metric, Scale
from handful.evaluation.slices import Slice, named
from handful.evaluation.stability import Changed, Kept, worth_telling
from handful.notebook_html import page, paragraph, table
from handful.readback import checked, read_json, shortened
from handful.run_folder import no_run

# What all tasks have in ``scores.json``; whatever else stands there is the task's.
_OWN = (
    "task", "metric", "scale", "level", "n", "protocol", "chosen", "estimate", "sentence", "test", "arms", "seconds",
    "curve", "slices", "stability", "kept", "lead", "scales", "energy", "inputs",
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One way to answer, measured on the same folds as the others."""

    name: str
    """What it is called in ``--strategies``."""
    rung: int
    """The rung of the ladder: 0 frozen, 1 and up moving weights."""
    estimate: Estimate
    """Its out-of-fold score; of the chosen arm what is claimed of the model, ``Scores.estimate``."""
    verdict: str
    """``chosen``, ``tie``, ``worse`` or ``better``: how it compares with the chosen arm."""
    reason: str
    """The verdict in one sentence."""
    versus: str | None = None
    """The arm that ``difference`` compares with."""
    difference: Estimate | None = None
    """This arm minus ``versus`` in the metric of the run, paired on the same rows."""
    seconds: float = 0.0
    """What the arm's own fits took."""
    setting: dict[str, Any] | None = None
    """The options that its refit on all rows uses."""
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    """Further metrics of the same answers, by name, where the task tells them of every arm."""
    by: Scale | None = None
    """How ``difference`` is told where a finer metric than that of the run showed it; None: by that of the run."""

    def gain(self, scale: Scale) -> Estimate | None:
        """By how much it is better than ``versus``; ``scale`` is that of the run."""
        better = (self.by or scale).higher_is_better
        return self.difference if better or self.difference is None else -self.difference

    def as_dict(self) -> dict[str, Any]:
        """The arm as it stands in ``scores.json``."""
        out: dict[str, Any] = {"name": self.name, "rung": self.rung, **self.estimate.as_dict()}
        out["seconds"] = round(self.seconds, 3)
        if self.difference is not None:
            out["versus"], out["difference"] = self.versus, self.difference.as_dict()
        if self.by is not None:
            out["by"] = asdict(self.by)
        if self.metrics:
            out["metrics"] = {name: estimate.as_dict() for name, estimate in self.metrics.items()}
        return {**out, "verdict": self.verdict, "reason": self.reason, "setting": self.setting}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Arm:
        """Read back what ``as_dict`` wrote."""
        estimate = Estimate(raw["value"], raw["low"], raw["high"])
        difference = Estimate(**raw["difference"]) if "difference" in raw else None
        told = {key: raw[key] for key in ("name", "rung", "verdict", "reason", "seconds", "setting")}
        metrics = {name: Estimate(**found) for name, found in raw.get("metrics", {}).items()}
        by = Scale(**raw["by"]) if "by" in raw else None
        return cls(**told, estimate=estimate, versus=raw.get("versus"), difference=difference, metrics=metrics, by=by)


@dataclass(frozen=True)
class Scores:
    """What a run measured."""

    metric: str
    """The metric of ``estimate`` and of the arms."""
    n: int
    """How many rows were held out in turn."""
    protocol: str
    """How rows were held out."""
    chosen: str
    """The arm that became the model."""
    estimate: Estimate
    """The score of the whole procedure, every choice made inside the training part of each fold."""
    arms: tuple[Arm, ...]
    """All arms, cheapest first."""
    task: str = "classification"
    """The name of the task."""
    scale: Scale = field(default_factory=Scale)
    """How the metric is told."""
    scales: Mapping[str, Scale] = field(default_factory=dict)
    """How the further metrics of arms are told, by name; those of runs of old are plain numbers."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the task tells beside these, as it stands in ``scores.json``: of classes their recall and the confusion."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each stage took."""
    energy: Energy | None = None
    """What the run took from the socket, as a range; None in runs of old."""
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
    slices: tuple[Slice, ...] = ()
    """How parts of the rows fare: by length, language, group, source and class."""
    stability: tuple[Changed, ...] = ()
    """How many answers survive each slight change of the items; empty at budget 0."""
    kept: Kept | None = None
    """How much of what it knew the backbone kept; None where no weights moved, and at budget 0."""
    lead: Lead | None = None
    """What is told before any figure, of answers in words; None of all else."""
    inputs: Inputs | None = None
    """Whether both inputs of the rows answer better than one of them alone; None where rows have one."""

    def beats(self, arm: str) -> bool:
        """Whether rows show the model to be better than another arm; a tie is no such thing.

        Args:
            arm: its name, as the table has it.

        Raises:
            OptionError: no arm is called so.
        """
        names = [other.name for other in self.arms]
        if arm not in names:
            raise OptionError(f"{arm!r} must be an arm of this run ({listed(names)}).{suggestion(arm, names)}")
        versus = next(other.versus for other in self.arms if other.name == self.chosen)
        if arm in (self.chosen, versus):
            return bool(self.beats_reference(arm))
        return next(other.verdict for other in self.arms if other.name == arm) == "worse"

    def beats_reference(self, reference: str) -> bool | None:
        """Whether rows show the model to be better than what any model has to beat; None where that was not tried.

        Row by row where both were measured on the same rows; on test rows, where the source has any, by their interval.

        Args:
            reference: the arm, as the task names it.
        """
        if self.chosen == reference:
            return False
        arms = {arm.name: arm for arm in self.arms}
        if reference not in arms:
            return None
        gain, better = arms[self.chosen].gain(self.scale), self.scale.higher_is_better
        if self.test is None and gain is not None:
            return gain.low > 0
        score, always = self.test or self.estimate, arms[reference].estimate.value
        return score.low > always if better else score.high < always

    @property
    def cautions(self) -> list[str]:
        """What to know before the model is used: parts that differ, changes that unsettle it, what it forgot."""
        return [part.sentence for part in named(self.slices)] + worth_telling(self.stability, self.kept)

    def every_metric(self, metrics: Mapping[str, Metric]) -> list[tuple[str, str, str]]:
        """Title, value and interval of every metric that the task told of its answers, in words."""
        told = []
        for name, raw in self.details.get("metrics", {}).items():
            scale, estimate = metrics[name].scale, Estimate(**raw)
            told.append((scale.title, estimate.told(scale), scale.between(estimate.low, estimate.high, "to")))
        return told

    def tested(self, estimate: Estimate, rows: int) -> tuple[Scores, list[str]]:
        """The same with the score on so many test rows, which the sentence begins with, and notes.

        Of too few rows for an interval nothing is told but that.
        """
        word = "test row" if rows == 1 else "test rows"
        if not np.isfinite([estimate.low, estimate.high]).all():
            few = f"The {rows} {word} {'is' if rows == 1 else 'are'} too few for an interval of {self.scale.title}"
            return self, [f"{few}: nothing is told of {'it' if rows == 1 else 'them'}."]
        told = self.scale.between(estimate.low, estimate.high, "to")
        said = f"On the {rows} {word}: {estimate.told(self.scale)} ({told}). Held out in turn: {self.sentence}"
        return replace(self, test=estimate, test_n=rows, sentence=said), []

    def as_dict(self) -> dict[str, Any]:
        """What ``scores.json`` holds."""
        return {
            "task": self.task,
            "metric": self.metric,
            "scale": asdict(self.scale),
            "level": self.level,
            "n": self.n,
            "protocol": self.protocol,
            "chosen": self.chosen,
            "estimate": self.estimate.as_dict(),
            "sentence": self.sentence,
            "test": None if self.test is None else {**self.test.as_dict(), "n": self.test_n},
            "arms": [arm.as_dict() for arm in self.arms],
            **({"scales": {name: asdict(scale) for name, scale in self.scales.items()}} if self.scales else {}),
            **self.details,
            "seconds": self._written_seconds(),
            **({} if self.energy is None else {"energy": {**self.energy.as_dict(), **self._per_right()}}),
            **({} if self.curve is None else {"curve": self.curve.as_dict()}),
            **({"slices": [part.as_dict() for part in self.slices]} if self.slices else {}),
            **({"stability": [change.as_dict() for change in self.stability]} if self.stability else {}),
            **({} if self.kept is None else {"kept": self.kept.as_dict()}),
            **({} if self.lead is None else {"lead": self.lead.as_dict()}),
            **({} if self.inputs is None else {"inputs": self.inputs.as_dict()}),
        }

    @property
    def energy_per_right(self) -> dict[str, tuple[float, float]]:
        """Joules at least and at most for each held-out row answered right: ``frozen``, and ``tuned`` if weights moved.

        The run up to the best frozen arm is all but the stage in which weights move, by its share of the time; up to
        the best arm that moved them it is all. Empty where nobody measured, or the metric counts no right answers.
        """
        seconds = self._written_seconds()
        total = sum(seconds.values())
        if self.energy is None or self.metric != "accuracy" or not total:
            return {}
        still = 1 - seconds.get("train", 0.0) / total
        joules = {}
        for name, part, moved in (("frozen", still, False), ("tuned", 1.0, True)):
            best = max((arm.estimate.value for arm in self.arms if (arm.rung > 0) is moved), default=0.0)
            if right := self.n * round(best, 6):
                joules[name] = (self.energy.low * part / right, self.energy.high * part / right)
        return joules

    def _written_seconds(self) -> dict[str, float]:
        """Rounded as they are written, so that what is worked out from them is the same when they are read back."""
        return {stage: round(time, 3) for stage, time in self.seconds.items()}

    def _per_right(self) -> dict[str, Any]:
        told = {name: [float(f"{x:.3g}") for x in ends] for name, ends in self.energy_per_right.items()}
        return {"joules_per_right_answer": told} if told else {}

    @classmethod
    def read(cls, file: Path) -> Scores:
        """Read back what ``as_dict`` wrote to ``scores.json``.

        Raises:
            BundleError: the file is missing or is not a scores file.
        """
        if not file.is_file():
            raise no_run(file.parent, "a run folder", file.name)
        return read_json(file, cls._from_dict, unreadable(file))

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> Scores:
        scores = cls(
            task=raw["task"],
            metric=raw["metric"],
            scale=Scale(**raw["scale"]),
            n=raw["n"],
            protocol=raw["protocol"],
            chosen=raw["chosen"],
            estimate=Estimate(**raw["estimate"]),
            arms=tuple(Arm.from_dict(arm) for arm in raw["arms"]),
            scales={name: Scale(**scale) for name, scale in raw.get("scales", {}).items()},
            details={name: value for name, value in raw.items() if name not in _OWN},
            seconds=raw["seconds"],
            energy=Energy.from_dict(raw["energy"]) if "energy" in raw else None,
            level=raw["level"],
            test=raw["test"] and Estimate(*(raw["test"][key] for key in ("value", "low", "high"))),
            test_n=raw["test"]["n"] if raw["test"] else 0,
            sentence=raw["sentence"],
            curve=Curve.from_dict(raw["curve"]) if "curve" in raw else None,
            slices=tuple(Slice.from_dict(part) for part in raw.get("slices", ())),
            stability=tuple(Changed.from_dict(change) for change in raw.get("stability", ())),
            kept=Kept.from_dict(raw["kept"]) if "kept" in raw else None,
            lead=Lead.from_dict(raw["lead"]) if "lead" in raw else None,
            inputs=Inputs.from_dict(raw["inputs"]) if "inputs" in raw else None,
        )
        if scores.chosen not in [arm.name for arm in scores.arms]:
            raise ValueError(f"no arm is called {shortened(scores.chosen)}")
        str(checked(scores))  # numbers that cannot be told are none that a run gives
        return scores

    def __repr__(self) -> str:
        """The score of the chosen arm, on one line; ``print`` tells the others."""
        told = f"{self.estimate.told(self.scale)}, {self.scale.between(self.estimate.low, self.estimate.high, 'to')}"
        return f"Scores({self.metric} {told}; {self.chosen} of {len(self.arms)} arms on {self.n} rows)"

    def _repr_html_(self) -> str:
        head, *rows = self._table()
        said = [self.sentence, *self._worth, *self.cautions]
        return page(paragraph(said[0], strong=True), table(head, rows), *map(paragraph, said[1:]))

    def _table(self) -> list[list[str]]:
        """The names of the columns, and the cells of each arm."""
        further = list(dict.fromkeys(name for arm in self.arms for name in arm.metrics))
        rows = [["arm", self.metric, f"{self.level:.0%} interval", *further, "verdict"]]
        ends = [
            [self.scale.figure(end, arm.estimate.digits(self.scale)) for end in (arm.estimate.low, arm.estimate.high)]
            for arm in self.arms
        ]
        below = max(len(low) for low, _ in ends)
        for arm, (low, high) in zip(self.arms, ends, strict=True):
            beside = (
                arm.metrics[name].figure(self.scales.get(name, Scale(percent=False))) if name in arm.metrics else ""
                for name in further
            )
            rows.append([arm.name, arm.estimate.figure(self.scale), f"{low:>{below}} to {high}", *beside, arm.verdict])
        return rows

    def __str__(self) -> str:
        """The arms as an aligned table, the result in a sentence, what more labels are worth, and what to beware of.

        Of answers in words what is told first comes before all of it.
        """
        first = [] if self.lead is None else [*self.lead.lines(), "", "Details:"]
        return "\n".join([*first, self.table, self.sentence, *self._worth, *self.cautions])

    @property
    def _worth(self) -> list[str]:
        """What a second input, and what more labels are worth."""
        return [told.sentence for told in (self.inputs, self.curve) if told is not None]

    @property
    def table(self) -> str:
        """The arms as an aligned table, every number rounded as wherever else it is told."""
        cells = self._table()
        wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
        left = {0, 2, len(wide) - 1}  # what is read as words; numbers end below each other
        return "\n".join(
            "   ".join(cell.ljust(wide[i]) if i in left else cell.rjust(wide[i]) for i, cell in enumerate(row)).rstrip()
            for row in cells
        )


def unproven(who: str, reference: str, nothing_shown: str) -> str:
    """The sentence on a model that cannot be told from a guess.

    Args:
        who: what it is about, as the sentence begins.
        reference: what any model has to beat, after "than".
        nothing_shown: what it means, as the task says it.
    """
    return f"{who} is not shown to be better than {reference}: {nothing_shown}."


@dataclass(frozen=True)
class HeldOut:
    """The out-of-fold answer for one training row."""

    row: int
    """Zero-based position in the source."""
    label: str
    """What the source says."""
    predicted: str
    """What is answered by the mean over the repeats, each time held out."""
    confidence: float
    """How sure that answer is of itself, calibrated inside the folds."""
    own: float
    """How well ``label`` fits what is answered, from 0 to 1; the lowest are the most doubtful rows."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """What stands beside the answer in a table, by the columns of the task."""


def most_doubtful(answers: Sequence[HeldOut], count: int) -> list[HeldOut]:
    """The rows whose own label fitted worst while they were held out, the most doubtful first."""
    return sorted(answers, key=lambda answer: (answer.own, answer.row))[:count]


def unreadable(file: Path) -> Callable[[str], BundleError]:
    """Makes the error for a file of scores from what is wrong with it."""
    return lambda why: BundleError(
        f"{file} cannot be read as the scores of a run ({why}). Name another run folder, or tune again."
    )
