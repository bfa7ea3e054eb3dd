"""The rows by which an exported copy is compared with its model: those that are named, or those of the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handful.cli.given import check_source

if TYPE_CHECKING:
    from handful.export.bundle import Bundle
    from handful.export.onnx.exporting import KnownRows
    from handful.plan import Plan


def known_rows(run: str, rows: str | None, model: Bundle) -> tuple[KnownRows, list[int]]:
    """The rows by which a copy is judged, and where they stand: those named, or those that the run was made of."""
    from handful.export.onnx.exporting import KnownRows
    from handful.monitoring.new_rows import rows_of_source

    source = rows_beside(run, rows)
    if source is None:
        return KnownRows(), []
    if model.task.grain == "frames":
        return rows_of(source, run, rows is None, model.task.name), []
    new = rows_of_source(Path(source), None, None, model, lambda note: None)
    labelled = new.labelled(model) if new.label is not None else []
    if not labelled:
        return KnownRows([row.item for row in new.rows]), []
    labels = [str(row.label) for row in labelled]
    return KnownRows([row.item for row in labelled], labels), [row.place for row in labelled]


def rows_beside(run: str, rows: str | None) -> str | None:
    """Where the rows stand by which a copy is judged: those named, or those of the run; None where these are gone."""
    from handful.data.sources import exists, that_exists

    if rows is not None:
        check_source(rows, "labelled rows")
        that_exists(rows)
        return rows
    plan = _plan(run)
    if plan is None:
        return None
    [rows, *others] = plan.sources or (plan.source,)
    # Rows of several sources stand elsewhere in the run than in these.
    return None if others or not exists(Path(rows)) else rows


def _plan(run: str) -> Plan | None:
    from handful.plan import read_plan

    above = Path(run) if (Path(run) / "plan.yaml").is_file() else Path(run).parent
    return read_plan(above / "plan.yaml") if (above / "plan.yaml").is_file() else None


def rows_of(source: str, run: str, own: bool, task: str) -> KnownRows:
    """The rows of a source that is read as when it was learned from.

    Args:
        source: where they stand.
        run: the run folder.
        own: whether they are those of the run, whose columns are then known.
        task: what the model answers.
    """
    from handful.data.readers import load
    from handful.export.onnx.exporting import KnownRows

    plan = _plan(run) if own else None
    columns = {} if plan is None else {"label": plan.label, "input": plan.input, "group": plan.group}
    data = load(source, task=task, **columns)
    return KnownRows(list(data.items), list(data.labels or ()))
