"""Rows that a run learned from: left out of a check, since of those it knows the answers, and said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError


def unknown_rows(
    known: NDArray[np.bool_], source: str, things: str, tell: Callable[[str], None]
) -> NDArray[np.int64]:  # fmt: skip
    """The rows that are no copies of rows that were learned from.

    The promise of a run is about such rows, since copies were held out together.

    Args:
        known: (N,) which rows are copies.
        source: what the rows are called together.
        things: what they are called each, in the plural.
        tell: told how many are left out.

    Raises:
        DataError: all are copies.
    """
    unknown, count = np.flatnonzero(~known), int(known.sum())
    if not len(unknown):
        raise DataError(
            f"{source} must hold {things} that the run has not seen, got nothing but {things} that it learned from, "
            "which prove nothing. Give new ones."
        )
    if count:
        tell(f"learned from already, so that they prove nothing, and left out: {count} of {len(known)} {things}")
    return unknown
