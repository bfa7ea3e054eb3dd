"""Names in help texts: what an option can be given is put in from where it is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from handful.choices import ANSWER_METRICS, ANSWERING, HEADS_OF, METRICS_OF, MOVERS, PREFERRING, SHARED
from handful.plan import PATTERN

Command = TypeVar("Command", bound=Callable[..., None])


def with_names(command: Command) -> Command:
    """Put names in place of what stands in braces, as ``{frozen}`` and ``{moving}``."""
    command.__doc__ = (command.__doc__ or "").format(
        frozen=_frozen(), moving=", ".join(MOVERS), answering=", ".join(ANSWERING), preferring=", ".join(PREFERRING),
        metrics=_metrics(), shared=SHARED,
    )  # fmt: skip
    return command


def _frozen() -> str:
    """The heads of the first task, and what each other task has beside them."""
    first, *others = HEADS_OF
    said = [", ".join(HEADS_OF[first])]
    for task in others:
        more = [name for name in HEADS_OF[task] if name not in HEADS_OF[first]]
        said += [f"{task} also: {', '.join(more)}"] if more else []
    return "; ".join(said)


def _metrics() -> str:
    """The metrics of each task, and those of answers."""
    metrics = {**METRICS_OF, "answers": (*ANSWER_METRICS, f"{PATTERN}PATTERN")}
    return "; ".join(f"of {of} {', '.join(names[:-1])} or {names[-1]}" for of, names in metrics.items())
