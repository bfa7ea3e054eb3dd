"""Labels that are handed over beside a table, or as columns of one: both as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handful.errors import OptionError


def in_one_table(source: Any, labels: Any, label: str | None) -> tuple[Any, Any, str | None]:
    """Source, labels and the column of labels as they are; of a table and labels, one table and what these are called.

    Args:
        source: anything that ``load`` takes; here a DataFrame, or a list beside a DataFrame of labels.
        labels: N labels, or a DataFrame with a column of labels or several of 0 and 1; None where there are none.
        label: what the caller named as the column of labels.

    Returns:
        A DataFrame with the labels as further columns, None, and the names of these, joined by commas.

    Raises:
        OptionError: the labels are named twice, or are more or fewer than the rows.
    """
    if labels is None or isinstance(source, str | Path) or not any(hasattr(x, "columns") for x in (source, labels)):
        return source, labels, label
    import pandas as pd

    if label:
        raise OptionError("label= names a column and labels= holds the labels themselves, got both. Leave one out.")
    if len(source) != len(labels):
        raise OptionError(f"labels= must have one entry per row ({len(source)}), got {len(labels)}. Correct it.")
    table = source if hasattr(source, "columns") else pd.DataFrame({"item": pd.Series(list(source), dtype=object)})
    beside = labels if hasattr(labels, "columns") else {getattr(labels, "name", None) or "label": labels}
    columns = {}
    for name in beside:
        own = str(name)
        while own in table.columns:  # a column of the same name may be another thing
            own += "_"
        columns[own] = list(beside[name])
    return table.assign(**columns), None, ",".join(columns)
