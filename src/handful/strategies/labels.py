"""Rows and labels as every strategy checks them: one label per row, of two classes at least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.label_types import items_of
from handful.errors import DataError


def one_each(rows: Sequence[Any] | NDArray[Any], labels: Sequence[Any] | NDArray[Any]) -> None:
    """Refuse another number of labels than rows.

    Raises:
        DataError: the numbers differ.
    """
    if len(rows) != len(labels):
        raise DataError(f"fit needs one label per row, got {len(rows)} rows and {len(labels)} labels.")


def numbered(owner: str, labels: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The sorted classes, (C,), and the number of each row's class, (N,).

    Args:
        owner: the strategy that asks, for the message.
        labels: N classes: texts, whole numbers, truth values; (N, 1) is read as N.

    Raises:
        DataError: there are not two classes, or labels are lists or objects.
    """
    rows = [items_of(label) for label in labels]
    if rows and all(row is not None and len(row) == 1 for row in rows):  # a column
        labels = [label for row in rows for label in row or ()]
    elif any(row is not None for row in rows) or any(isinstance(label, Mapping) for label in labels):
        raise DataError(
            f"{owner} needs one class per row, got a list or an object for each. Of rows of 0 and 1 give "
            "labels.argmax(1); several labels of a row are for handful.tune."
        )
    classes, index = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) < 2:
        got = f"only one class, {str(classes[0])!r}" if len(classes) else "none"
        raise DataError(f"{owner} needs rows of at least 2 classes, got {got}. Add rows of another class.")
    return classes, index
