"""Quick fits of items as wholes and by their parts: what the learner needs of either, and which one suits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handful.errors import OptionError
from handful.features.view import Matrix
from handful.regimes.active.part_fit import PartFit
from handful.regimes.active.part_rows import PartRows, RaggedAnswers
from handful.regimes.active.quick_fit import QuickFit, quick_head
from handful.tasks.base import HeadTask, Targets
from handful.tasks.classification import CLASSIFICATION

Rows = Matrix | PartRows
"""N items to learn from: (N, D) rows of length one, or their parts."""
Answers = NDArray[np.float64] | RaggedAnswers
"""What is answered to N items: (N, K), or to their parts."""


class Fitted(Protocol):
    """A fit of n items; rows and answers are those of its kind."""

    @property
    def targets(self) -> Targets:
        """What is wanted of the n items."""

    @property
    def held_out(self) -> NDArray[np.float64]:
        """(n, K) what each item is answered by a fit of all others."""

    @property
    def knows(self) -> bool:
        """Whether held-out answers are better than the reference, which looks at no item, beyond doubt."""

    def outputs(self, x: Any) -> Any:
        """What is answered to N items."""

    def unaware(self, x: Any, places: Sequence[int | None]) -> NDArray[np.float64]:
        """(m, K) what is answered to m items, each by a fit without it, see ``QuickFit.unaware``."""

    def doubt(self, answers: Any) -> NDArray[np.float64]:
        """(N,) how much each answer is in doubt, from 0 to 1."""


def fit_of(x: Rows, targets: Targets) -> Fitted:
    """Fit n items."""
    return PartFit.on(x, targets) if isinstance(x, PartRows) else QuickFit.on(x, targets)


def check_rows(x: object, task: HeadTask) -> None:
    """Refuse rows that a task cannot learn from.

    Raises:
        OptionError: the task is about parts and there are none, or the other way about, or it has no head in closed
            form.
    """
    parts = isinstance(x, PartRows)
    if parts != bool(task.grain):
        wanted, given = ("PartRows", "one row per item") if task.grain else ("one row per item", "PartRows")
        raise OptionError(f"features for {task.name} must be {wanted}, got {given}. Give it what it learns from.")
    quick_head(CLASSIFICATION if parts else task)
