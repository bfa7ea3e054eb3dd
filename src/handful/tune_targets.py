"""The verb for several targets of the same items: a run for each, one look at the items, one folder, one model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handful.atomic import check_replaceable, replaced_file
from handful.budget import Budget
from handful.choices import SHARED
from handful.data.cells import shown, shown_json, shown_lines
from handful.data.columns import Wanted
from handful.data.dataset import Dataset
from handful.data.heads import load_heads
from handful.data.several import are_sources
from handful.data.targets import CLASSES, LABELS, NUMBERS, RATINGS
from handful.errors import HandfulError, OptionError
from handful.export.heads import Heads
from handful.export.sharing import store_once
from handful.keywords import known_keywords
from handful.notebook_html import page, paragraph
from handful.notebook_progress import notebook_progress
from handful.plan import Plan
from handful.progress import WORDS, Say, silent
from handful.regimes.multitask import SharedTraining
from handful.run import Run
from handful.run_folder import HEADS, SCORES, checkpoints_in
from handful.strategies.tuned.shared import Shared
from handful.tune_items import parts_of, tune_items

TASKS = (CLASSES, LABELS, RATINGS, NUMBERS)
"""What a column of targets may hold for its own head."""

_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, eq=False)
class HeadsRun:
    """What ``tune_heads`` returns: the run of each target, and one model that answers all of them."""

    runs: Mapping[str, Run]
    """Target → its run, in the order in which they were named."""

    @property
    def model(self) -> Heads:
        """The models of all targets as one."""
        return Heads({name: run.bundle for name, run in self.runs.items()})

    def predict(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """What is answered to each of N items: target → answer; takes and raises what ``Heads.predict`` does."""
        return self.model.predict(items)

    def __repr__(self) -> str:
        """What each target is worth, one line for each."""
        told = "\n".join(f"  {name}: {run.scores.sentence}" for name, run in self.runs.items())
        return f"Run on {len(self.runs)} targets\n{told}"

    def _repr_html_(self) -> str:
        parts = [paragraph(name) + run.scores._repr_html_() for name, run in self.runs.items()]
        return page(*parts)

    def save(self, folder: str | Path) -> Path:
        """Write a folder with the run folder of each target, a page about all, and the list of targets.

        Each run is written whole or not at all, and keeps its earlier versions, as ``Run.save`` has it; a kill between
        two of them leaves runs that can be used, of which the later ones are the earlier ones.

        Args:
            folder: where; the runs of earlier targets that lie there are replaced one by one.

        Returns:
            The folder.

        Raises:
            OptionError: the folder exists and holds something else.
            MachineError: it cannot be written, or the disk is full.
        """
        from handful.report.heads_page import render_heads

        place, own = Path(folder), head_folders(list(self.runs))
        check_heads_folder(place)
        place.mkdir(parents=True, exist_ok=True)
        # First the list, by which the folder is known as ours if what follows is cut short.
        with replaced_file(place / HEADS) as file:
            file.write_text(shown_json({"heads": own}) + "\n", encoding="utf-8")
        for name, run in self.runs.items():
            run.save(place / own[name])
        store_once([place / folder for folder in own.values()])
        with replaced_file(place / "report.html") as file:
            file.write_text(shown_lines(render_heads(self.runs, own, place)), encoding="utf-8")
        return place


def check_heads_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than runs of several targets, before any work is done.

    Raises:
        OptionError: it does.
        MachineError: nothing can be written beside it.
    """
    if (folder / SCORES).exists():
        raise OptionError(
            f"output folder {shown(str(folder))} holds the run of one target, which several do not replace. Choose "
            "another folder."
        )
    check_replaceable(folder, HEADS, checkpoints_in(folder))


def head_folders(names: Sequence[str]) -> dict[str, str]:
    """The folder of each target, called like it as far as folders can be."""
    folders: dict[str, str] = {}
    for number, name in enumerate(names):
        plain = _UNSAFE.sub("-", name).strip(".-") or "target"
        taken = {folder.lower() for folder in folders.values()} | {"report.html", HEADS, "versions", "model"}
        folders[name] = plain if plain.lower() not in taken else f"{plain}-{number + 1}"
    return folders


