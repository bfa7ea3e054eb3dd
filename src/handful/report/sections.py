"""The parts of the page in two tiers: what everybody needs, then details; and what fits each task in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.data.conversations import plain_prompt
from handful.evaluation.scores import most_doubtful
from handful.report import words
from handful.report.areas import areas
from handful.report.boxed import boxed
from handful.report.curves import Curve
from handful.report.headline import Headline, perplexity
from handful.report.unusual import unusual
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
# So many of them are seen at once.
_FIRST = 3


@dataclass(frozen=True)
class Part:
    """A part of the page."""

    place: str
    """What it is called in links on the page."""
    title: str
    """Its heading."""
    template: str
    """The file that draws it."""
    folded: bool = False
    """Whether it is a detail, which the reader unfolds."""
    hint: str = ""
    """What it says in a few words, beside the heading of a folded part."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the template needs beside what all parts know."""


def parts(run: Run, folder: Path, curves: Sequence[Curve], head: Headline) -> list[Part]:
    """The parts of the page, in the order in which a reader decides.

    Args:
        run: what ``tune`` returned.
        folder: the run folder, as the user named it.
        curves: how weights moved, drawn.
        head: what stands on top.
    """
    scores, notes = run.scores, [*run.data.notes, *run.notes]
    checks = scores.slices or scores.stability or scores.kept
    odd = len(scores.cautions)
    stands_out = f"{words.plural(odd, 'thing')} to know" if odd else "nothing stands out"
    wrong = "What it gets wrong"
    took = f"took {words.time_taken(sum(scores.seconds.values()))}" if scores.seconds else ""
    every = (
        _answers(run)
        if "answers" in scores.details
        else Part("wrong", "What looks unusual", "report_defects.j2", context=unusual(run))
        if "promise" in scores.details
        else Part("wrong", wrong, "report_masks.j2", context=areas(run))
        if "masks" in scores.details
        else Part("wrong", wrong, "report_boxes.j2", context=boxed(run))
        if "boxes" in scores.details
        else Part("wrong", wrong, "report_wrong.j2"),
        Part("next", "What to do next", "report_next.j2"),
        Part("use", "How to use it", "report_use.j2", context={"usage": usage_of(run, folder)}),
        Part("arms", "What was tried", "report_arms.j2", True, head.ties or f"{len(scores.arms)} arms"),
        *_of_task(run),
        Part("training", "How the weights moved", "report_training.j2", True) if curves else None,
        Part("steady", "What unsettles it", "report_steady.j2", True, stands_out) if checks else None,
        Part("labels", "What more labels are worth", "report_more.j2", True) if scores.curve else None,
        Part("notes", "What was guessed and left out", "report_notes.j2", True, words.plural(len(notes), "note"))
        if notes
        else None,
        Part("choice", "How it was measured and chosen, and what it cost", "report_choice.j2", True, took),
    )
    return [part for part in every if part is not None]


def _of_task(run: Run) -> list[Part]:
    """The parts that fit what a task told of its answers: the first of its entries that has one decides."""
    maker = next((make for entry, make in _MAKERS.items() if entry in run.scores.details), None)
    return [] if maker is None else [maker(run)]


def _classes(run: Run) -> Part:
    details = ClassDetails.from_dict(run.scores.details)
    scores = weakest_first(details.classes)
    context = {
        "matrix": confusions.cells(details),
        "largest": confusions.largest(details),
        "name_scores": scores,
        "small": len(details.labels) <= confusions.SMALL,
    }
    title = f"Which {run.model.task.nouns[1]} are hard"
    return Part("classes", title, "report_classes.j2", True, _weakest(scores), context | _names(run))


def _labels(run: Run) -> Part:
    scores = weakest_first(map(NameScore.from_dict, run.scores.details["per_label"]))
    context = {"name_scores": scores} | _names(run)
    return Part("classes", "Which labels are hard", "report_labels.j2", True, _weakest(scores), context)


def _weakest(scores: Sequence[NameScore]) -> str:
    """The weakest name, and how often it is found."""
    weakest = scores[0] if scores else None
    if weakest is None or weakest.recall is None:
        return ""
    return f"weakest: {printable(weakest.name)}, {words.value(weakest.recall)} found"


def _names(run: Run) -> dict[str, Any]:
    """What every table of names needs."""
    return {"weakest": confusions.WEAKEST, "measured": _measured(run)}


def _answers(run: Run) -> Part:
    """Three answers beside the wanted ones; folded away: loss and perplexity, and the rows that surprised it most."""
    place = {row: position for position, row in enumerate(run.data.rows)}
    hardest = [
        {
            "row": printable(run.data.called(place[answer.row])),
            "prompt": printable(plain_prompt(run.data.items[place[answer.row]])),
            "wanted": printable(answer.label),
            "said": printable(answer.predicted),
            "loss": float(answer.beside["loss"]),
        }
        for answer in most_doubtful(run.held_out, _SHOWN)
    ]
    examples = [
        {
            "kind": example.kind,
            "row": printable(example.place),
            "prompt": printable(example.asked),
            "wanted": printable(example.wanted),
            "said": printable(example.said) or "nothing",
        }
        for example in (run.scores.lead.examples if run.scores.lead else ())
    ]
    arm = next(arm for arm in run.scores.arms if arm.name == run.scores.chosen)
    loss = run.scores.estimate if run.scores.metric == "loss" else arm.metrics["loss"]
    ends = [perplexity(end) for end in (loss.value, loss.low, loss.high)]
    context = {"examples": examples, "hardest": hardest, "loss": loss, "perplexity": ends}
    return Part("wrong", "What it answers", "report_answers.j2", context=context)


def _numbers(run: Run) -> Part:
    found, called = run.scores.details.get("prediction_interval"), run.data.places.called
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
        {"x": across(x), "y": down(y), "row": called(answer.row), "label": answer.label, "answer": answer.predicted}
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
    context = {"scatter": scatter, "measured": _measured(run)}
    return Part("classes", "Answers against the truth", "report_numbers.j2", True, "", context)


def _measured(run: Run) -> list[tuple[str, str]]:
    """Every metric of a task by its title, with its interval."""
    return [(title, f"{value} ({span})") for title, value, span in run.scores.every_metric(run.model.task.metrics)]


_MAKERS: dict[str, Callable[[Run], Part]] = {"classes": _classes, "per_label": _labels, "numbers": _numbers}
"""Entry of what a task tells → what the page makes of it."""
