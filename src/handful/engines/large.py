"""What engines have in common: the share of the cores that a large job gets, and whose error an error is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")

DIED = (
    "a process that the engine started must live until its job is done, but one ended before. Perhaps memory ran out: "
    "try --engine inline, or a smaller backbone."
)
"""What is said of a worker that is gone."""


def cores_each(cores: int, jobs: int) -> int:
    """How many cores each of some jobs gets that run side by side; one where there are more jobs than cores."""
    return max(1, cores // max(1, jobs))


def on_cores(cores: int, fn: Callable[[Shared, Job], Result], shared: Shared, job: Job) -> Result:
    """Run a job with so many threads in every library that computes; those that are to be held to it are loaded."""
    with threadpool_limits(cores):
        return fn(shared, job)


@contextmanager
def noted(job: object) -> Iterator[None]:
    """Let an error say which job it came from."""
    try:
        yield
    except Exception as error:
        error.add_note(f"while working on {job!r}")
        raise
