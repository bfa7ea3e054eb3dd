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

from handful.engines.large import DIED, cores_each, noted, on_cores
from handful.engines.shards import Workers
from handful.errors import MachineError
from handful.threads import one_thread

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
            with one_thread():
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

    @contextmanager
    def workers(self, fn: Callable[[Shared, Job], Result], shared: Shared) -> Iterator[Workers[Job, Result]]:
        """Each job is computed when it is handed out, on all cores."""
        yield _Here(lambda job: fn(shared, job))


class _Here:
    """This process as the only worker."""

    ahead = 1
    lost: tuple[type[BaseException], ...] = ()

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self._fn = fn

    def submit(self, job: Any) -> Future[Any]:
        """The result of a job, computed now; its error is raised by whoever asks for it."""
        made: Future[Any] = Future()
        try:
            made.set_result(self._fn(job))
        except Exception as error:
            made.set_exception(error)
        return made

    def renew(self) -> None:
        """Nothing is ever lost."""


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
        _end(pool)

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
    def workers(self, fn: Callable[[Shared, Job], Result], shared: Shared) -> Iterator[Workers[Job, Result]]:
        """One process for each core; a process that ends takes the others along, and what they had under way."""
        made = _Spawned(pickle.dumps((fn, shared)))
        try:
            yield made
        finally:
            made.end()

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


class _Spawned:
    """Processes that each hold one large thing."""

    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, parcel: bytes) -> None:
        """Begin.

        Args:
            parcel: what is done and what it reads, pickled; as bytes, see ``Processes.map_large``.
        """
        cores = os.cpu_count() or 1
        self.ahead, self._cores, self._parcel = 2 * cores, cores, parcel
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._cores, get_context("spawn"), _hold, (self._parcel,))

    def submit(self, job: Any) -> Future[Any]:
        """Hand out a job; to fresh processes where one ended since the last."""
        try:
            return self._pool.submit(_held, job)
        except BrokenProcessPool as error:
            made: Future[Any] = Future()
            made.set_exception(error)
            return made

    def renew(self) -> None:
        """Fresh processes in place of those that are left."""
        self.end()
        self._pool = self._started()

    def end(self) -> None:
        """End the processes, whatever they do."""
        _end(self._pool)


def _end(pool: ProcessPoolExecutor | None) -> None:
    if pool is None:
        return
    for process in list((pool._processes or {}).values()):  # pool.terminate_workers() from Python 3.14 on
        process.terminate()
    pool.shutdown(cancel_futures=True)


_HELD: list[tuple[Callable[[Any, Any], Any], Any]] = []
"""In a process that answers shards: what is done, and the large thing that it reads."""


def _hold(parcel: bytes) -> None:
    """Make ready a process of our own that answers shards."""
    _follow()
    _HELD[:] = [pickle.loads(parcel)]  # noqa: S301 - from the process that started this one


def _held(job: Any) -> Any:
    """Answer a shard in a process of our own, on one core."""
    fn, shared = _HELD[0]
    return on_cores(1, fn, shared, job)


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
