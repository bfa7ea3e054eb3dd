"""On how many threads linear algebra computes: small problems on one, since sharing them costs more than it gains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    """The libraries of linear algebra, looked up once: a look at all that is loaded takes milliseconds."""
    import scipy.linalg  # noqa: F401 - brings a library of its own beside that of NumPy, which would be missed

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as a context or as a decorator of a function that solves small problems.

    Two threads wait for each other at every step of a decomposition: on two busy cores one of 40 × 40 took 64 ms in the
    middle, and 0.1 ms on one thread (``benchmarks/threads.py``). Sums are then also added in one order on any machine.
    """
    with _libraries().limit(limits=1, user_api="blas"):
        yield
