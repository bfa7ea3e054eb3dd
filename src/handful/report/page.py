"""The page: a run becomes one HTML file that loads nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from handful.data.conversations import Conversation, Preference, plain_prompt
from handful.data.dataset import Dataset
from handful.data.places import name_of
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale, hundredths
from handful.evaluation.scores import Scores
from handful.export.bundle import Bundle
from handful.export.card import reading
from handful.inspection.findings import Finding
from handful.report import sections, words
from handful.report.confidence import confidence_note
from handful.report.curves import curve
from handful.report.doubtful import doubtful
from handful.report.headline import headline
from handful.report.inspection_words import told_sorting

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
    task, scores, head = run.model.task, run.scores, headline(run)
    curves = [drawn for training in run.trainings if (drawn := curve(training)) is not None]
    parts = sections.parts(run, place, curves, head)
    shown = [part for part in scores.slices if part.kind != "class" or part.differs]
    part_limit = _limit([part.score for part in shown])
    curve_limit = _limit([point.score for point in scores.curve.points] if scores.curve else [])
    bundle = run.model if isinstance(run.model, Bundle) else None
    context: dict[str, Any] = {}
    for part in parts:
        context |= part.context
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            scores=scores,
            data=run.data,
            head=head,
            sorting=told_sorting(scores),
            parts=parts,
            backbones=_backbones(run),
            together=run.data.places.called_together,
            labels=() if bundle is None else bundle.labels,
            nouns=task.nouns,
            confident="classes" in scores.details,
            confidence=_confidence(run, head.beaten),
            sets=scores.details.get("sets"),
            scales=_scales(run),
            ends=_ends(scores.scale, head.limit),
            part_limit=part_limit,
            part_ends=_ends(shown[0].scale if shown else scores.scale, part_limit),
            curve_limit=curve_limit,
            curve_ends=_ends(scores.curve.scale if scores.curve else scores.scale, curve_limit),
            doubtful=None if bundle is None else doubtful(run, bundle),
            slices=shown,
            compared=any(change.frozen is not None for change in run.scores.stability),
            new_rows=any(change.accuracy is not None for change in run.scores.stability),
            curves=curves,
            promised=_promised(run.scores),
            findings=findings_named(run.findings, run.data),
            notes=[*run.data.notes, *run.notes],
            **context,
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
        words.protocol, words.setting, words.option, words.printable, words.shortened, hundredths,
        words.figure, words.figures,
    )  # fmt: skip
    made.filters.update({function.__name__: function for function in chosen})
    return made


def _backbones(run: Run) -> list[dict[str, str]]:
    from handful.backbones.entries import ENTRIES

    known = {entry.name: entry for entry in ENTRIES}
    out = []
    for name, depths, moved in run.model.reads:
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


def _confidence(run: Run, beaten: bool) -> str:
    """What may be said of the confidence of its answers; nothing where answers are no classes."""
    if "classes" not in run.scores.details:
        return ""
    return confidence_note(run.held_out, beaten, run.model.task.reference.words, run.data.groups)


def _scales(run: Run) -> dict[str, Scale]:
    """How the further metrics of arms are told, by name."""
    known = run.model.task.metrics
    names = {name for arm in run.scores.arms for name in arm.metrics}
    return {name: known[name].scale for name in names}


def _limit(estimates: Sequence[Estimate]) -> float:
    """Where a scale ends on which all estimates can be seen; 1 where all of them are nothing."""
    return max((estimate.high for estimate in estimates), default=1.0) or 1.0


def _ends(scale: Scale, limit: float) -> Markup:
    """What stands at the ends and in the middle of a scale."""
    if scale.percent:
        return Markup("<i>0</i><i>50</i><i>100%</i>")
    return Markup("<i>0</i><i></i><i>{}</i>").format(f"{limit:.3g}")


def _promised(scores: Scores) -> Estimate | None:
    """The score that twice as many labels promise, with the interval of the forecast."""
    if scores.curve is None:
        return None
    now, gain = scores.curve.points[-1].score.value, scores.curve.gain(scores.curve.n)
    if scores.curve.scale.percent:
        return Estimate(*(float(np.clip(now + more, 0, 1)) for more in (gain.value, gain.low, gain.high)))
    if scores.curve.scale.higher_is_better:
        return Estimate(now + gain.value, now + gain.low, now + gain.high)
    return Estimate(*(max(0.0, now - more) for more in (gain.value, gain.high, gain.low)))


def findings_named(findings: Sequence[Finding], data: Dataset) -> list[tuple[Finding, list[str]]]:
    """Findings, each with the names of its first rows."""
    return [(finding, _rows_named(data, finding.rows)) for finding in findings]


def _rows_named(data: Dataset, rows: Sequence[int]) -> list[str]:
    place = {row: position for position, row in enumerate(data.rows)}
    named = []
    for row in list(rows)[:_ROWS_NAMED]:
        item = data.items[place[row]] if row in place else None
        name = name_of(item, row, data.places, data.source)
        said = plain_prompt(item) if isinstance(item, Conversation | Preference) else item
        text = f": {words.shortened(said, 90)}" if isinstance(said, str) else ""
        named.append(words.printable(name + text))
    left = len(rows) - len(named)
    return [*named, f"and {left:,} more"] if left > 0 else named
