"""Engines on this machine: threads of this process, or processes of their own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from typing import TypeVar

from threadpoolctl import threadpool_limits

Job = TypeVar("Job")
Result = TypeVar("Result")


class Inline:
    """In this process, one thread per core: NumPy lets go of the interpreter while it computes."""

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results in the order of the jobs."""
        pool = ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            # The limit belongs to the process: jobs that each set and restored one would hand each other theirs, and
            # with it another order of additions.
            with threadpool_limits(1, user_api="blas"):
                yield from _ordered(pool, fn, list(jobs))
        finally:  # nobody waits for what still runs when a run is interrupted
            pool.shutdown(wait=False, cancel_futures=True)


class Processes:
    """In fresh processes, one per core; worth their start only for long searches."""

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results in the order of the jobs; ``fn`` and the jobs must be picklable."""
        with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn"), _follow) as pool:
            try:
                yield from _ordered(pool, fn, list(jobs))
            except BaseException:  # an error, an interruption, or a reader that has seen enough: nobody wants the rest
                for process in list(pool._processes.values()):  # pool.terminate_workers() from Python 3.14 on
                    process.terminate()
                raise


def _follow() -> None:
    """Leave it to the process that started this one to say what Ctrl-C means, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    starter = parent_process()
    assert starter is not None

    def end() -> None:
        starter.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _ordered(pool: Executor, fn: Callable[[Job], Result], jobs: list[Job]) -> Iterator[Result]:
    futures = [pool.submit(fn, job) for job in jobs]
    try:
        for job, future in zip(jobs, futures, strict=True):
            try:
                yield future.result()
            except Exception as error:
                error.add_note(f"while working on {job!r}")
                raise
    finally:
        for future in futures:
            future.cancel()
