"""Columns that say which rows are worth learning: right or wrong beside a prompt and its answer, and weights."""

from __future__ import annotations

from collections.abc import Collection

from handful.data.cells import is_missing, label_text, shown
from handful.data.conversations import Fields
from handful.data.tables import Columns
from handful.data.targets import number_of
from handful.errors import DataError

# In lower case: what says whether an answer is a good one. Other columns of truth values tell something else.
_VERDICTS = (
    "label", "labels", "kto_tag", "desirable", "is_desirable", "good", "is_good", "correct", "is_correct", "accepted",
    "is_accepted", "approved", "liked", "thumbs_up", "helpful", "is_helpful",
)  # fmt: skip
_RIGHT = frozenset({"true", "1", "yes", "desirable", "good"})
_WRONG = frozenset({"false", "0", "no", "undesirable", "bad"})

# How much a row counts; the first two are columns of their own in tables of classes, such as the weight of a parcel.
_WEIGHTS = ("weight", "weights", "sample_weight", "sample_weights", "row_weight")
_SURE = _WEIGHTS[2:]


def worth_learning(
    columns: Columns, fields: Fields, taken: Collection[str], source: str
) -> tuple[Columns, tuple[str, ...], tuple[str, ...]]:
    """The rows of prompts and answers that are to be learned.

    Args:
        columns: the table.
        fields: which column is what; of preferences the worse answer says what is wrong.
        taken: columns that are something else.
        source: the table as the user would name it, for messages.

    Returns:
        The rows, what to tell the user, and the columns that said so.

    Raises:
        DataError: none is, or some are to count more than others.
    """
    columns, notes = weighted(columns, taken, source, asks=True)
    verdict = "" if fields.chosen else verdict_column(columns, taken)
    if not verdict:
        return columns, notes, ()
    columns, note = only_right(columns, verdict, source)
    return columns, (*notes, note), (verdict,)


def verdict_column(columns: Columns, taken: Collection[str]) -> str:
    """The column that says whether an answer is a good one, by its name and its cells; empty where there is none."""
    free = {name.lower(): name for name in columns.cells if name not in taken}
    return next((free[name] for name in _VERDICTS if name in free and _is_verdict(columns, free[name])), "")


def is_truth(columns: Columns, name: str) -> bool:
    """Whether a column says true or false in every row, and neither in all of them."""
    return bool(name) and {label_text(cell).lower() for cell in columns.cells[name]} == {"true", "false"}


def only_right(columns: Columns, name: str, source: str) -> tuple[Columns, str]:
    """The rows whose answer is a good one.

    Args:
        columns: the table.
        name: the column that says so.
        source: the table as the user would name it, for messages.

    Returns:
        The rows, and what to tell the user.

    Raises:
        DataError: there is none.
    """
    good = [i for i, cell in enumerate(columns.cells[name]) if label_text(cell).lower() in _RIGHT]
    if not good:
        raise DataError(
            f'column "{shown(name)}" of {source} says of every row that its answer is a bad one, so that there is none '
            "to learn. Correct it, or rename it to have it ignored."
        )
    out = len(columns) - len(good)
    note = (
        f'column "{shown(name)}" says which answers are good: {len(good):,} rows are learned from, {out:,} '
        f"{'is' if out == 1 else 'are'} left out"
    )
    return columns.take(good), note


def weighted(columns: Columns, taken: Collection[str], source: str, asks: bool) -> tuple[Columns, tuple[str, ...]]:
    """The rows that weights leave in, where there are weights.

    Args:
        columns: the table.
        taken: columns that are something else.
        source: the table as the user would name it, for messages.
        asks: whether its rows are prompts and answers; in a table of classes a ``weight`` may be that of a parcel.

    Returns:
        The rows whose weight is not 0, and what to tell the user.

    Raises:
        DataError: rows are to count differently.
    """
    free = {name.lower(): name for name in columns.cells if name not in taken}
    name = next((free[known] for known in _WEIGHTS if known in free), "")
    weights = [number_of(label_text(cell)) for cell in columns.cells[name]] if name else [None]
    if None in weights:
        return columns, ()
    if not asks and name.lower() not in _SURE:
        return columns, (f'column "{shown(name)}" does not weigh rows: each counts the same',)
    different = sorted({weight for weight in weights if weight})
    if len(different) > 1:
        some = ", ".join(f"{weight:g}" for weight in different[:3]) + ", …" * (len(different) > 3)
        raise DataError(
            f'column "{shown(name)}" of {source} must give rows the same weight, or 0 to leave them out, got {some}. '
            "Remove it: then each row counts the same; or repeat rows that are to count more."
        )
    counting = [i for i, weight in enumerate(weights) if weight]
    if len(counting) in (0, len(columns)):
        return columns, ()
    out = len(columns) - len(counting)
    return columns.take(counting), (
        f'column "{shown(name)}" is 0 in {out:,} row{"s" * (out != 1)}, which {"is" if out == 1 else "are"} left out',
    )


def _is_verdict(columns: Columns, name: str) -> bool:
    said = {label_text(cell).lower() for cell in columns.cells[name] if not is_missing(cell)}
    return bool(said & _WRONG) and said <= _RIGHT | _WRONG
