"""Engines on this machine: threads of this process, or processes of their own."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Self, TypeVar

from threadpoolctl import threadpool_limits

from handful.engines.large import DIED, cores_each, noted, on_cores
from handful.errors import MachineError

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")


class Inline:
    """In this process: small jobs side by side on a core each, large ones one after the other on all of them."""

    here = same_machine = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results in the order of the jobs; NumPy lets go of the interpreter while it computes."""
        pool = ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            # The limit belongs to the process: jobs that each set and restored one would hand each other theirs, and
            # with it another order of additions.
            with threadpool_limits(1, user_api="blas"):
                given = list(jobs)
                yield from _ordered(given, [pool.submit(fn, job) for job in given])
        finally:  # nobody waits for what still runs when a run is interrupted
            pool.shutdown(wait=False, cancel_futures=True)

    def map_large(self, fn: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job]) -> Generator[Result]:
        """Give the results in the order of the jobs, each computed when it is asked for."""
        for job in jobs:
            with noted(job):
                result = fn(shared, job)
            yield result


class Processes:
    """In fresh processes, one per core; worth their start only for long searches and several trainings."""

    here, same_machine = False, True

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """End the processes, whatever they do."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):  # pool.terminate_workers() from Python 3.14 on
                process.terminate()
            pool.shutdown(cancel_futures=True)

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results in the order of the jobs; ``fn`` and the jobs must be picklable."""
        given = list(jobs)
        with self._workers() as pool:
            yield from _ordered(given, [pool.submit(fn, job) for job in given])

    def map_large(self, fn: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job]) -> Generator[Result]:
        """Give the results in the order of the jobs; all cores are shared out among them."""
        given = list(jobs)
        # As bytes, both ways: left to itself, multiprocessing hands over every tensor as a file that stays open, and a
        # body has more of them than a process may have files. This goes through a pipe and never to a disk.
        parcel = pickle.dumps((fn, shared))
        cores = cores_each(os.cpu_count() or 1, len(given))
        with self._workers() as pool:
            for result in _ordered(given, [pool.submit(_unpacked, parcel, job, cores) for job in given]):
                yield pickle.loads(result)  # noqa: S301 - from a process of our own

    @contextmanager
    def _workers(self) -> Iterator[Executor]:
        """The processes. They outlive a job that fails, which costs no new ones, but no interruption."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn"), _follow)
        try:
            yield self._pool
        except BrokenProcessPool as error:
            self.__exit__()
            raise MachineError(DIED) from error
        except (Exception, GeneratorExit):
            raise
        except BaseException:
            self.__exit__()
            raise


def _unpacked(parcel: bytes, job: Any, cores: int) -> bytes:
    """Run a large job in a process of our own."""
    fn, shared = pickle.loads(parcel)  # noqa: S301 - from the process that started this one
    return pickle.dumps(on_cores(cores, fn, shared, job))


def _follow() -> None:
    """Leave it to the process that started this one to say what Ctrl-C means, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    starter = parent_process()
    assert starter is not None

    def end() -> None:
        starter.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _ordered(jobs: list[Job], futures: list[Future[Result]]) -> Iterator[Result]:
    try:
        for job, future in zip(jobs, futures, strict=True):
            with noted(job):
                result = future.result()
            yield result
    finally:
        for future in futures:
            future.cancel()
