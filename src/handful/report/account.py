"""The account of a run for a terminal: verdict, what it gets wrong, what to do next; details only where asked for."""

from __future__ import annotations

from collections.abc import Sequence

from handful.evaluation.scores import HeldOut, Scores
from handful.inspection.findings import Finding
from handful.report import words
from handful.report.headline import headline_of
from handful.report.inspection_words import told_sorting
from handful.report.mistakes import Mistake, mistakes
from handful.tasks.base import Task

# So many kinds of mistakes are told, and so many findings.
_KINDS, _FINDINGS = 3, 3


def account(
    scores: Scores, task: Task, findings: Sequence[Finding], answers: Sequence[HeldOut], grouped: bool
) -> list[str]:
    """The result of a run in a few lines.

    Args:
        scores: what the run measured.
        task: what it learned.
        findings: what is wrong with the rows, most costly first.
        answers: what was answered to its rows while they were held out.
        grouped: whether rows belong together.
    """
    head = headline_of(scores, task, grouped)
    lines = [] if scores.lead is None else [*scores.lead.lines(), ""]
    if "promise" in scores.details:  # which says what was measured, and what to try
        return [f"{head.title}.", scores.sentence, head.verdict, *_found(findings)]
    told = _measured(scores)
    lines += [head.verdict, told] if head.verdict.startswith(head.title) else [f"{head.title}.", told, head.verdict]
    lines += [*told_sorting(scores), *filter(None, (head.second, head.forgot))]
    lines += [] if scores.inputs is None else [scores.inputs.sentence]
    lines += _wrong(scores, task, answers)
    lines += scores.cautions
    lines += _found(findings)
    return [*lines, scores.curve.sentence] if scores.curve else lines


def _found(findings: Sequence[Finding]) -> list[str]:
    """The most costly findings, and how many more there are."""
    lines = [f"! {finding.message}. {finding.advice}" for finding in findings[:_FINDINGS]]
    if len(findings) > _FINDINGS:
        lines.append(
            f"! and {words.plural(len(findings) - _FINDINGS, 'more thing')} in the data to look at: see the report"
        )
    return lines


def details(scores: Scores) -> list[str]:
    """What was tried: every arm with its score, the choice in a sentence, and why weights that moved ship or do not."""
    why = [f"{arm.name}: {arm.reason}" for arm in scores.arms if arm.rung]
    energy = [] if scores.energy is None else [f"energy: {scores.energy.sentence}"]
    per_right = [f"{low:.3g} to {high:.3g} J {name}" for name, (low, high) in scores.energy_per_right.items()]
    energy += [f"energy for each held-out row answered right: {', '.join(per_right)}"] if per_right else []
    return [scores.table, scores.sentence, *why, *energy]


def _measured(scores: Scores) -> str:
    """The score with its interval; of test rows, where there are any."""
    estimate, rows = (scores.estimate, scores.n) if scores.test is None else (scores.test, scores.test_n)
    what = "rows held out" if scores.test is None else "test rows"
    between = scores.scale.between(estimate.low, estimate.high)
    level = f"{scores.level:.0%}".replace("%", " %")
    told = f"{scores.scale.title} {estimate.told(scores.scale)}, between {between} ({level} interval, {rows} {what})"
    return f"{told[0].upper()}{told[1:]}."


def _wrong(scores: Scores, task: Task, answers: Sequence[HeldOut]) -> list[str]:
    """The largest kinds of mistakes; nothing of answers in words and of numbers, which have none."""
    kinds = mistakes(answers, task.name) if "answers" not in scores.details else []
    kinds = [mistake for mistake in kinds if mistake.missed or mistake.given]
    if not kinds:
        return []
    rows = sum(len(mistake.answers) for mistake in kinds)
    told = ", ".join(map(_counted, kinds[:_KINDS]))
    more = f" and {words.plural(len(kinds) - _KINDS, 'more kind')}" if len(kinds) > _KINDS else ""
    return [f"Wrong on {words.plural(rows, 'row')}: {told}{more}."]


def _counted(mistake: Mistake) -> str:
    return f"{mistake.sentence} ({len(mistake.answers)})"
