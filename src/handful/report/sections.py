"""The parts of the page: what every run tells, and what fits its task: classes, labels, numbers, answers in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.data.conversations import plain_prompt
from handful.evaluation.scores import most_doubtful
from handful.report.curves import Curve
from handful.report.usage import usage_of
from handful.report.words import printable
from handful.tasks.classification import confusions
from handful.tasks.classification.details import ClassDetails
from handful.tasks.name_scores import NameScore, weakest_first

if TYPE_CHECKING:
    from handful.run import Run

# The plot of numbers: width and height, and how many lines cross it.
WIDTH, HEIGHT, TICKS = 400, 360, 4

# How many rows are shown whose answers in words were the most surprising.
_SHOWN = 10


@dataclass(frozen=True)
class Part:
    """A part of the page."""

    place: str
    """What it is called in links on the page."""
    title: str
    """What it is called in the list of parts."""
    template: str
    """The file that draws it."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the template needs beside what all parts know."""


def parts(run: Run, folder: Path, curves: Sequence[Curve]) -> list[Part]:
    """The parts of the page, in the order in which a reader decides.

    Args:
        run: what ``tune`` returned.
        folder: the run folder, as the user named it.
        curves: how weights moved, drawn.
    """
    scores = run.scores
    checks = scores.slices or scores.stability or scores.kept
    every = (
        Part("arms", "What was tried", "report_arms.j2"),
        Part("training", "Training", "report_training.j2") if curves else None,
        *_of_task(run),
        Part("steady", "What unsettles it", "report_steady.j2") if checks else None,
        _hardest(run) if "answers" in scores.details else Part("doubtful", "Doubtful rows", "report_doubtful.j2"),
        Part("data", "The data", "report_data.j2"),
        Part("labels", "More labels", "report_more.j2") if scores.curve else None,
        Part("choice", "The choice", "report_choice.j2"),
        Part("use", "Use it", "report_use.j2", {"usage": usage_of(run, folder)}),
    )
    return [part for part in every if part is not None]


def _of_task(run: Run) -> list[Part]:
    """The parts that fit what a task told of its answers: the first of its entries that has one decides."""
    maker = next((make for entry, make in _MAKERS.items() if entry in run.scores.details), None)
    return [] if maker is None else [maker(run)]


def _classes(run: Run) -> Part:
    details = ClassDetails.from_dict(run.scores.details)
    context = {
        "matrix": confusions.cells(details),
        "largest": confusions.largest(details),
        "name_scores": weakest_first(details.classes),
        "small": len(details.labels) <= confusions.SMALL,
    }
    return Part("classes", run.model.task.nouns[1].capitalize(), "report_classes.j2", context | _names(run))


def _labels(run: Run) -> Part:
    scores = weakest_first(map(NameScore.from_dict, run.scores.details["per_label"]))
    return Part("classes", "Labels", "report_labels.j2", {"name_scores": scores} | _names(run))


def _names(run: Run) -> dict[str, Any]:
    """What every table of names needs."""
    return {"weakest": confusions.WEAKEST, "measured": _measured(run)}


def _hardest(run: Run) -> Part:
    """The held-out rows whose wanted answers surprised the chosen arm most."""
    rows = most_doubtful(run.held_out, _SHOWN)
    place = {row: position for position, row in enumerate(run.data.rows)}
    shown = [
        {
            "row": answer.row,
            "prompt": printable(plain_prompt(run.data.items[place[answer.row]])),
            "wanted": printable(answer.label),
            "said": printable(answer.predicted),
            "loss": float(answer.beside["loss"]),
        }
        for answer in rows
    ]
    return Part("rows", "Hardest rows", "report_answers.j2", {"shown": shown})


def _numbers(run: Run) -> Part:
    found = run.scores.details.get("prediction_interval")
    half = found["half_width"] if found else 0.0
    own = np.array([float(answer.label) for answer in run.held_out])
    said = np.array([float(answer.predicted) for answer in run.held_out])
    low, high = float(min(own.min(), said.min())), float(max(own.max(), said.max()))
    room = 0.04 * (high - low) or 0.5  # all of them the same as they are written
    low, high = low - room, high + room

    def across(value: float) -> float:
        return round(WIDTH * (value - low) / (high - low), 1)

    def down(value: float) -> float:
        return round(HEIGHT * (1 - (float(np.clip(value, low, high)) - low) / (high - low)), 1)

    dots = [
        {"x": across(x), "y": down(y), "row": answer.row, "label": answer.label, "answer": answer.predicted}
        for x, y, answer in zip(own.tolist(), said.tolist(), run.held_out, strict=True)
    ]
    corners = [(low, low - half), (high, high - half), (high, high + half), (low, low + half)]
    ticks = [
        {"x": across(value), "y": down(value), "text": f"{value:.3g}"}
        for value in np.linspace(own.min(), own.max(), TICKS).tolist()
    ]
    scatter = {
        "dots": dots,
        "ticks": ticks,
        "half": f"{half:.3g}" if half else "",
        "level": found["level"] if found else 0.0,
        "band": " ".join(f"{across(x)},{down(y)}" for x, y in corners),
    }
    return Part("classes", "Answers", "report_numbers.j2", {"scatter": scatter, "measured": _measured(run)})


def _measured(run: Run) -> list[tuple[str, str]]:
    """Every metric of a task by its title, with its interval."""
    return [(title, f"{value} ({span})") for title, value, span in run.scores.every_metric(run.model.task.metrics)]


_MAKERS: dict[str, Callable[[Run], Part]] = {"classes": _classes, "per_label": _labels, "numbers": _numbers}
"""Entry of what a task tells → what the page makes of it."""
