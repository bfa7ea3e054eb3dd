"""Pairs: two texts that are one item, such as a premise and a hypothesis, or a question and an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from handful.data.cells import is_missing
from handful.errors import DataError

BETWEEN = " | "
"""Stands between the two texts where a pair is shown."""

# Columns that are known to be two texts of one row, in lower case.
_NAMES = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text1", "text2"),
    ("text", "text2"), ("text_a", "text_b"), ("sentence_a", "sentence_b"),
)  # fmt: skip


class Pair(str):
    """Two texts as one: it reads like the first and the second joined, and knows both."""

    first: str
    """The first text."""
    second: str
    """The second text."""

    def __new__(cls, first: str, second: str) -> Self:
        """Join two texts."""
        made = super().__new__(cls, f"{first}{BETWEEN}{second}")
        made.first, made.second = first, second
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """What a copy is made of."""
        return self.first, self.second


def make_pair(value: Sequence[Any]) -> tuple[Any, str]:
    """Two cells as a pair, and why they cannot be one, or an empty text."""
    first, second = value
    for place, text in (("first", first), ("second", second)):
        if is_missing(text):
            return "", f"the {place} text is empty"
        if not isinstance(text, str):
            return value, f"the {place} of two must be a text, got {type(text).__name__}"
    return Pair(first, second), ""


def is_two(value: Any) -> bool:
    """Whether a value is two texts: a pair, or a tuple of two texts."""
    return isinstance(value, Pair) or (
        isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value)
    )


def check_pairs(items: Sequence[Any], pairs: bool) -> None:
    """Refuse two texts where one is read, and one where two are.

    Args:
        items: N items.
        pairs: whether each of them must be two texts.

    Raises:
        DataError: one is not so; the first is named.
    """
    odd = next((i for i, item in enumerate(items) if isinstance(item, Pair) != pairs), None)
    if odd is not None:
        must, got = ("two texts, as (first, second)", "one") if pairs else ("one text", "two")
        raise DataError(
            f"item {odd} must be {must}, got {got}. Give items like those that were learned from; of a table "
            "--input names the column, or both of them joined by a comma."
        )


def paired_columns(names: Sequence[str]) -> tuple[str, str] | None:
    """The two columns of a table that are known to be a pair; None where there are none."""
    lower = {name.lower(): name for name in names}
    return next(((lower[a], lower[b]) for a, b in _NAMES if a in lower and b in lower), None)
