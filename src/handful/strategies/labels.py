"""Rows and labels as every strategy checks them: readable, one label per row, of two classes at least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError


def all_readable(failed: Mapping[int, str]) -> None:
    """Refuse items that could not be read.

    Args:
        failed: position → why.

    Raises:
        DataError: one could not be read; the first is named.
    """
    if failed:
        at = min(failed)
        raise DataError(f"item {at} cannot be read: {failed[at]}.")


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
        labels: N class names.

    Raises:
        DataError: there are not two classes.
    """
    classes, index = np.unique(np.asarray(labels), return_inverse=True)
    if len(classes) < 2:
        got = repr(str(classes[0])) if len(classes) else "none"
        raise DataError(f"{owner} needs rows of at least 2 classes, got only {got}. Add rows of another class.")
    return classes, index
