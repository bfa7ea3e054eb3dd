"""What the page tells of a task: a table and confusions of classes, a table of labels, a plot of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.evaluation.intervals import Estimate
from handful.tasks.classification import confusions
from handful.tasks.classification.details import ClassDetails

if TYPE_CHECKING:
    from handful.run import Run

# The plot of numbers: width and height, and how many lines cross it.
WIDTH, HEIGHT, TICKS = 400, 360, 4


@dataclass(frozen=True)
class Sections:
    """What is told of a task."""

    templates: tuple[str, ...] = ()
    """Files of templates, in order."""
    heading: str = ""
    """How they are called in the list of parts."""
    context: dict[str, Any] = field(default_factory=dict)
    """What the templates need."""


def of(run: Run) -> Sections:
    """The sections that fit what a task told of its answers: the first of its entries that has one decides."""
    maker = next((make for entry, make in _MAKERS.items() if entry in run.scores.details), None)
    return Sections() if maker is None else maker(run)


def _classes(run: Run) -> Sections:
    details = ClassDetails.from_dict(run.scores.details)
    context = {
        "matrix": confusions.cells(details),
        "largest": confusions.largest(details),
        "classes": confusions.weakest_first(details),
        "small": len(details.labels) <= confusions.SMALL,
        "weakest": confusions.WEAKEST,
        "measured": _measured(run),
    }
    return Sections(("report_classes.j2",), run.model.task.nouns[1].capitalize(), context)


def _labels(run: Run) -> Sections:
    rows = [{**row, "recall": row["recall"] and Estimate(**row["recall"])} for row in run.scores.details["per_label"]]
    rows.sort(key=lambda row: (row["f1"], -row["rows"]))
    context = {"label_rows": rows, "weakest": confusions.WEAKEST, "measured": _measured(run)}
    return Sections(("report_labels.j2",), "Labels", context)


def _numbers(run: Run) -> Sections:
    found = run.scores.details.get("prediction_interval")
    half = found["half_width"] if found else 0.0
    own = np.array([float(answer.label) for answer in run.held_out])
    said = np.array([float(answer.predicted) for answer in run.held_out])
    low, high = float(min(own.min(), said.min())), float(max(own.max(), said.max()))
    room = 0.04 * (high - low)
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
    return Sections(("report_numbers.j2",), "Answers", {"scatter": scatter, "measured": _measured(run)})


def _measured(run: Run) -> list[tuple[str, str]]:
    """Every metric of a task by its title, with its interval."""
    told = []
    for name, raw in run.scores.details.get("metrics", {}).items():
        scale = run.model.task.metrics[name].scale
        value, low, high = (scale.told(raw[key]) for key in ("value", "low", "high"))
        told.append((scale.title, f"{value} ({low} to {high})"))
    return told


_MAKERS: dict[str, Callable[[Run], Sections]] = {"classes": _classes, "per_label": _labels, "numbers": _numbers}
"""Entry of what a task tells → what the page makes of it."""
