"""The scores of a language run: every arm's loss and what its answers are worth, paired on the same held-out rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from handful.evaluation.answers import LOSS
from handful.evaluation.intervals import LEVEL, Estimate, Groups, better, difference, interval
from handful.evaluation.metrics import Measured
from handful.evaluation.scores import unreadable
from handful.readback import checked, read_json, shortened

TASK = "language"
"""What ``scores.json`` says of a run that answers in words."""


@dataclass(frozen=True)
class Told:
    """What one arm did on the held-out rows."""

    name: str
    """What the arm is called."""
    rung: int
    """0: prompts only; 1 and up: weights moved."""
    measured: dict[str, Measured]
    """Metric → its sums over the N rows; ``loss`` is always there but for arms that only answer."""
    answers: tuple[str, ...] = ()
    """N answers, where they were asked for."""
    seconds: float = 0.0
    """What it took."""
    tokens: float = 0.0
    """How many tokens a prompt has on the mean: what an answer costs."""
    moved: int = 0
    """How many weights could move."""
    shown: tuple[int, ...] = ()
    """How many examples it showed on each fold; empty where it shows none."""


@dataclass(frozen=True)
class Spoke:
    """An arm as it is reported."""

    name: str
    """What it is called in ``--strategies``."""
    rung: int
    """0: prompts only; 1 and up: weights moved."""
    estimates: dict[str, Estimate]
    """Metric → its score on the held-out rows."""
    verdict: str
    """``chosen``, ``tie``, ``better`` or ``worse`` than the chosen arm."""
    reason: str
    """The verdict in one sentence."""
    versus: str | None
    """The arm that ``difference`` compares with."""
    difference: Estimate | None
    """This arm minus ``versus`` in the metric of the run, on the same rows."""
    seconds: float
    """What it took."""
    tokens: float
    """How many tokens a prompt has on the mean."""
    moved: int
    """How many weights could move."""
    shown: tuple[int, ...] = ()
    """How many examples it showed on each fold; empty where it shows none."""

    def as_dict(self) -> dict[str, Any]:
        """The arm as it stands in ``scores.json``."""
        versus = None if self.difference is None else self.difference.as_dict()
        return {
            "name": self.name, "rung": self.rung,
            "metrics": {name: found.as_dict() for name, found in self.estimates.items()},
            "versus": self.versus, "difference": versus, "verdict": self.verdict, "reason": self.reason,
            "seconds": round(self.seconds, 3), "prompt_tokens": round(self.tokens, 1), "moved": self.moved,
            "shown": list(self.shown),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Spoke:
        """Read back what ``as_dict`` wrote."""
        return cls(
            raw["name"], raw["rung"], {name: Estimate(**found) for name, found in raw["metrics"].items()},
            raw["verdict"], raw["reason"], raw["versus"], raw["difference"] and Estimate(**raw["difference"]),
            raw["seconds"], raw["prompt_tokens"], raw["moved"], tuple(raw.get("shown", ())),
        )  # fmt: skip


@dataclass(frozen=True)
class AnswerScores:
    """What a language run measured."""

    metric: str
    """What arms are compared by: ``loss``, the lower the better, or a metric from 0 to 1."""
    n: int
    """How many rows were held out in turn."""
    protocol: str
    """How rows were held out."""
    chosen: str
    """The arm that became the model."""
    estimate: Estimate
    """Its score."""
    arms: tuple[Spoke, ...]
    """All arms, cheapest first."""
    forgetting: Estimate | None = None
    """How much the loss on general questions rose where weights moved, in nats per token; None where none did."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each stage took."""
    test: Estimate | None = None
    """The score on the rows that the source marks as test, touched once; None where it marks none."""
    test_n: int = 0
    """How many test rows there were."""
    level: float = LEVEL
    """Nominal coverage of every interval."""
    sentence: str = ""
    """The result in words."""

    def as_dict(self) -> dict[str, Any]:
        """What ``scores.json`` holds."""
        return {
            "task": TASK, "metric": self.metric, "level": self.level, "n": self.n, "protocol": self.protocol,
            "chosen": self.chosen, "estimate": self.estimate.as_dict(), "sentence": self.sentence,
            "arms": [arm.as_dict() for arm in self.arms],
            "forgetting": None if self.forgetting is None else self.forgetting.as_dict(),
            "test": None if self.test is None else {**self.test.as_dict(), "n": self.test_n},
            "seconds": {stage: round(time, 3) for stage, time in self.seconds.items()},
        }  # fmt: skip

    @classmethod
    def read(cls, file: Path) -> AnswerScores:
        """Read back what ``as_dict`` wrote to ``scores.json``.

        Raises:
            BundleError: the file is not a scores file of a language run.
        """
        return read_json(file, cls._from_dict, unreadable(file))

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> AnswerScores:
        if raw["task"] != TASK:
            raise ValueError(f"task {shortened(raw['task'])}")
        found = cls(
            raw["metric"], raw["n"], raw["protocol"], raw["chosen"], Estimate(**raw["estimate"]),
            tuple(Spoke.from_dict(arm) for arm in raw["arms"]),
            raw["forgetting"] and Estimate(**raw["forgetting"]), raw["seconds"],
            raw["test"] and Estimate(*(raw["test"][key] for key in ("value", "low", "high"))),
            raw["test"]["n"] if raw["test"] else 0, raw["level"], raw["sentence"],
        )  # fmt: skip
        if found.chosen not in [arm.name for arm in found.arms]:
            raise ValueError(f"no arm is called {shortened(found.chosen)}")
        str(checked(found))  # numbers that cannot be told are none that a run gives
        return found

    def __str__(self) -> str:
        """The arms as an aligned table, and the result in a sentence."""
        metrics = list(dict.fromkeys(name for arm in self.arms for name in arm.estimates))
        wide = max(len(arm.name) for arm in self.arms) + 2
        head = "".join(f"{name:<26}" for name in metrics)
        lines = [f"{'arm':<{wide}}{head}verdict"]
        for arm in self.arms:
            cells = (format(arm.estimates[name], ".3f") if name in arm.estimates else "" for name in metrics)
            lines.append(f"{arm.name:<{wide}}{''.join(f'{cell:<26}' for cell in cells)}{arm.verdict}")
        shown = [f"{arm.name} shows {_span(arm.shown)}" for arm in self.arms if arm.shown]
        told = [f"{', '.join(shown)} in the prompt."] if shown else []
        return "\n".join([*lines, *told, self.sentence])


