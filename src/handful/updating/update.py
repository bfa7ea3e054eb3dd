"""The verb that updates a run: old rows and new ones are learned from together, and old and new model compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful import api
from handful.budget import Budget
from handful.choices import SHARED
from handful.data.cells import shown
from handful.data.columns import Wanted
from handful.data.dataset import Dataset
from handful.data.items import make_items
from handful.data.normal import as_called
from handful.data.readers import load
from handful.data.several import Merged, are_sources, load_part, merged
from handful.data.target_column import read_column
from handful.errors import DataError, OptionError
from handful.evaluation.scores import HeldOut
from handful.export.bundle import Bundle
from handful.export.part_model import PartModel
from handful.keywords import known_keywords
from handful.marked_items import outputs_to
from handful.notebook_progress import notebook_progress
from handful.plan import Plan, read_plan
from handful.progress import Say
from handful.run import Run, opened
from handful.run_folder import reads_vectors
from handful.updating.kept_rows import kept_rows, learn_on
from handful.updating.old_rows import OldRows, old_rows
from handful.versions import MADE_BY, Version, check_versions, current, versions
from handful.versions.comparison import Comparison, Paired, compare, paired

# Options that say how the new rows are read; the plan keeps those of the old ones.
_READING = ("label", "input", "group")


@dataclass(frozen=True, eq=False)
class UpdateResult:
    """What ``update`` returns."""

    run: Run
    """The run on the old rows and the new ones."""
    folder: Path
    """Where it lies: the folder of the run, a version in it, or another one that was named."""
    old: Version
    """The version that was in use before."""
    taken: bool
    """Whether the new one is in use now."""
    on_new: Paired | None
    """How the new model answers rows that the old one never saw, each held out from it; None where there are none."""
    on_old: Paired | None
    """How answers to the old rows changed, each held out both times; None where the versions cannot be compared."""
    new_rows: int
    """How many rows came in that the old one did not have."""
    notes: tuple[str, ...]
    """What happened to the rows, one sentence each."""

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``tie``: the new model against the old one."""
        asked = self.on_new if self.on_new is not None and self.on_new.gain is not None else self.on_old
        return "tie" if asked is None else asked.verdict

    @property
    def lines(self) -> list[str]:
        """The comparison and what became of the versions, one sentence each."""
        rows = "1 new row" if self.new_rows == 1 else f"{self.new_rows:,} new rows"
        lines = [f"{rows}; {len(self.run.data):,} rows in all."]
        if self.on_new is not None:
            said = self.on_new.told("the new model", "the old one")
            lines.append(f"On new rows, which neither had learned when it answered: {said}.")
        elif not isinstance(self.run.model, Bundle | PartModel):
            lines.append("Of a language model the new rows are not asked of the old one; old rows tell the two apart.")
        else:
            why = "the old model was not asked, or knows them or their group"
            lines.append(f"No new row can tell the two apart: {why}.")
        if self.on_old is not None and self.on_old.rows:
            said = self.on_old.told("the new run", "the old one")
            lines.append(f"On old rows, held out both times: {said}.")
        return [*lines, self._place]

    @property
    def sentence(self) -> str:
        """All of it in one text."""
        return " ".join(self.lines)

    @property
    def _place(self) -> str:
        name = shown(str(self.folder))
        if self.taken:
            why = "" if self.verdict == "better" else ": more rows are expected to help, which these do not show yet"
            why = ", as you asked" if self.verdict == "worse" else why
            return f"The new one is in use{why}. The old one is kept as version {self.old.number}."
        if self.folder.parent.name == "versions":
            number = int(self.folder.name)
            return (
                f"The new one is shown to be worse, so version {self.old.number} stays in use, and the new one is kept "
                f"as version {number}. To use it all the same, roll back to {number}, or update with --anyway."
            )
        return f"The new one is in {name}; nothing changed where the old one is."

    def as_dict(self) -> dict[str, Any]:
        """The result as ``handful update --json`` prints it."""
        pairs = {"on_new": self.on_new, "on_old": self.on_old}
        compared = {name: None if found is None else found.as_dict() for name, found in pairs.items()}
        return {
            "folder": str(self.folder), "taken": self.taken, "verdict": self.verdict, "new_rows": self.new_rows,
            "old": self.old.as_dict(), **compared, "notes": list(self.notes), "sentence": self.sentence,
            "scores": self.run.scores.as_dict(),
        }  # fmt: skip


