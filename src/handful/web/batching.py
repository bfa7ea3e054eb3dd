"""Batches: requests that wait for the same model go through it together, and none waits for a batch to fill."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from handful.web.questions import RefusedError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST_WAITING = 256
"""How many requests may wait for one model."""


@dataclass
class _Job(Generic[Item, Answer]):
    """The items of one request, and where their answers go."""

    items: Sequence[Item]
    """What is asked about."""
    answers: Future[list[Answer]] = field(default_factory=Future)
    """One answer per item."""


class Batcher(Generic[Item, Answer]):
    """One thread that answers for one model: whatever came in while it was busy is its next batch."""

    def __init__(
        self,
        answer: Callable[[Sequence[Item]], list[Answer]],
        most: int,
        name: str = "model",
        waiting: int = MOST_WAITING,
    ) -> None:
        """Begin to wait for work.

        Args:
            answer: gives one answer per item; called by one thread only.
            most: how many items go through together at most; a larger request goes through alone.
            name: of the thread.
            waiting: how many requests may wait.
        """
        self._answer, self._most = answer, most
        self._jobs: queue.Queue[_Job[Item, Answer] | None] = queue.Queue(waiting)
        self._left: _Job[Item, Answer] | None = None
        self._ended = False
        self.batches = 0
        """How many batches went through."""
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def answers(self, items: Sequence[Item]) -> list[Answer]:
        """Answer the items of one request; when whoever asked goes away, they are left out.

        Raises:
            RefusedError: too many requests wait already, or the server is being stopped.
            Exception: what ``answer`` raised about these items.
        """
        job: _Job[Item, Answer] = _Job(items)
        if self._ended:
            raise RefusedError("the server is being stopped. Ask again when it is back.", status=503)
        try:
            self._jobs.put_nowait(job)
        except queue.Full as full:
            raise RefusedError(
                f"at most {self._jobs.maxsize} requests may wait for this model, and as many do. Ask again later.",
                status=503, code="busy",
            ) from full  # fmt: skip
        return await asyncio.wrap_future(job.answers)

    def end(self) -> None:
        """Answer what is waiting, then stop; what is asked afterwards is refused."""
        if not self._ended:
            self._ended = True
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            wanted = [job for job in batch if job.answers.set_running_or_notify_cancel()]
            if wanted:
                self.batches += 1
                self._settle(wanted)

    def _settle(self, jobs: Sequence[_Job[Item, Answer]]) -> None:
        """Answer several requests together; where that fails, each by itself, so that one cannot spoil the others."""
        try:
            found = self._answer([item for job in jobs for item in job.items])
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].answers.set_exception(error)
            else:
                for job in jobs:
                    self._settle([job])
            return
        at = 0
        for job in jobs:
            job.answers.set_result(found[at : at + len(job.items)])
            at += len(job.items)

    def _next(self) -> list[_Job[Item, Answer]] | None:
        """The first request that waits, and those after it that fit beside it; None at the end."""
        first = self._left if self._left is not None else self._jobs.get()
        self._left = None
        if first is None:
            return None
        batch, count = [first], len(first.items)
        while count < self._most:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:  # the end comes after this batch
                self._jobs.put(None)
                break
            if count + len(job.items) > self._most:
                self._left = job
                break
            batch.append(job)
            count += len(job.items)
        return batch
