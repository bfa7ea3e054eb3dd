"""What the commands do with several targets of the same items: learn them, tell them, answer all of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from handful.cli.ending import naming_resume
from handful.cli.printing import put, put_json, put_line, put_notes
from handful.errors import OptionError

if TYPE_CHECKING:
    from handful.answer_files import Form
    from handful.budget import Budget
    from handful.data.columns import Wanted
    from handful.data.streams import Source
    from handful.plan import Plan
    from handful.prediction import Doubts, Written
    from handful.progress import Bars


def learn_heads(
    sources: Sequence[str], names: Sequence[str], wanted: Wanted, plan: Plan, spent: Budget, bars: Bars, as_json: bool
) -> None:
    """Learn several targets, write their folder and tell what each is worth.

    Args:
        sources: the labelled rows.
        names: the columns of the targets.
        wanted: what else was named.
        plan: the options, with the folder to write.
        spent: the time of the run.
        bars: shows how far things are.
        as_json: whether scores go to standard output, and everything else to standard error.
    """
    from handful.data.heads import load_heads

    folder = Path(str(plan.out))
    with naming_resume(folder):
        with spent.stage("read"):
            heads = load_heads(sources, names, wanted)
        for name, data in heads.items():  # what names its column needs no other name
            put_notes(note if 'column "' in note else f"{name}: {note}" for note in data.notes)
        bars.now("start")
        from handful.training.devices import spare_the_compiler
        from handful.tune_targets import tune_each

        spare_the_compiler()
        run = tune_each(heads, plan, spent, bars, bars.now, plan.unlabelled)
        bars.now("writing the report")
        run.save(folder)
    to = sys.stderr if as_json else sys.stdout
    if as_json:
        put_json({name: one.scores.as_dict() for name, one in run.runs.items()})
    from handful.cli.result import tell_verdict

    for name, one in run.runs.items():
        put(to=to)
        put_line(f"{name}:", to)
        tell_verdict(one, to)
    put(f"\nreport: {folder / 'report.html'}", to=to)
    put(f"use it: handful predict {shlex.quote(str(folder))} NEW", to=to)


def answer_heads(
    run: str, items: Source, form: Form, column: str | None, tick: Callable[[int], None], doubts: Doubts
) -> Written:
    """Let the models of several targets answer, and write what each says."""
    from handful.answer_files import write_together
    from handful.export.heads import Heads
    from handful.export.sharing import share_backbones
    from handful.prediction import answers_of_heads

    heads = Heads.load(run)
    if form.probabilities and not all(model.labels for model in heads.models.values()):
        raise OptionError("--probabilities is for classes, labels and ratings, got a target of numbers. Leave it.")
    put_notes([heads.warning] * bool(heads.warning))
    share_backbones(list(heads.models.values()))
    return write_together(answers_of_heads(heads, items, column, tick, doubts), form, lambda note: put_notes([note]))