@known_keywords
def update(
    run: str | Path,
    new: Any,
    labels: Sequence[Any] | None = None,
    *,
    label: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the option
    group: str | None = None,
    unlabelled: str | None = None,
    budget: float | str | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    strategies: str | Sequence[str] | None = None,
    metric: str | None = None,
    trials: int | None = None,
    engine: str | None = None,
    anyway: bool = False,
    without_old_rows: bool = False,
    out: str | Path | None = None,
    reason: str = MADE_BY[1],
    progress: Say | None = None,
) -> UpdateResult:
    """Learn from the rows of a run and from new ones, and put the result in its place.

    Rows that the run has already count once; an item with another label than before keeps the new one. Options are
    those of the run, unless they are given again. The earlier version is kept (``handful versions``), and stays in use
    where rows show the new one to be worse.

    Args:
        run: the folder of the run.
        new: what ``load`` reads, a Dataset, or a list of several paths.
        labels: the labels of a list, as for ``load``.
        label: the column of the labels in the new rows; by default the one of the old rows, or guessed.
        input: the column of the texts or file names in the new rows; by default the one of the old rows, or guessed.
        group: the column that says which new rows belong together.
        unlabelled: items without labels, as for ``tune``; this and all options down to ``engine`` are those of the run
            where nothing else is said.
        budget: how long the run may take, in seconds or as text.
        seed: one number that fixes every random choice.
        backbone: which backbones look at the rows.
        strategies: which arms to try.
        metric: what arms are compared by.
        trials: how many further settings to try of strategies that move weights.
        engine: where trainings run.
        anyway: whether the new one is used even where rows show it to be worse.
        without_old_rows: whether the old rows are gone, and what the model keeps of them stands for them: features of
            up to 500 rows, and of up to 5,000 from then on; for frozen models, and no weight moves.
        out: another folder to write the new run to; then nothing changes where the old one is.
        reason: how the version came about, as ``handful versions`` tells it.
        progress: called with stage, steps done and steps in all.

    Returns:
        The new run, how it compares with the old one, and which of the two is in use.

    Raises:
        DataError: the old rows cannot be found again, or the new ones cannot be used.
        OptionError: an option cannot work.
        BundleError: there is no such run, or it is damaged.
        MachineError: it cannot be written.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    options = dict(
        label=label, input=input, group=group, unlabelled=unlabelled, budget=budget, seed=seed, backbone=backbone,
        strategies=strategies, metric=metric, trials=trials, engine=engine,
    )  # fmt: skip
    folder = Path(run)
    old = current(folder)
    _refuse_vectors(folder)
    check_versions(folder)
    plan = updated_plan(folder, options)
    clock = Budget(plan.budget)
    with clock.stage("read"):
        model: Any = opened(folder)
        memory = None
        if without_old_rows:
            if not isinstance(model, Bundle):
                kind = f"one of {model.task.name}" if isinstance(model, PartModel) else "a language model"
                needs = "models that answer items as wholes"
                raise OptionError(f"learning on without the old rows is for {needs}, got {kind}. Leave it out.")
            memory = kept_rows(folder, model)
        before = (
            old_rows(folder, read_plan(folder / "plan.yaml"), model, _paths(new, labels))
            if memory is None
            else (OldRows(memory.data, ()))
        )
        known, rows = gathered(before, new, labels, options)
    if not any(rows.origin):
        raise DataError(
            f"{_told(new)} must hold rows that {shown(str(folder))} has not learned from yet, got none. "
            "Name other rows."
        )
    origins = {**plan.origins, "sources": "update"}
    plan = replace(plan, sources=_sources(plan, new, labels), out=str(out or folder), origins=origins)
    if memory is not None:
        say = notebook_progress() if progress is None else progress
        made = learn_on(rows.data, rows.origin, memory, model, plan, clock, say)
    else:
        made = api.tune(rows.data, plan=plan, budget=clock, progress=progress)
    on_new = _on_new(model, made, rows)
    worse = on_new is not None and on_new.verdict == "worse"
    return _settled(folder, out, made, (old, known, rows), on_new, worse and not anyway, reason)


def _refuse_vectors(folder: Path) -> None:
    """Refuse a run whose rows cannot be put together with others, since their vectors lie in a file of their own.

    Raises:
        OptionError: it is of vectors.
    """
    if reads_vectors(folder):
        raise OptionError(
            f"{shown(str(folder))} must be a run of texts, pictures, sounds or of a language model to be updated, "
            "got one of vectors. Put old and new rows into one table, and old and new vectors into one file, and tune "
            "again."
        )


def updated_plan(folder: Path, options: Mapping[str, Any]) -> Plan:
    """The options of a run, with others in place of some.

    Raises:
        OptionError: an option is none, or cannot work.
        BundleError: the plan of the run is damaged.
    """
    old = read_plan(folder / "plan.yaml")
    given = {name: value for name, value in options.items() if value is not None and name not in _READING}
    new = Plan.resolve(given, "update")
    values = {part.name: getattr(new, part.name) for part in fields(Plan) if part.name in new.origins}
    kept = {name: origin for name, origin in old.origins.items() if name != "resume"}
    if "unlabelled" not in values and old.unlabelled is not None and not Path(old.unlabelled).exists():
        values["unlabelled"] = None
        kept.pop("unlabelled", None)
    if SHARED in old.strategies and "strategies" not in values:  # one target is updated for itself
        values["strategies"] = tuple(name for name in old.strategies if name != SHARED)
    return replace(old, **values, resume=False, origins={**kept, **new.origins})


def _paths(new: Any, labels: Sequence[Any] | None) -> list[str | Path]:
    """The sources of new rows that have a name; none where a program hands over items with their labels."""
    if labels is not None:
        return []
    return list(new) if are_sources(new) else [new] if isinstance(new, str | Path) else []


def gathered(
    known: OldRows, new: Any, labels: Sequence[Any] | None, options: Mapping[str, Any]
) -> tuple[OldRows, Merged]:
    """The old rows, with what is to be said of all, and what they are together with the new ones.

    Raises:
        DataError: as ``update``.
    """
    paths = _paths(new, labels)
    wanted = Wanted(options.get("input"), options.get("label"), options.get("group"), whole=False)
    if paths:
        parts = [as_called(known.data, load_part(source, wanted, known.data), Path(source)) for source in paths]
    elif isinstance(new, Dataset):
        parts = [new]
    else:
        parts = [as_called(known.data, _listed(new, labels, known.data))]
    data = merged([known.data, *parts], later_wins=True)
    classes = sorted(set(data.data.classes) - set(known.data.classes)) if data.data.labels is not None else []
    unlabelled = sum(len(part.unlabelled) for part in parts)
    said = list(known.notes)
    if classes:
        said.append(f"new {'class' if len(classes) == 1 else 'classes'}: {', '.join(map(shown, classes))}")
    if unlabelled:
        rows = "1 new row without a label is" if unlabelled == 1 else f"{unlabelled:,} new rows without a label are"
        said.append(f"{rows} learned from as unlabelled items")
    return replace(known, notes=tuple(said)), data


def _listed(new: Any, labels: Sequence[Any] | None, like: Dataset) -> Dataset:
    """Items that a program hands over with their labels; one class is enough, since the old rows have others."""
    if labels is None:
        return load(new, modality=like.modality, task=like.task)
    if like.modality == "language":
        raise DataError(
            "new rows of a language model must be a file that holds prompts and answers, got a list with labels. "
            "Write them as JSON lines, and name the file."
        )
    items, failed = make_items(list(new), like.modality, None)
    cells = read_column(list(labels), "labels=", like.task).cells
    if len(cells) != len(items) or not all(cells):
        raise DataError(f"labels= must be one per item ({len(items)}), got {sum(map(bool, cells))}. Correct them.")
    data = Dataset(items, like.modality, tuple(cells), source="the new items", task=like.task)
    return data.without(failed)


def _sources(plan: Plan, new: Any, labels: Sequence[Any] | None) -> tuple[str, ...]:
    """All that is learned from, the earliest first, as far as it has a name."""
    before = plan.sources or ((plan.source,) if "source" in plan.origins else ())
    return tuple(dict.fromkeys([*before, *map(str, _paths(new, labels))]))


def _told(new: Any) -> str:
    if isinstance(new, str | Path):
        return shown(str(new))
    return new.source if isinstance(new, Dataset) else "the new rows"


def _on_new(model: Any, made: Run, rows: Merged) -> Paired | None:
    """How much better new rows are answered, by a model that held each out, than by the old one, which never saw them.

    Rows of a group that the old rows have are left out: the old model knows their group, and the new one must not.
    """
    data = rows.data
    if not isinstance(model, Bundle | PartModel) or not isinstance(made.model, Bundle | PartModel):
        return None
    place = {row: i for i, row in enumerate(data.rows)}
    groups = data.groups or tuple(map(str, data.rows))
    seen = {groups[i] for i, fresh in enumerate(rows.fresh) if not fresh or rows.origin[i] == 0}
    fresh = {
        answer.row: answer
        for answer in made.held_out
        if rows.fresh[place[answer.row]]
        and rows.origin[place[answer.row]] > 0
        and groups[place[answer.row]] not in seen
    }
    if not fresh:
        return None
    asked = data.take([place[row] for row in fresh])
    if isinstance(model, PartModel):
        before = list(model.task.held_out(*outputs_to(model, asked), asked.rows))
    else:
        words = model.task.words(model.answer(list(asked.items))[0], model.labels)
        before = [
            HeldOut(row, answer.label, said, 0.0, 0.0) for (row, answer), said in zip(fresh.items(), words, strict=True)
        ]
    shared = None
    if data.groups is not None:
        shared = np.unique([groups[place[row]] for row in fresh], return_inverse=True)[1]
    return paired(made.model.task, made.scores.metric, before, list(fresh.values()), shared)


def _settled(
    folder: Path, out: str | Path | None, made: Run, about: tuple[Version, OldRows, Merged], on_new: Paired | None,
    worse: bool, reason: str,
) -> UpdateResult:  # fmt: skip
    """Write the new run where it belongs, and tell how it compares."""
    old, known, rows = about
    fresh = sum(fresh and at > 0 for fresh, at in zip(rows.fresh, rows.origin, strict=True))
    if out is not None and Path(out).resolve() != folder.resolve():
        made.save(out, reason=reason)
        return UpdateResult(made, Path(out), old, False, on_new, None, fresh, known.notes)
    made.save(folder, reason=reason, beside=worse)
    newest = versions(folder)[-1] if worse else current(folder)
    compared: Comparison = compare(folder, old.number, newest.number)
    return UpdateResult(made, newest.path, old, not worse, on_new, compared.held_out, fresh, known.notes)
