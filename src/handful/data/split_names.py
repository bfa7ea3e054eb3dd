"""What parts of a split are called, in a column or as folders: train, val, test and the like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SPLIT_NAME = "split"
SPLITS = {
    **dict.fromkeys(("train", "training", "dev", "val", "valid", "validation"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Name, in small letters → whether it is trained on (``train``) or kept to test with (``test``)."""


def split_of(cell: Any) -> str:
    """``train`` or ``test`` for what a split column says, an empty string where it says neither."""
    return SPLITS.get(cell.strip().lower(), "") if isinstance(cell, str) else ""


def splits_in(cells: Iterable[Any]) -> set[str]:
    """Which of ``train`` and ``test`` a column says, where it says nothing else; otherwise none."""
    said = {split_of(cell) for cell in cells}
    return set() if "" in said else said
