"""The page about several targets: what each is worth and gets wrong, and where its own report is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from handful.choices import SHARED
from handful.data.names import in_a_row
from handful.report.account import account
from handful.report.headline import Headline, headline
from handful.report.page import environment, inlined

if TYPE_CHECKING:
    from handful.run import Run


@dataclass(frozen=True)
class HeadPart:
    """One target on the page."""

    name: str
    """The target."""
    run: Run
    """What was learned."""
    head: Headline
    """Its result in words."""
    account: list[str]
    """What it gets wrong, what is wrong with the rows, and what more of them are worth, one sentence each."""
    link: str
    """Its own report, relative to the page."""


def render_heads(runs: Mapping[str, Run], folders: Mapping[str, str], place: Path) -> str:
    """Write the page.

    Args:
        runs: target → its run.
        folders: target → the folder of its run, beside the page.
        place: the folder of all, as the user named it; the commands on the page name it.

    Returns:
        The text of one HTML file, with its styles inside.
    """
    parts = []
    for name, run in runs.items():
        head = headline(run)
        said = account(run.scores, run.model.task, run.findings, run.held_out, run.data.groups is not None)
        # What stands above these lines is not said again.
        above = (head.title, head.verdict, run.scores.scale.heading)
        more = [line.removeprefix("! ") for line in said if line and not line.startswith(above)]
        parts.append(HeadPart(name, run, head, more, f"{quote(folders[name])}/report.html"))
    page = (
        environment()
        .get_template("report_heads.j2")
        .render(parts=parts, place=place, sharing=_sharing(runs), **inlined())
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def _sharing(runs: Mapping[str, Run]) -> str:
    """For which targets weights ship that moved for all of them, in a sentence; empty where that was not tried."""
    tried = [name for name, run in runs.items() if any(training.name == SHARED for training in run.trainings)]
    taken = [name for name in tried if runs[name].bundle.head == SHARED]
    others = [name for name in tried if name not in taken]
    if not tried:
        return ""
    said = "Weights that move once for several targets were tried as well"
    if not taken:
        return f"{said}: the held-out rows of none of them say that sharing helps."
    kept = f"; not for {in_a_row(others)}" if others else ""
    return f"{said}: they ship for {in_a_row(taken)}, whose held-out rows say that sharing helps{kept}."
