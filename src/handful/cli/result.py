"""What commands say of a finished run: its verdict, what to do next, where the report is, how to use the model."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from cyclopts import Parameter

from handful.cli.given import check_scored
from handful.cli.printing import put, put_line

if TYPE_CHECKING:
    from handful.evaluation.scores import HeldOut, Scores
    from handful.inspection.findings import Finding
    from handful.run import Run
    from handful.tasks.base import Task

Details = Annotated[bool, Parameter(name=["--details", "-v"], negative="")]
"""Whether everything is told."""


def tell_run(run: Run, folder: Path, details: bool, to: TextIO) -> None:
    """Say what a run is worth, what to do next, and how to use its model.

    Args:
        run: what ``tune`` returned.
        folder: where it was saved.
        details: whether every arm is told too.
        to: standard output, or standard error where that is for something else.
    """
    task = run.model.task
    put(to=to)
    tell_verdict(run, to)
    _tell_where(run.scores, folder, details, to)
    name = shlex.quote(str(folder))
    use = f"handful chat {name}" if run.data.modality == "language" else f"handful predict {name} NEW"
    unshown = run.scores.beats_reference(task.reference.name) is False
    said = (
        f"not shown to be better than {task.reference.words}; to use it anyway: {use}" if unshown else f"use it: {use}"
    )
    put(said, to=to)


def tell_verdict(run: Run, to: TextIO) -> None:
    """Say what a run is worth, what it gets wrong and what to do next, and no more."""
    _tell(run.scores, run.model.task, run.findings, run.held_out, run.data.groups is not None, to)


def report(run: str, *, details: Details = False) -> None:
    """Say again what a run is worth and what to do next, and where its report is.

    Args:
        run: the run folder that `handful tune` wrote.
        details: every arm with its score too, and why it was taken or not.
    """
    check_scored(run, "report")

    from handful.evaluation.scores import Scores, unreadable
    from handful.inspection.findings import saved_findings
    from handful.run import saved_answers
    from handful.tasks.registry import TASKS

    folder = Path(run)
    scores = Scores.read(folder / "scores.json")
    if scores.task not in TASKS:
        raise unreadable(folder / "scores.json")(f"no task is called {scores.task!r}")
    findings, answers = saved_findings(folder), saved_answers(folder)
    _tell(scores, TASKS[scores.task], findings, answers, "group" in scores.protocol, sys.stdout)
    _tell_where(scores, folder, details, sys.stdout)


def _tell(
    scores: Scores, task: Task, findings: Sequence[Finding], answers: Sequence[HeldOut], grouped: bool, to: TextIO
) -> None:
    from handful.report.account import account

    for line in account(scores, task, findings, answers, grouped):
        put_line(line, to)


def _tell_where(scores: Scores, folder: Path, asked: bool, to: TextIO) -> None:
    """Every arm where that was asked for, else how to ask; and where the report is."""
    from handful.report.account import details

    if asked:
        put(to=to)
        put("\n".join(details(scores)), to=to)
    put(f"\nreport: {folder / 'report.html'}", to=to)
    if not asked:
        put(f"details: in the report, or here with handful report {shlex.quote(str(folder))} --details", to=to)
