"""The engine on Ray: fits run on the machines of a cluster, or on the cores of this one where there is none."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Self, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from handful.engines.large import DIED, cores_each, noted, on_cores
from handful.errors import MachineError

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")


class Ray:
    """On the cluster that this process is connected to or that ``RAY_ADDRESS`` names, otherwise on one of its own.

    A connection that it made ends with it. ``handful`` must be installed on every machine.
    """

    here = same_machine = False

    def __init__(self) -> None:
        self._connected = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._connected:
            ray.shutdown()
            self._connected = False

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results in the order of the jobs; ``fn`` and the jobs must be picklable."""
        given = list(jobs)
        self._connect()
        remote = ray.remote(fn)
        yield from _ordered(given, [remote.remote(job) for job in given])

    def map_large(self, fn: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job]) -> Generator[Result]:
        """Give the results in the order of the jobs; what the cluster has is shared out among them."""
        given = list(jobs)
        self._connect()
        cores, gpus = _each(len(given))
        remote = ray.remote(num_cpus=cores, num_gpus=gpus)(_large)
        parcel = ray.put((fn, shared))  # once, however many jobs read it
        yield from _ordered(given, [remote.remote(parcel, job, cores) for job in given])

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told about a run
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        self._connected = True


def _large(parcel: tuple[Callable[[Any, Any], Any], Any], job: Any, cores: int) -> Any:
    """Run a large job on a machine of the cluster."""
    fn, shared = parcel
    return on_cores(cores, fn, shared, job)


def _each(jobs: int) -> tuple[int, float]:
    """The cores and the share of a GPU that each job gets, no more than one machine has."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(machine.get("CPU", 0)) for machine in machines]
    gpus = sum(machine.get("GPU", 0.0) for machine in machines)
    return min(cores_each(sum(cores), jobs), max(1, *cores)), min(1.0, gpus / max(1, jobs))


def _ordered(jobs: list[Job], pending: list[Any]) -> Iterator[Any]:
    try:
        for job, waited in zip(jobs, pending, strict=True):
            with noted(job):
                result = _result(waited)
            yield result
    finally:
        _, left = ray.wait(pending, num_returns=len(pending), timeout=0) if pending else ([], [])
        for waited in left:
            # As Ctrl-C would: the worker stays for the next job. By force, a job that ends just then would take this
            # process along: a check of Ray's own fails.
            ray.cancel(waited)


def _result(waited: Any) -> Any:
    """What a job came to; Ray wraps what a job raises, and puts the remote traceback into its text."""
    try:
        return ray.get(waited)
    except RayTaskError as error:
        raise (error.cause or error) from None
    except RayError as error:
        raise MachineError(DIED) from error
