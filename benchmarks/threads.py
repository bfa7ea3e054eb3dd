"""How long a small eigenvalue problem takes on all threads and on one, with idle cores and with busy ones.

    python benchmarks/threads.py

Prints a table; takes half a minute. Measured on two cores: see docs/decisions/0050-small-problems-on-one-thread.md.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable

import numpy as np

from handful.threads import one_thread

SIZES = (40, 200)
SECONDS = 3.0


def busy() -> None:
    """Keep a core at work."""
    while True:
        np.sqrt(np.arange(1000.0)).sum()


def measured(size: int, context: Callable[[], contextlib.AbstractContextManager[None]]) -> tuple[float, float]:
    """Median and maximum of the milliseconds that a decomposition takes."""
    x = np.random.default_rng(0).normal(size=(size, size))
    x, taken, end = x @ x.T, list[float](), time.perf_counter() + SECONDS
    with context():
        while time.perf_counter() < end:
            start = time.perf_counter()
            np.linalg.eigh(x)
            taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken)), max(taken)


def main() -> None:
    """Measure and print."""
    cores = os.cpu_count() or 1
    print(f"{'others':>7} {'size':>5} {'threads':>8} {'median, ms':>11} {'longest, ms':>12}")
    for others in (0, 2 * cores):
        workers = [multiprocessing.Process(target=busy, daemon=True) for _ in range(others)]
        for worker in workers:
            worker.start()
        for size in SIZES:
            for name, context in (("all", contextlib.nullcontext), ("one", one_thread)):
                median, longest = measured(size, context)
                print(f"{others:>7} {size:>5} {name:>8} {median:>11.2f} {longest:>12.1f}")
        for worker in workers:
            worker.terminate()


if __name__ == "__main__":
    main()
