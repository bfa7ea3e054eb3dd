"""The report of a language run: every arm on the same held-out rows, what was answered, and what it cost to learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from handful.data.conversations import Preference
from handful.evaluation.answer_scores import Spoke, lower_is_better
from handful.evaluation.answers import LOSS
from handful.evaluation.general import QUESTIONS
from handful.report.curves import Curve, curve
from handful.report.page import environment, findings_named, inlined
from handful.report.usage import quoted
from handful.report.words import printable
from handful.run import Training
from handful.strategies.language.forgetting import FORGOTTEN
from handful.strategies.language.in_context import words_of

if TYPE_CHECKING:
    from handful.speech import LanguageRun

# How many rows are shown that were answered worst.
_SHOWN = 10


@dataclass(frozen=True)
class Shown:
    """One held-out row and what the chosen arm made of it."""

    row: int
    """Zero-based position in the source."""
    prompt: str
    """What was asked."""
    wanted: str
    """The answer of the source; of a pair the chosen one."""
    said: str
    """What the model answered; empty where it was not asked to."""
    loss: float
    """Nats per token of the wanted answer."""


def render(run: LanguageRun, place: Path) -> str:
    """Write the report of a language run.

    Args:
        run: what ``tune`` returned.
        place: the run folder, as the user named it.

    Returns:
        The text of one HTML file, with its styles and scripts inside.
    """
    scores = run.scores
    names = list(dict.fromkeys(name for arm in scores.arms for name in arm.estimates))
    taken = next(arm for arm in scores.arms if arm.name == scores.chosen)
    page = (
        environment()
        .get_template("language.html.j2")
        .render(
            run=run,
            scores=scores,
            title=_title(run, taken),
            taken=taken,
            metrics=names,
            scale=_scale(scores.arms, scores.metric),
            curves=[drawn for name in run.speech.curves if (drawn := _curve(run, name)) is not None],
            shown=_worst(run),
            findings=findings_named(run.findings, run.data),
            notes=[*run.data.notes, *run.notes],
            folder=quoted(place),
            asked=len(QUESTIONS),
            forgot=FORGOTTEN,
            merges=run.model.tuner not in (None, "prefix", "prompt", "adapter") and run.model.shots is None,
            pairs=isinstance(run.data.items[0], Preference),
            perplexity=lambda estimate: math.exp(min(estimate.value, 50.0)),
            **inlined(),
        )
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def _title(run: LanguageRun, taken: Spoke) -> str:
    """The result in one line."""
    base = run.scores.arms[0]
    if taken.name == base.name:
        return "Nothing beats asking the model as it is"
    best = taken.reason.split(" by ")[0].split(":")[0].rstrip(".")
    if not best.startswith("Better"):
        return f"{taken.name} is taken: {best[0].lower()}{best[1:]}"
    if taken.rung:
        return f"Tuned with {taken.name}: {best[0].lower()}{best[1:]}"
    return f"Examples in the prompt are enough: {taken.name} is {best[0].lower()}{best[1:]}"


def _scale(arms: tuple[Spoke, ...], metric: str) -> float:
    """What the right end of the charts stands for."""
    if not lower_is_better(metric):
        return 1.0
    return 1.05 * max(min(arm.estimates[metric].high, 3 * arm.estimates[metric].value) for arm in arms)


def _curve(run: LanguageRun, name: str) -> Curve | None:
    """The learning curves of an arm; those that an alarm ended early set the length."""
    logs = run.speech.curves[name]
    length = min(len(log) for log in logs)
    curves = tuple(tuple(update.loss for update in log[:length]) for log in logs)
    arm = next(arm for arm in run.scores.arms if arm.name == name)
    return curve(Training(name, curves, 0.0, 0.0, arm.moved, name == run.scores.chosen))


def _worst(run: LanguageRun) -> list[Shown]:
    """The held-out rows whose wanted answers surprised the chosen arm most."""
    taken = next(arm for arm in run.speech.told if arm.name == run.scores.chosen)
    each = taken.measured[LOSS].scores
    found = []
    for at in np.argsort(-each)[:_SHOWN].tolist():
        row = int(run.speech.rows[at])
        item = run.data.items[row]
        wanted = item.chosen if isinstance(item, Preference) else item.answer
        said = taken.answers[at] if taken.answers else ""
        prompt, wanted, said = (printable(text) for text in (words_of(item.prompt), wanted, said))
        found.append(Shown(run.data.rows[row], prompt, wanted, said, float(each[at])))
    return found