def _span(counts: Sequence[int]) -> str:
    """How many examples, in words."""
    low, high = min(counts), max(counts)
    return f"{low} example{'s' * (low > 1)}" if low == high else f"{low} to {high} examples"


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric is more."""
    return metric == LOSS


def chosen_of(arms: Sequence[Told], metric: str, groups: Groups) -> Told:
    """The arm to take: each in turn, cheapest first, replaces the one before if it is better beyond doubt.

    With many arms one of them is lucky: each is asked for so much more (Bonferroni) that a worthless arm is taken in
    at most one run of twenty, however many were tried.
    """
    best, level = arms[0], 1 - (1 - LEVEL) / max(1, len(arms) - 1)
    for arm in arms[1:]:
        if better(arm.measured[metric], best.measured[metric], groups, level).low > 0:
            best = arm
    return best


def summed(
    arms: Sequence[Told], chosen: str, metric: str, protocol: str, groups: Groups, forgetting: Estimate | None
) -> AnswerScores:
    """Put the scores of a run together.

    Args:
        arms: what each arm did on the same N rows, cheapest first.
        chosen: the arm that becomes the model.
        metric: what arms are compared by.
        protocol: how rows were held out, in words.
        groups: (N,) rows that are not independent share a number, or None.
        forgetting: how much general questions suffered, if weights moved.
    """
    taken = next(arm for arm in arms if arm.name == chosen)
    out = []
    for arm in arms:
        rival = _rival(arms, taken, metric) if arm is taken else taken
        found = None if rival is arm else difference(arm.measured[metric], rival.measured[metric], groups)
        verdict, reason = _judged(arm, taken, rival, metric, groups)
        out.append(
            Spoke(
                arm.name, arm.rung, {name: interval(measured, groups) for name, measured in arm.measured.items()},
                verdict, reason, None if found is None else rival.name, found, arm.seconds, arm.tokens, arm.moved,
                arm.shown,
            )
        )  # fmt: skip
    n = len(taken.measured[metric])
    score = interval(taken.measured[metric], groups)
    return AnswerScores(
        metric, n, protocol, chosen, score, tuple(out), forgetting, sentence=_sentence(taken, out, score, n, metric)
    )


def _rival(arms: Sequence[Told], taken: Told, metric: str) -> Told:
    """What the chosen arm is set against: the best of those that move nothing, or itself where there is no other."""
    others = [arm for arm in arms if arm is not taken and arm.rung == 0]
    if not others or taken is arms[0]:
        return taken
    sign = 1 if lower_is_better(metric) else -1
    return min(others, key=lambda arm: sign * arm.measured[metric].value)


def _judged(arm: Told, taken: Told, rival: Told, metric: str, groups: Groups) -> tuple[str, str]:
    if rival is arm:
        return "chosen", "Nothing was better beyond doubt."
    found = better(arm.measured[metric], rival.measured[metric], groups)
    apart = f"{abs(found.value):.3g} {unit(metric)} ({found.low:+.3g} to {found.high:+.3g})"
    if arm is taken:
        if found.low > 0:
            return "chosen", f"Better than {rival.name} by {apart}."
        return "chosen", f"Cannot be told from {rival.name}: {apart}."
    if found.holds_zero:
        return "tie", f"Cannot be told from {taken.name} on these rows: {apart} apart."
    return ("better", f"Better than {taken.name} by {apart}.") if found.value > 0 else (
        "worse", f"Worse than {taken.name} by {apart}.",
    )  # fmt: skip


def unit(metric: str) -> str:
    """What differences of a metric are counted in."""
    return "nats per token" if lower_is_better(metric) else "of 1"


def _sentence(taken: Told, arms: Sequence[Spoke], score: Estimate, n: int, metric: str) -> str:
    ties = [arm.name for arm in arms if arm.verdict == "tie"]
    tied = f"; {' and '.join(ties)} cannot be told from it" if ties else ""
    if lower_is_better(metric):
        perplexity = ", ".join(f"{math.exp(min(x, 50.0)):.3g}" for x in (score.low, score.high))
        said = (
            f"answer loss {score.value:.3f} nats per token, between {score.low:.3f} and {score.high:.3f} (95 % "
            f"interval, {n} rows held out; perplexity between {perplexity.replace(', ', ' and ')})"
        )
    else:
        low, high = np.clip([score.low, score.high], 0, 1)
        name = metric.replace("_", " ")
        said = f"{name} {score.value:.0%}, between {low:.0%} and {high:.0%} (95 % interval, {n} rows held out)"
    return f"{said}; {taken.name} is taken{tied}."
