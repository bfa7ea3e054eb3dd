"""Engines: where independent fits run; the same call on one core, on all cores, in several processes or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from handful.engines.local import Inline, Processes
from handful.errors import OptionError, suggestion

__all__ = ["Engine", "Inline", "Processes", "engine"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_NAMES = ("inline", "processes", "ray")


class Engine(Protocol):
    """Runs one function over many jobs."""

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Give the results in the order of the jobs; an error carries the job it came from as a note.

        An error, an interruption or a reader that has seen enough cancels the jobs that are left.
        """


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
        raise OptionError(f"engine must be one of {', '.join(_NAMES)}, got {name!r}.{suggestion(name, _NAMES)}")
    try:
        from handful.engines.ray import Ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise OptionError(
            "engine 'ray' needs the package ray, which is not installed. Run: pip install 'handful[ray]'"
        ) from error
    return Ray()
