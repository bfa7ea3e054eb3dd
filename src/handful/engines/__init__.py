"""Engines: where independent fits run; the same calls on this machine's cores, in several processes or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, Self, TypeVar

from handful.engines.local import Inline, Processes
from handful.engines.shards import Workers
from handful.errors import OptionError, suggestion
from handful.plan import ENGINES

__all__ = ["Engine", "Inline", "Processes", "engine"]

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs one function over many jobs.

    A context: workers start when they are first needed, serve every call, and end with it, whatever they do then.
    What an engine runs elsewhere must be picklable: functions, jobs and results.
    """

    @property
    def here(self) -> bool:
        """Whether large jobs run in this process, so that what they report on the way is heard."""

    @property
    def same_machine(self) -> bool:
        """Whether jobs read and write the files of this machine."""

    def __enter__(self) -> Self:
        """The engine itself."""

    def __exit__(self, *raised: object) -> None:
        """End the workers."""

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results of many small jobs in their order; an error carries the job it came from as a note.

        Each job has one core. An error, an interruption or a reader that has seen enough cancels the jobs that are
        left.

        Raises:
            MachineError: a worker ended before its job was done.
        """

    def map_large(self, fn: Callable[[Shared, Job], Result], shared: Shared, jobs: Iterable[Job]) -> Generator[Result]:
        """The same for a few large jobs, which all read one large thing and can use many cores each, as trainings do.

        Here they run one after the other, each when its result is asked for, on all cores: side by side they would
        take the cores from each other and as much more memory. Elsewhere the cores are shared out evenly among them.

        Args:
            fn: what is shared and a job → its result.
            shared: what all jobs read; it travels once to Ray, and once per job to processes.
            jobs: small.

        Raises:
            MachineError: a worker ended before its job was done.
        """

    def workers(
        self, fn: Callable[[Shared, Job], Result], shared: Shared
    ) -> AbstractContextManager[Workers[Job, Result]]:
        """What computes any number of jobs that read one large thing, as ``shards.in_shards`` hands them out.

        Each worker is given the large thing once and keeps it as long as it lives, with all that was loaded for it.

        Args:
            fn: what is shared and a job → its result.
            shared: what all jobs read.
        """


START = (5, 10)
"""Seconds until the workers of an engine elsewhere have started and loaded what they need."""
SHORT = 60.0
"""Seconds of a run in which a start like that is not made good on one machine."""


def advice(name: str, rows: int, budget: float) -> str:
    """What to know before work goes elsewhere; empty where it pays, or where it stays here.

    Args:
        name: of the engine.
        rows: that are learned from.
        budget: seconds of the run.
    """
    if name == ENGINES[0] or budget > SHORT:
        return ""
    return (
        f"{rows} rows within {budget:.0f} s: inline is faster, for what {name} starts takes {START[0]} to {START[1]} "
        "s; it pays for budgets of several minutes, on many cores or several machines"
    )


def engine(name: str) -> Engine:
    """The engine of this name.

    Raises:
        OptionError: there is none, or the package that it needs is missing.
    """
    if name == "inline":
        return Inline()
    if name == "processes":
        return Processes()
    if name != "ray":
        raise OptionError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}.{suggestion(name, ENGINES)}")
    try:
        from handful.engines.ray import Ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise OptionError(
            "engine 'ray' needs the package ray, which is not installed. Run: pip install 'handful[ray]'"
        ) from error
    return Ray()
