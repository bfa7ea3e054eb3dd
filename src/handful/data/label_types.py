"""What labels were before they were written as text: texts, whole numbers, numbers or truth values; and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sized
from typing import Any

from handful.data.cells import cell_text, is_missing, scalar

TEXT, WHOLE, NUMBER, TRUTH = "text", "int", "float", "bool"
LABEL_TYPES = (TEXT, WHOLE, NUMBER, TRUTH)
"""What labels can be, as models record it."""


def types_in(value: Any) -> frozenset[str]:
    """The types of a cell, or of what a list in it holds; none where it is missing, and text of all other things."""
    if isinstance(value, str):  # nearly every cell, at once
        return frozenset() if is_missing(value) else _TEXTS
    value = scalar(value)
    if getattr(value, "ndim", 0) > 1 or (isinstance(value, Sized) and len(value) > _MOST):
        return _TEXTS  # a picture or a sound, which no label is
    inner = items_of(value)
    if inner is not None:
        return frozenset().union(*map(types_in, inner))
    if cell_text(value) is None:
        return frozenset()
    return frozenset({_TYPES.get(type(value), TEXT)})


def type_of(types: Iterable[str]) -> str:
    """The one type of a column: of whole numbers among others numbers, of any other mixture text."""
    found = set(types)
    if found <= {WHOLE, NUMBER} and len(found) > 1:
        return NUMBER
    return found.pop() if len(found) == 1 else TEXT


def as_given(answer: Any, label_type: str) -> Any:
    """An answer in the type that labels had.

    Args:
        answer: the text of a class or rating, a list of such texts, or a number, which stays as it is.
        label_type: one of ``LABEL_TYPES``.
    """
    if isinstance(answer, list):
        return [as_given(part, label_type) for part in answer]
    if not isinstance(answer, str) or label_type == TEXT:
        return answer
    return answer == str(True) if label_type == TRUTH else _READ[label_type](answer)


def is_written(name: str, label_type: str) -> bool:
    """Whether a name can be a label of a type: what ``as_given`` can read."""
    if label_type == TRUTH:
        return name in (str(True), str(False))
    try:
        as_given(name, label_type)
    except ValueError:
        return False
    return True


def as_written(name: str, label_type: str) -> str:
    """A label as a table shows it: numbers that came as ``4.0`` leave as ``4.0``.

    Args:
        name: of a class or rating, as models keep it.
        label_type: one of ``LABEL_TYPES``.
    """
    return str(as_given(name, label_type)) if label_type == NUMBER else name


def are_decimal(cells: Iterable[Any]) -> bool:
    """Whether all texts that say something are numbers with a point, as Python writes them: ``4.0``, not ``4``."""
    said = [cell for cell in cells if not is_missing(cell)]
    return bool(said) and all(isinstance(cell, str) and bool(_DECIMAL.fullmatch(cell)) for cell in said)


def items_of(value: Any) -> list[Any] | None:
    """What a list, a tuple, a set, an array or a tensor with one axis or more holds; None for anything else."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    # An array, a tensor or a series, whoever made it.
    return list(value.tolist()) if getattr(value, "ndim", 0) and hasattr(value, "tolist") else None


# Short enough to be written again without a digit more or less.
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,5})\.(?:0|\d{0,3}[1-9])")
# More than this in a cell are no labels.
_MOST = 1000
_TEXTS = frozenset({TEXT})
_TYPES = {bool: TRUTH, int: WHOLE, float: NUMBER}
_READ = {WHOLE: int, NUMBER: float}
