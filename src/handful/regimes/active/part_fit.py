"""The quick fit of parts: one linear head in closed form on the parts of items, held out item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handful.evaluation.intervals import difference
from handful.evaluation.metrics import losses
from handful.regimes.active.part_rows import PartRows, RaggedAnswers, blocks
from handful.regimes.active.quick_fit import QuickFit
from handful.tasks.base import Targets
from handful.tasks.parts_task import PartsTask


@dataclass(frozen=True)
class PartFit:
    """A head fitted on the parts of n items."""

    targets: Targets
    """What is wanted of the n items."""
    parts: QuickFit
    """What the tags of their P parts say."""
    ends: NDArray[np.int64]
    """(n + 1,) item i has the parts from ``ends[i]`` to ``ends[i + 1]``."""

    @classmethod
    def on(cls, x: PartRows, targets: Targets) -> Self:
        """Fit parts, each held out with all others of its item.

        Args:
            x: the n items.
            targets: of the n items.
        """
        return cls(targets, QuickFit.on(x.exact, _task(targets).row_targets(targets)), x.ends)

    @cached_property
    def held_out(self) -> NDArray[np.float64]:
        """(n, W (3 + K)) what each item is answered by a fit of all others."""
        return _task(self.targets).gathered(self.parts.held_out, self.targets)

    @cached_property
    def knows(self) -> bool:
        """As ``QuickFit.knows``: whether held-out answers are better than how frequent tags are, beyond doubt."""
        task = _task(self.targets)
        frequent = np.broadcast_to(task.constant(self.targets), self.parts.held_out.shape)
        blind = task.gathered(frequent, self.targets)
        own, reference = (task.losses(answers, self.targets) for answers in (self.held_out, blind))
        return difference(losses(own), losses(reference)).high < 0

    def outputs(self, x: PartRows) -> RaggedAnswers:
        """What is answered to N items."""
        width = self.parts.held_out.shape[1]
        answered = [self.parts.outputs(x.vectors[some].astype(np.float32)) for some in blocks(x)]
        rows = np.concatenate([np.zeros((0, width)), *answered]).astype(np.float32)
        return RaggedAnswers(_task(self.targets), x, rows)

    def unaware(self, x: PartRows, places: Sequence[int | None]) -> NDArray[np.float64]:
        """What is answered to m items, each by a fit without it. → (m, W (3 + K)).

        Args:
            x: the m items.
            places: of each its place among the n it learned from; None: it is none of them.
        """
        answers = self.outputs(x).probabilities.astype(np.float64)
        for i, place in enumerate(places):
            if place is not None:
                own = self.parts.held_out[self.ends[place] : self.ends[place + 1]]
                answers[x.ends[i] : x.ends[i + 1]] = own
        return _task(self.targets).gathered_items(answers, x.items)

    @staticmethod
    def doubt(answers: RaggedAnswers) -> NDArray[np.float64]:
        """(N,) how much each answer is in doubt, from 0 to 1."""
        return answers.doubt


def _task(targets: Targets) -> PartsTask:
    assert isinstance(targets.task, PartsTask)
    return targets.task
