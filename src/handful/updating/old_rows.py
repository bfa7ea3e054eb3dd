"""The rows that a run learned from, read again from their sources, or taken from what the run itself holds."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handful.data.cells import defuse, shown
from handful.data.columns import Wanted
from handful.data.dataset import Dataset, item_hash
from handful.data.places import input_of
from handful.data.several import load_part, merged
from handful.errors import DataError, OptionError
from handful.export.bundle import Bundle
from handful.export.language_model import LanguageModel
from handful.export.part_model import PartModel
from handful.plan import Plan
from handful.run import saved_inputs
from handful.run_rows import LearnedRow, LearnedRows
from handful.updating.kept_rows import why_not

# So many rows are told by name.
_TOLD = 5


@dataclass(frozen=True)
class OldRows:
    """What a run learned from, as far as it is found again."""

    data: Dataset
    """Labelled rows, with the test rows and the items without labels of sources that are still there."""
    notes: tuple[str, ...]
    """What has changed since, one sentence each."""


def old_rows(folder: Path, plan: Plan, model: Bundle | LanguageModel | PartModel, new: Sequence[str | Path]) -> OldRows:
    """Find the rows of a run again.

    Args:
        folder: the run folder.
        plan: its options, which name its sources.
        model: its model, which knows what the rows were.
        new: the sources of new rows, for the advice where old rows are lost.

    Raises:
        DataError: a source is gone or has changed, and the run does not hold what it said; or it cannot be read.
    """
    learned = LearnedRows.read(folder)
    sources = plan.sources or ((plan.source,) if "source" in plan.origins else ())
    there = [source for source in sources if Path(source).exists()]
    notes = [f"{shown(source)}, which the run learned from, is gone" for source in sources if source not in there]
    task = model.task.name if isinstance(model, PartModel) else plan.task  # which a folder need not show
    wanted = Wanted(plan.input, plan.label, plan.group, None, _modality(model), task)
    parts: list[Dataset] = []
    for source in list(there):
        try:
            parts.append(load_part(source, wanted, parts[0] if parts else None, strict=False))
        except (DataError, OptionError) as error:
            notes.append(
                f"{shown(source)}, which the run learned from, cannot be read as it was: {str(error).rstrip('.')}"
            )
            there.remove(source)
    if learned is None:  # a run of old
        if not parts or len(there) < len(sources):
            raise _lost(folder, sources, new, model, "it was made by a version that kept nothing of its rows")
        return OldRows(merged(parts, later_wins=False).data, tuple(notes))
    rows = merged(parts, later_wins=False).data if len(parts) > 1 else parts[0] if parts else None
    found, missing, more = _found(rows, learned)
    complete = len(there) == len(sources)
    notes += _changes(rows, there, missing, more, learned, _names(folder, missing), complete)
    held = _held(folder, missing, model) if missing else None
    if held is None and missing:
        why = (
            f"{len(missing)} of its {len(learned.rows)} rows are not there as they were, and the run does not hold them"
        )
        raise _lost(folder, sources, new, model, why, notes)
    if held is not None:
        count = len(missing)
        notes.append(f"{count:,} old {'row is' if count == 1 else 'rows are'} taken from what the run holds")
    known = [part for part in (found, held) if part is not None and len(part)]
    data = merged(known, later_wins=False).data if len(known) > 1 else known[0]
    return OldRows(replace(data, notes=()), tuple(notes))


def _modality(model: Bundle | LanguageModel | PartModel) -> str:
    return "language" if isinstance(model, LanguageModel) else model.modality


def _found(
    rows: Dataset | None, learned: LearnedRows
) -> tuple[Dataset | None, list[LearnedRow], list[tuple[str, str]]]:
    """Rows of the sources that the run knows, with their test rows; rows that are missing; and rows that are new."""
    wanted = Counter((row.item, row.label) for row in learned.rows)
    if rows is None:
        return None, list(learned.rows), []
    labels = rows.labels or ("",) * len(rows)
    known, more = [], []
    for i, (item, label) in enumerate(zip(rows.items, labels, strict=True)):
        key = (_name(item), label)
        if rows.split is not None and rows.split[i] == "test":
            known.append(i)
        elif wanted[key] > 0:
            wanted[key] -= 1
            known.append(i)
        else:
            more.append(key)
    missing = []
    for row in learned.rows:
        key = (row.item, row.label)
        if wanted[key] > 0:
            wanted[key] -= 1
            missing.append(row)
    return rows.take(known), missing, more


def _changes(
    rows: Dataset | None, there: Sequence[str], missing: Sequence[LearnedRow], more: Sequence[tuple[str, str]],
    learned: LearnedRows, names: Mapping[int, str], complete: bool,
) -> list[str]:  # fmt: skip
    """What is said of sources that do not say any more what they said."""
    if rows is None or not there:
        return []
    now = {item: label for item, label in more}
    other = [row for row in missing if row.item in now]
    # Of rows that were in a source that is gone nothing else is said.
    gone = [row for row in missing if row.item not in now] if complete else []
    new = len({item for item, _ in more} - {row.item for row in learned.rows})
    told = [
        *([f"{_rows(len(other))} another label ({_named(other, names)})"] if other else []),
        *(
            [f"{len(gone):,} {'is' if len(gone) == 1 else 'are'} not there any more ({_named(gone, names)})"]
            if gone
            else []
        ),
        *([f"{new:,} {'was' if new == 1 else 'were'} added"] if new else []),
    ]
    if not told:
        return []
    where = " and ".join(map(shown, there))
    said = f"{where} changed since the run was made: of its rows {', '.join(told)}"
    return [f"{said}. What the run learned from counts; to learn from it as it is now, name it among the new rows"]


def _rows(count: int) -> str:
    return f"{count:,} {'has' if count == 1 else 'have'}"


def _named(rows: Sequence[LearnedRow], names: Mapping[int, str]) -> str:
    told = [names.get(row.row, f"row {row.row}") for row in rows[:_TOLD]]
    more = f" and {len(rows) - _TOLD:,} more" if len(rows) > _TOLD else ""
    return ", ".join(told) + more


def _names(folder: Path, rows: Sequence[LearnedRow]) -> dict[int, str]:
    """The beginning of the text of each row, or its file."""
    inputs = saved_inputs(folder) if rows else {}
    return {
        row.row: f'"{text if len(text) <= 40 else text[:39] + "…"}"' for row in rows if (text := inputs.get(row.row))
    }


def _held(folder: Path, rows: Sequence[LearnedRow], model: Bundle | LanguageModel | PartModel) -> Dataset | None:
    """Rows that the run holds whole: texts as they stand in its table of answers, files that are where they were.

    Each is known by its content to be what was learned from; None where one of them is not held.
    """
    if not isinstance(model, Bundle) or model.pairs:
        return None
    inputs = raw_inputs(folder)
    items = [_restored(inputs.get(row.row, ""), row, model.modality) for row in rows]
    if any(item is None for item in items):
        return None
    grouped = any(row.group is not None for row in rows)
    return Dataset(
        items=items,
        modality=model.modality,
        labels=tuple(row.label for row in rows),
        groups=tuple(row.group or f"(row {row.row})" for row in rows) if grouped else None,
        rows=tuple(row.row for row in rows),
        source=f"the run {shown(str(folder))}",
        input=model.input,
        task=model.task.name,
        label_type=model.label_type,
        target=model.target,
        targets=model.targets,
        group=model.group,
    )


def _restored(text: str, row: LearnedRow, modality: str) -> Any:
    """The item that stands in a table as this text; None where it is not what was learned from."""
    if modality == "text":
        plain = text[1:] if text.startswith("'") and defuse(text[1:]) == text else text
        return next((found for found in (plain, text) if row.item and item_hash(found) == row.item), None)
    path = Path(text)
    return path if row.item and text and input_of(path, 0) == text and _name(path) == row.item else None


def raw_inputs(folder: Path) -> dict[int, str]:
    """Row → its cell in ``predictions.csv`` as it stands there, with its blanks and ends of lines."""
    return saved_inputs(folder, plain=False)


def _name(item: Any) -> str:
    try:
        return item_hash(item)
    except (OSError, ValueError, DataError):
        return ""


def _lost(
    folder: Path, sources: Sequence[str], new: Sequence[str | Path], model: Bundle | LanguageModel | PartModel,
    why: str, notes: Sequence[str] = (),
) -> DataError:  # fmt: skip
    old = [source if Path(source).exists() else "OLD_ROWS" for source in sources] or ["OLD_ROWS"]
    words = ["handful", "tune", *dict.fromkeys([*old, *map(str, new)]), "--out", str(folder)]
    anyway = shlex.join(["handful", "update", str(folder), *map(str, new), "--without-old-rows"])
    without = f"; or go on without them: {anyway}" if isinstance(model, Bundle) and not why_not(model) else ""
    said = "".join(f"{note}. " for note in notes)
    return DataError(
        f"{said}The old rows of {shown(str(folder))} cannot be found again: {why}. Put the source back as it was, or "
        f"name the old rows yourself: {shlex.join(words)}{without}"
    )
