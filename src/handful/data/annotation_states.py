"""Rows that an annotator accepted, rejected or ignored, as Prodigy writes them: only what was accepted has a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handful.data.cells import is_missing, label_text, shown
from handful.data.label_types import items_of
from handful.data.tables import Columns
from handful.errors import DataError

ACCEPTED, REJECTED, IGNORED = "accept", "reject", "ignore"

_STATE, _CHOSEN = "answer", "accept"
# What Prodigy writes beside the item and its label: one of these shows that "answer" holds states.
_BESIDE = frozenset({
    "options", "config", "_input_hash", "_task_hash", "_session_id", "_annotator_id", "_view_id", "_timestamp",
    "_is_binary",
})  # fmt: skip


@dataclass(frozen=True)
class Annotated:
    """The rows of a table that have a label, with plain columns."""

    columns: Columns
    """The table without what only the tool needs."""
    label: str | None
    """The column of the label, where the tool says so."""
    notes: tuple[str, ...]
    """What was left out, one sentence each."""


def annotated(columns: Columns, source: str, label: str | None) -> Annotated:
    """Keep the rows that were accepted; other tables stay as they are.

    Args:
        columns: the table.
        source: its name, for messages.
        label: the column that the user named: of the states themselves only ``ignore`` says nothing.

    Raises:
        DataError: nothing was accepted, or all that was has the same label.
    """
    states = _states(columns)
    if states is None:
        return Annotated(columns, label, ())
    counts = Counter(states)
    wanted = (ACCEPTED, REJECTED) if label == _STATE else (ACCEPTED,)
    kept = [i for i, state in enumerate(states) if state in wanted]
    if not kept:
        raise DataError(f'no row of {source} was accepted: column "{_STATE}" says so of none. Annotate more rows.')
    beside = {*_BESIDE, *({_CHOSEN} if label == _STATE else {_STATE})} - {label}
    rows = columns.take(kept)
    cells = {name: column for name, column in rows.cells.items() if name not in beside}
    if label is None and _CHOSEN in cells:
        label = _CHOSEN
        cells[_CHOSEN] = _single(cells[_CHOSEN])
    elif label is None:
        _check_binary(cells.get("label", ()), counts, source)
    return Annotated(replace(rows, cells=cells), label, tuple(_notes(counts, wanted, label)))


def is_left_out(record: Mapping[str, Any], label: str) -> bool:
    """Whether the label of a single row does not count: it was rejected or ignored; of the states only the latter."""
    states = (IGNORED,) if label == _STATE else (REJECTED, IGNORED)
    return bool({*_BESIDE, _CHOSEN} & record.keys()) and record.get(_STATE) in states


def _states(columns: Columns) -> list[str] | None:
    """What became of each row; None where nothing says so."""
    if _STATE not in columns.cells or not ({*_BESIDE, _CHOSEN} & columns.cells.keys()):
        return None
    states = ["" if is_missing(cell) else label_text(cell) for cell in columns.cells[_STATE]]
    return states if any(states) and set(states) <= {ACCEPTED, REJECTED, IGNORED, ""} else None


def _single(cells: Sequence[Any]) -> list[Any]:
    """Chosen options: where nobody chose two, one each or nothing; otherwise lists."""
    lists = [items_of(cell) for cell in cells]
    if any(found is None or len(found) > 1 for found in lists):
        return list(cells)
    return [found[0] if found else None for found in lists]


def _check_binary(labels: Sequence[Any], counts: Counter[str], source: str) -> None:
    """Refuse one label that was accepted or rejected: the state is then what there is to learn."""
    names = {label_text(cell) for cell in labels} - {""}
    if len(names) == 1 and counts[REJECTED]:
        raise DataError(
            f'every row of {source} was asked about the one label "{shown(names.pop())}", which {counts[ACCEPTED]} '
            f"accept and {counts[REJECTED]} reject. Learn to tell these apart with --label {_STATE}."
        )


def _notes(counts: Counter[str], wanted: Sequence[str], label: str | None) -> list[str]:
    out = {"rejected": counts[REJECTED] if REJECTED not in wanted else 0, "ignored": counts[IGNORED] + counts[""]}
    said = " and ".join(f"{count:,} {name}" for name, count in out.items() if count)
    some = sum(out.values())
    left = [f'column "{_STATE}" says what became of each row: {said} {"row is" if some == 1 else "rows are"} left out']
    taken = [f'column "{_CHOSEN}" is taken as the label: what was chosen among the options; use --label for another']
    return left * bool(some) + taken * (label == _CHOSEN)
