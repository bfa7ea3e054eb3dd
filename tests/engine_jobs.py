"""What engines run in their tests: a module that loads at once, since every process that they start has to load it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np

from handful.errors import DataError, TrainingError


def half(number: int) -> float:
    """A small job; three fails."""
    if number == 3:
        raise DataError("three cannot be halved.")
    return number / 2


def half_or_wait(job: tuple[int, str]) -> float:
    """A small job; five takes a minute."""
    number, done = job
    if number == 5:
        threading.Event().wait(60)
        Path(done).touch()
    return half(number)


def share_of(whole: np.ndarray, part: int) -> tuple[float, int]:
    """A job that reads something large: what it makes of it, and in which process; three fails."""
    if part == 3:
        raise TrainingError("the third ran away.")
    return float(whole.sum()) / part, os.getpid()


def ends(whole: int, part: int) -> None:
    """A job; in two, its process ends, as one does that took all memory."""
    if part == 2:
        os._exit(1)


def name_of(whole: str, part: int) -> tuple[str, int, int]:
    """A shard: what it read, where that lies in memory, and in which process."""
    return whole, id(whole), os.getpid()


def killed_once(mark: str, part: int) -> int:
    """A shard; the first time that it is the fifth, its process ends, as one does that took all memory."""
    if part == 4 and not Path(mark).exists():
        Path(mark).touch()
        os._exit(1)
    return 2 * part
