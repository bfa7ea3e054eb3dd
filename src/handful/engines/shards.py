"""Shards: any number of jobs that all read one large thing, a few under way at a time, each paid for once.

Memory holds what is under way and no more, however many shards there are. A shard whose worker ended is handed out
again; what was finished is told at once, out of turn, so that it can be written down, and results come in the order of
the jobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from handful.engines.large import DIED, noted
from handful.errors import MachineError

Job = TypeVar("Job")
Result = TypeVar("Result")
Handed = TypeVar("Handed", contravariant=True)

TRIES = 3
"""How often a shard is handed out whose worker ends: by chance that happens once, and by the shard itself each time."""


class Workers(Protocol[Handed, Result]):
    """What computes shards; a context, whose end drops what is under way."""

    ahead: int
    """How many shards may be under way, so that no worker waits for the next."""
    lost: tuple[type[BaseException], ...]
    """What a future raises whose worker ended, where the engine itself does not hand it out again."""

    def submit(self, job: Handed) -> Future[Result]:
        """Hand out a shard."""

    def renew(self) -> None:
        """Begin anew with fresh workers; all that was under way is lost."""


@dataclass(eq=False)
class _Shard(Generic[Job, Result]):
    """A shard that is under way, or done."""

    job: Job
    future: Future[Result] | None
    result: Result | None = None
    tries: int = 1


def in_shards(
    workers: Workers[Job, Result], jobs: Iterable[Job], known: Callable[[Job], Result | None] = lambda job: None,
    finished: Callable[[Job, Result], None] = lambda job, result: None,
) -> Iterator[tuple[Job, Result]]:  # fmt: skip
    """Give each job and its result, in the order of the jobs.

    Args:
        workers: what computes them.
        jobs: read one after the other, only as far as is under way.
        known: the result of a job that was computed before; None where it was not.
        finished: called with each job and its result as soon as it is there, which may be out of turn.

    Raises:
        MachineError: the worker of a shard ended, each of ``TRIES`` times.
    """
    under_way: deque[_Shard[Job, Result]] = deque()
    for job in jobs:
        result = known(job)
        under_way.append(_Shard(job, workers.submit(job) if result is None else None, result))
        if len(under_way) >= workers.ahead:
            yield _first(workers, under_way, finished)
    while under_way:
        yield _first(workers, under_way, finished)


def _first(
    workers: Workers[Job, Result], under_way: deque[_Shard[Job, Result]], finished: Callable[[Job, Result], None]
) -> tuple[Job, Result]:
    """The first of the shards that are under way, once it is done; others that get done meanwhile are told."""
    first = under_way[0]
    while first.future is not None:
        futures = [shard.future for shard in under_way if shard.future is not None]
        done, _ = wait(futures, return_when=FIRST_COMPLETED)
        for shard in [shard for shard in under_way if shard.future in done]:
            assert shard.future is not None
            try:
                with noted(shard.job):
                    shard.result = shard.future.result()
            except workers.lost as error:
                _again(workers, under_way, error)
                break
            shard.future = None
            finished(shard.job, shard.result)
    under_way.popleft()
    assert first.result is not None
    return first.job, first.result


def _again(workers: Workers[Job, Result], under_way: deque[_Shard[Job, Result]], error: BaseException) -> None:
    """Hand out anew what was lost with a worker."""
    lost = [shard for shard in under_way if shard.future is not None and not _is_done(shard.future, workers.lost)]
    workers.renew()
    for shard in lost:
        shard.tries += 1
        if shard.tries > TRIES:
            raise MachineError(DIED) from error
        shard.future = workers.submit(shard.job)


def _is_done(future: Future[Result], lost: tuple[type[BaseException], ...]) -> bool:
    """Whether a result is there, or an error of the shard itself, that no worker that ends takes back."""
    return future.done() and not future.cancelled() and not isinstance(future.exception(), lost)
