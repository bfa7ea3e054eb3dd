"""Trying: what answering and preferring share, a recipe on one fold after the other and then on all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Measured
from handful.strategies.language.forgetting import forgotten, warning, worth_a_word
from handful.strategies.language.recipes import Lesson, TokenRecipe, TunedLanguage
from handful.strategies.language.stage import Stage, Watch, unwatched
from handful.training.loop import Update


@dataclass
class Tried:
    """A recipe, and what it came to so far."""

    recipe: TokenRecipe
    """How weights move."""
    updates: int
    """How often."""
    lesson: Lesson
    """All rows, and those made up."""
    more: Mapping[int | None, list[int]] = field(default_factory=dict)
    """Fold, None for none → further rows of the lesson that are learned from without it."""
    curves: list[tuple[Update, ...]] = field(default_factory=list)
    """The log of updates on each fold."""
    last: TunedLanguage | None = None
    """What moved without the rows of the last fold; of the others nothing is kept, since it may be as large as all."""

    def without(self, stage: Stage, fold: int, watch: Watch = unwatched) -> TunedLanguage:
        """Learn without the rows of a fold.

        Args:
            stage: the rows.
            fold: which rows are left out.
            watch: looks at the model after every update; True ends the training.
        """
        tuned = stage.learned(self.lesson, self.recipe, self.updates, fold, watch, more=self.more.get(fold, []))
        self.curves.append(tuned.log)
        self.last = tuned
        return tuned

    def finished(
        self, stage: Stage, knew: Callable[[], Measured], notes: list[str], watch: Watch = unwatched,
        beside: Callable[[], str] = lambda: "",
    ) -> tuple[TunedLanguage, Estimate]:  # fmt: skip
        """Learn from all rows, and see what was forgotten.

        Args:
            stage: the rows.
            knew: gives the loss on general questions of the model as it was.
            notes: what is said is added.
            watch: looks at the model after every update; True ends the training.
            beside: what half of the way would bring on the rows, as a part of a sentence; asked where it is told.

        Returns:
            What moved, and how much the loss on general questions rose.
        """
        tuned = stage.learned(self.lesson, self.recipe, self.updates, None, watch, more=self.more.get(None, []))
        before = knew()
        forgetting = forgotten(before, tuned.backbone(stage.backbone), stage.telling("asking what was forgotten"))
        if worth_a_word(forgetting):
            notes.append(warning(stage.backbone, before, tuned, forgetting, stage.terms.again, beside()))
        return tuned, forgetting
