"""The engine on Ray: fits run on the machines of a cluster, or on the cores of this one where there is none."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import ray
from ray.exceptions import RayTaskError

Job = TypeVar("Job")
Result = TypeVar("Result")


class Ray:
    """On the cluster that this process is connected to or that ``RAY_ADDRESS`` names, otherwise on one of its own."""

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results in the order of the jobs; ``fn`` and the jobs must be picklable, ``handful`` be there."""
        given = list(jobs)
        with _connected():
            remote = ray.remote(fn)
            pending = [remote.remote(job) for job in given]
            try:
                for job, result in zip(given, pending, strict=True):
                    try:
                        yield ray.get(result)
                    except Exception as error:
                        # Ray wraps what a job raises, and puts the remote traceback into its text.
                        raised = error.cause if isinstance(error, RayTaskError) else error
                        raised.add_note(f"while working on {job!r}")
                        raise raised from None
            finally:  # what has ended already does not mind
                for result in pending:
                    ray.cancel(result, force=True)


@contextmanager
def _connected() -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told about a run
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()
