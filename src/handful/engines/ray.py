"""The engine on Ray: fits run on the machines of a cluster, or on the cores of this one where there is none."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, Self, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from handful.engines.large import DIED, cores_each, noted, on_cores
from handful.engines.shards import TRIES, Workers
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

    @contextmanager
    def workers(self, fn: Callable[[Shared, Job], Result], shared: Shared) -> Iterator[Workers[Job, Result]]:
        """One worker for each core of the cluster; Ray hands out again what a worker or a machine had that ended."""
        self._connect()
        made = _Cluster(ray.put((fn, shared)))
        try:
            yield made
        finally:
            made.end()

    def _connect(self) -> None:
        if ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told about a run
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        self._connected = True


class _Cluster:
    """The cores of a cluster, each of which holds one large thing."""

    lost: tuple[type[BaseException], ...] = ()

    def __init__(self, parcel: Any) -> None:
        """Begin.

        Args:
            parcel: where the cluster keeps what is done and what it reads.
        """
        cores, gpus = _all()
        self.ahead, self._parcel, self._under_way = 2 * cores, parcel, set[Any]()
        self._remote = ray.remote(num_cpus=1, num_gpus=min(1.0, gpus / cores), max_retries=TRIES - 1)(_held)

    def submit(self, job: Any) -> Future[Any]:
        """Hand out a job."""
        waited = self._remote.remote(
            [self._parcel], job
        )  # within a list, so that a worker gets it once and not each time
        made: Future[Any] = Future()
        self._under_way.add(waited)
        waited.future().add_done_callback(partial(self._arrived, waited, made))
        return made

    def _arrived(self, waited: Any, made: Future[Any], future: Future[Any]) -> None:
        self._under_way.discard(waited)
        error = future.exception()
        if error is None:
            made.set_result(future.result())
        else:
            made.set_exception(_own(error))

    def renew(self) -> None:
        """Ray does that itself."""

    def end(self) -> None:
        """Drop what is under way."""
        for waited in list(self._under_way):
            ray.cancel(waited)


_HELD: dict[Any, tuple[Callable[[Any, Any], Any], Any]] = {}
"""In a worker that answers shards: where the cluster keeps the large thing → what is done, and the thing."""


def _held(parcel: list[Any], job: Any) -> Any:
    """Answer a shard on a worker of the cluster, on one core."""
    if parcel[0] not in _HELD:
        _HELD.clear()
        _HELD[parcel[0]] = ray.get(parcel[0])
    fn, shared = _HELD[parcel[0]]
    return on_cores(1, fn, shared, job)


def _all() -> tuple[int, float]:
    """The cores and the GPUs of the cluster."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return max(1, sum(int(one.get("CPU", 0)) for one in machines)), sum(one.get("GPU", 0.0) for one in machines)


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
        raise _own(error) from None
    except RayError as error:
        raise _own(error) from error


def _own(error: BaseException) -> BaseException:
    """The error of a job itself in place of that of Ray, which wraps it; a worker that ended is said in our words."""
    if isinstance(error, RayTaskError):
        cause: BaseException | None = error.cause
        return cause or error
    if not isinstance(error, RayError):
        return error
    died = MachineError(DIED)
    died.__cause__ = error
    return died
