"""Trainings as jobs of an engine: what one is given, and what comes back of it, wherever it ran."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from handful.engines import Engine
from handful.strategies.tuned.fit import Adapted, adapt, scored
from handful.strategies.tuned.recipe import ItemRecipe
from handful.tasks.base import Targets
from handful.training.activations import Activations
from handful.training.devices import spare_the_compiler
from handful.training.loop import Update
from handful.training.tuners.base import Delta


@dataclass(frozen=True)
class Setup:
    """What the trainings of one strategy share."""

    targets: Targets
    """What is wanted of the N rows."""
    activations: Activations
    """Of all N rows, at the depth of the recipe."""
    recipe: ItemRecipe
    """How weights move."""


@dataclass(frozen=True, repr=False)
class Part:
    """One training: on some of the rows."""

    rows: NDArray[np.int64]
    """(M,) the rows to learn from."""
    fold: int | None = None
    """The fold whose rows are left out; None: none is."""
    checkpoint: Path | None = None
    """Where the state of the training is kept."""

    def __repr__(self) -> str:
        return "the training on all rows" if self.fold is None else f"the training without fold {self.fold}"


@dataclass(frozen=True)
class Answered:
    """What comes back of a training that is asked about rows: no weights."""

    log: tuple[Update, ...]
    """Every update."""
    scores: NDArray[np.float32]
    """(N, K) of a head on what the trained blocks see, fitted on the rows learned from."""
    moved: int
    """How many weights could move."""
    named: bool
    """Whether the names of the classes were learned from as well."""


@dataclass(frozen=True)
class Moved:
    """What comes back of a training that is kept."""

    log: tuple[Update, ...]
    """Every update."""
    delta: Delta
    """What moved."""


class Logged(Protocol):
    """What comes back of any training."""

    @property
    def log(self) -> tuple[Update, ...]:
        """Every update."""


Hear = Callable[[Part, Update], None]
Shared = TypeVar("Shared")
Trained = TypeVar("Trained", bound=Logged)


def answered(hear: Hear | None, setup: Setup, part: Part) -> Answered:
    """Train on a part of the rows, and score all of them.

    Args:
        hear: called after every update; None in a process where nobody hears it.
        setup: what all parts share.
        part: the rows.

    Raises:
        TrainingError: the training ran away.
    """
    learned = np.zeros(len(setup.targets), bool)
    learned[part.rows] = True
    adapted = _adapted(hear, setup, part)
    scores = scored(adapted.body, setup.activations, learned, setup.targets, setup.recipe.penalty)
    return Answered(adapted.log, scores, adapted.moved, adapted.named)


def moved(hear: Hear | None, setup: Setup, part: Part) -> Moved:
    """Train on a part of the rows, and keep what moved; as ``answered``."""
    adapted = _adapted(hear, setup, part)
    return Moved(adapted.log, adapted.delta)


def trained(
    engine: Engine,
    train: Callable[[Hear | None, Shared, Part], Trained],
    setup: Shared,
    parts: Sequence[Part],
    hear: Hear,
) -> Generator[Trained]:
    """Run trainings on an engine.

    Inline they run one after the other, each when it is asked for, with all threads of torch, and every update is heard
    at once. Elsewhere they run side by side and share the cores; the updates of one are told when it is over. With as
    many threads numbers are the same bit for bit; another number adds up in another order, and updates enlarge that
    rounding: with two threads in place of one, held-out probabilities were within 0.004 (0037).

    Args:
        engine: where they run.
        train: ``answered`` or ``moved``, or those of several heads.
        setup: what they share.
        parts: their rows.
        hear: called with every update.

    Returns:
        What came back, in the order of the parts.

    Raises:
        TrainingError: a training ran away.
        MachineError: a process of the engine ended before its training was over.
    """
    run = partial(train, hear if engine.here else None)
    with closing(engine.map_large(run, setup, parts)) as results:
        for part, result in zip(parts, results, strict=True):
            if not engine.here:
                for update in result.log:
                    hear(part, update)
            yield result


def _adapted(hear: Hear | None, setup: Setup, part: Part) -> Adapted:
    return adapt(
        setup.activations, part.rows, setup.targets.take(part.rows), setup.recipe, checkpoint=part.checkpoint,
        progress=heard(hear, part),
    )  # fmt: skip


def heard(hear: Hear | None, part: Part) -> Callable[[Update, int], None]:
    """What a training tells of its updates, where anybody hears it; called where it runs, before it begins."""
    if hear is None:  # in a process of an engine, which compiles nothing
        spare_the_compiler()
        return lambda update, total: None
    return lambda update, total: hear(part, update)
