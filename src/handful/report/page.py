"""The page: a run becomes one HTML file that loads nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from handful.data.conversations import Conversation, Preference, plain_prompt
from handful.data.dataset import Dataset
from handful.evaluation.intervals import Estimate
from handful.evaluation.scores import Scores
from handful.evaluation.slices import named
from handful.evaluation.stability import worth_telling
from handful.export.card import reading
from handful.inspection.findings import Finding
from handful.report import confusion, words
from handful.report.curves import curve
from handful.report.doubtful import doubtful, name_of
from handful.report.headline import headline
from handful.report.usage import usage
from handful.tasks.classification.details import ClassDetails

if TYPE_CHECKING:
    from handful.run import Run

TEMPLATES = Path(__file__).parent.parent / "templates"

# How many rows of a finding are named.
_ROWS_NAMED = 6


def render(run: Run, place: Path) -> str:
    """Write the report of a run.

    Args:
        run: what ``tune`` returned.
        place: the run folder, as the user named it; the snippets that use the model name it.

    Returns:
        The text of one HTML file, with its styles, scripts and pictures inside.
    """
    details = ClassDetails.from_dict(run.scores.details)
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            scores=run.scores,
            data=run.data,
            head=headline(run),
            backbones=_backbones(run),
            labels=details.labels,
            sets=run.scores.details.get("sets"),
            matrix=confusion.cells(details),
            largest=confusion.largest(details),
            classes=confusion.weakest_first(details),
            small=len(details.labels) <= confusion.SMALL,
            weakest=confusion.WEAKEST,
            doubts=doubtful(run),
            checks=bool(run.scores.slices or run.scores.stability or run.scores.kept),
            odd=named(run.scores.slices),
            shaken=worth_telling(run.scores.stability, run.scores.kept),
            slices=[part for part in run.scores.slices if part.kind != "class" or part.differs],
            compared=any(change.frozen is not None for change in run.scores.stability),
            new_rows=any(change.accuracy is not None for change in run.scores.stability),
            curves=[drawn for training in run.trainings if (drawn := curve(training)) is not None],
            promised=_promised(run.scores),
            findings=findings_named(run.findings, run.data),
            notes=[*run.data.notes, *run.notes],
            usage=usage(place, run.data.modality),
            **inlined(),
        )
    )
    # File names may hold bytes that are no text; the page must still be one.
    return page.encode("utf-8", "replace").decode("utf-8")


def inlined() -> dict[str, str]:
    """Style and script of a page, and the hash by which the page lets the script run."""
    script = (TEMPLATES / "report.js").read_text("utf-8")
    return {
        "style": Markup((TEMPLATES / "report.css").read_text("utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }


@cache
def environment() -> Environment:
    """Templates, and the words they use."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    chosen = (
        words.percent, words.span, words.value, words.count, words.plural, words.time_taken,
        words.protocol, words.setting, words.option, words.printable, words.shortened, words.hundredths,
        words.rows_numbered,
    )  # fmt: skip
    made.filters.update({function.__name__: function for function in chosen})
    return made


def _backbones(run: Run) -> list[dict[str, str]]:
    from handful.backbones.entries import ENTRIES

    known = {entry.name: entry for entry in ENTRIES}
    out = []
    for name, depths, moved in run.model.view.reads:
        entry = known.get(name)
        out.append(
            {
                "name": f"{name}, tuned" if moved else name,
                "read": reading(depths),
                "what": entry.what if entry else "",
                "licence": entry.licence if entry else "",
            }
        )
    return out


def _promised(scores: Scores) -> Estimate | None:
    """The accuracy that twice as many labels promise, with the interval of the forecast."""
    if scores.curve is None:
        return None
    now, gain = scores.curve.points[-1].accuracy.value, scores.curve.gain(scores.curve.n)
    return Estimate(*(float(np.clip(now + more, 0, 1)) for more in (gain.value, gain.low, gain.high)))


def findings_named(findings: Sequence[Finding], data: Dataset) -> list[tuple[Finding, list[str]]]:
    """Findings, each with the names of its first rows."""
    return [(finding, _rows_named(data, finding.rows)) for finding in findings]


def _rows_named(data: Dataset, rows: Sequence[int]) -> list[str]:
    place = {row: position for position, row in enumerate(data.rows)}
    named = []
    for row in list(rows)[:_ROWS_NAMED]:
        item = data.items[place[row]] if row in place else None
        name = name_of(item, row, data.source)
        said = plain_prompt(item) if isinstance(item, Conversation | Preference) else item
        text = f": {words.shortened(said, 90)}" if isinstance(said, str) else ""
        named.append(words.printable(name + text))
    left = len(rows) - len(named)
    return [*named, f"and {left:,} more"] if left > 0 else named