@known_keywords
def tune_heads(
    source: Any,
    label: str | Sequence[str],
    *,
    input: str | None = None,  # noqa: A002 - the name of the option
    group: str | None = None,
    task: str | None = None,
    budget: float | str | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    strategies: str | Sequence[str] | None = None,
    plan: Plan | None = None,
    out: str | Path | None = None,
    progress: Say | None = None,
) -> HeadsRun:
    """Learn several targets of the same items: one look at the items, a run for each target, one model for all.

    Args:
        source: a table as a path, a list of several paths, a DataFrame, or a list of dictionaries.
        label: the columns of the targets, two or more, as a list or joined by commas; each may hold classes, several
            labels, ratings or numbers, and rows in which one is missing are used for the others.
        input: the column of the items, as for ``tune``.
        group: the column that says which rows belong together.
        task: what all targets are; by default it is guessed for each.
        budget: how long you are willing to wait for all of them, as for ``tune``.
        seed: fixes every random choice; 0 by default.
        backbone: as for ``tune``.
        strategies: as for ``tune``, and ``shared``: weights that move once for all targets.
        plan: the resolved options of ``tune``, in place of all those from ``input`` to ``strategies``.
        out: the folder to write, with a run folder for each target; by default nothing is written.
        progress: as for ``tune``.

    Returns:
        The run of each target, and the model that answers all of them.

    Raises:
        DataError: the rows of a target cannot be used; the message names its column.
        OptionError: an option cannot work, or fewer than two columns are named.
        MachineError: ``out`` cannot be written.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    names = [name.strip() for name in label.split(",")] if isinstance(label, str) else list(label)
    if len(names) < 2 or len(set(names)) < len(names):
        raise OptionError(f"label= must name two or more different columns, got {label!r}. One is learned by tune.")
    sources = list(source) if are_sources(source) else [source]
    given = dict(
        input=input, group=group, task=task, budget=budget, seed=seed, backbone=backbone, strategies=strategies
    )  # fmt: skip
    if plan is None:
        plan = Plan.resolve(given, "argument")
    elif twice := [name for name, value in given.items() if value is not None]:
        raise OptionError(f"{', '.join(twice)} must be given in the plan, got both. Leave them out, or the plan.")
    plan = replace(plan, label=",".join(names), out=None if out is None else str(out))
    if out is not None:
        check_heads_folder(Path(out))
    clock = Budget(plan.budget)
    with clock.stage("read"):
        heads = load_heads(sources, names, Wanted(plan.input, None, plan.group, None, None, plan.task))
    say = notebook_progress() if progress is None else progress
    run = tune_each(heads, plan, clock, say, unlabelled=plan.unlabelled)
    if out is not None:
        run.save(out)
    return run


def tune_each(
    heads: Mapping[str, Dataset], plan: Plan, budget: Budget, progress: Say = silent,
    tell: Callable[[str], None] = lambda stage: None, unlabelled: Any = None,
) -> HeadsRun:  # fmt: skip
    """Learn each target for itself; what backbones see in the items is kept by the first and read by the others.

    Args:
        heads: target → its rows, as ``data.heads.load_heads`` gives them.
        plan: the resolved options, which hold for all.
        budget: the time of all; what one target leaves of its share, the later ones have.
        progress: told how far things are.
        tell: called with what is being done when it begins.
        unlabelled: items without labels for all, beside those rows in which a target is missing.

    Raises:
        DataError: the rows of a target cannot be used.
        OptionError: an option cannot work for a target, or it is none of those that heads answer.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    for name, data in heads.items():
        if data.modality == "language" or data.task not in TASKS:
            kind = "answers in words" if data.modality == "language" else data.task
            raise OptionError(
                f"several targets are learned at once where each is a class, labels, a rating or a number, got {kind} "
                f"in column {shown(name)!r}. Tune it for itself."
            )
    runs: dict[str, Run] = {}
    together = SHARED in plan.strategies and "strategies" in plan.origins
    shared = None
    if together:  # its time is as much as that of each target
        rows = {name: data.take(parts_of(data)[0]) for name, data in heads.items()}
        shared = SharedTraining(rows, budget.left / (len(heads) + 1), Shared(seed=plan.seed))
    for number, (name, data) in enumerate(heads.items()):
        waiting = len(heads) - number + (together and not number)
        share = round(budget.left / waiting, 1) if plan.budget else 0.0

        def told(stage: str, done: int, total: int, name: str = name) -> None:
            progress(f"{name}: {stage}", done, total)

        def begun(stage: str, name: str = name) -> None:
            tell(f"{name}: {WORDS.get(stage, stage)}")

        place = None if plan.out is None else str(Path(plan.out) / head_folders(list(heads))[name])
        own = replace(plan, label=name, budget=share, out=place)
        clock = Budget(share, tell=begun)
        try:
            runs[name] = tune_items(data, own, clock, told, judged=False, unlabelled=unlabelled, shared=shared)
        except HandfulError as error:
            raise type(error)(f"column {shown(name)!r}: {error}") from error
    return HeadsRun(runs)
