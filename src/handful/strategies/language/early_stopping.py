"""Early stopping of a training on preferences that makes chosen answers unlikely, forgets, or grows long-winded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handful.backbones.chat import Tokens
from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone, Sampling, Tell, untold
from handful.evaluation.intervals import Estimate, difference
from handful.evaluation.metrics import Measured
from handful.strategies.language.forgetting import forgotten, general
from handful.strategies.language.recipes import Lesson
from handful.tasks.generation.metrics import token_loss
from handful.training.loop import Update
from handful.training.tokens import PairBatches, TokenBody, chosen_gain

# Every so many updates so many of the pairs are looked at, others each time until all had their turn.
_LOOK, _PAIRS = 5, 8

# After each of so many equal parts of the training but the last, questions are asked: they cost more than a look.
_PARTS = 3

# So many prompts are answered to see whether answers grow longer, while weights move with so many tokens at most.
_ANSWERED, _MOST = 8, 128


@dataclass
class Alarm:
    """Watches a training on pairs, whose loss also falls where the model gets worse.

    It falls where both answers become unlikely, the rejected one faster (Pal et al. 2024), where what was known is
    lost, and where answers merely grow longer (Singhal et al. 2023): such a training is stopped.
    """

    limit: float = 0.25
    """Nats per token that chosen answers may lose against the start."""
    forgets: float = 0.5
    """Nats per token by which the loss on general questions may rise, beyond doubt."""
    grows: float = 0.5
    """By what share answers may be longer than both before and the chosen ones, beyond doubt."""
    gained: list[float] = field(default_factory=list)
    """Nats per token that chosen answers had gained, each time somebody looked."""
    forgot: list[Estimate] = field(default_factory=list)
    """What was forgotten, each time somebody asked."""
    grown: list[Estimate] = field(default_factory=list)
    """By what share they were longer, each time somebody asked."""
    stopped: bool = False
    """Whether the training was found to have been stopped before, by a run that this one goes on from."""

    @property
    def reasons(self) -> list[str]:
        """What went wrong, in words."""
        reasons = []
        if self.gained and self.gained[-1] < -self.limit:
            reasons.append(
                f"the chosen answers themselves became less likely, by {-self.gained[-1]:.2f} nats per token"
            )
        if self.forgot and self.forgot[-1].low > self.forgets:
            reasons.append(f"the loss on general questions rose by {self.forgot[-1].value:.2f} nats per token")
        if self.grown and self.grown[-1].low > self.grows:
            reasons.append(f"answers grew longer than the chosen ones are, by {self.grown[-1].value:.0%}")
        return reasons

    @property
    def rang(self) -> bool:
        """Whether the training went wrong."""
        return self.stopped or bool(self.reasons)

    @property
    def words(self) -> str:
        """What was seen, and what helps."""
        if not self.reasons:
            return "an alarm had stopped the training when it ran before; a lower rate helps"
        return (
            f"{' and '.join(self.reasons)}: the training was stopped; a lower rate or a larger share of the supervised "
            "term helps"
        )


@dataclass
class Guard:
    """The model as it was, which trainings are set against."""

    backbone: LanguageBackbone
    """As it was."""
    prompts: Sequence[Tokens]
    """Chosen answers of pairs, with their prompts."""
    tell: Tell = untold
    """Told how far it is when it asks models."""

    @cached_property
    def knew(self) -> Measured:
        """Its loss on general questions."""
        return general(self.backbone, self.tell)

    @cached_property
    def said(self) -> NDArray[np.float64]:
        """How long answers may be, as far as they are drawn while weights move: as its own, or as the chosen ones."""
        chosen = [min(row.asked, _MOST) for row in self.prompts[:_ANSWERED]]
        return np.maximum(lengths(self.backbone, self.prompts, _MOST, self.tell), chosen)

    def watch(self, lesson: Lesson, rows: NDArray[np.int64], updates: int, alarm: Alarm) -> Callable[..., bool]:
        """What looks at a training after every update; True ends it.

        Args:
            lesson: all pairs.
            rows: (M,) the pairs that are learned from.
            updates: how many there will be.
            alarm: where it is written down.
        """
        assert lesson.reference is not None
        some = PairBatches(lesson.activations, lesson.tokens, lesson.reference, rows, _PAIRS)
        asks = {updates * part // _PARTS for part in range(1, _PARTS)}

        def look(update: Update, body: TokenBody) -> bool:
            if (update.number + 1) % _LOOK == 0:
                alarm.gained.append(chosen_gain(body, some, update.number // _LOOK))
            if update.number + 1 in asks:
                now = self.backbone.with_top(list(body.blocks))
                assert isinstance(now, LanguageBackbone)
                alarm.forgot.append(forgotten(self.knew, now, self.tell))
                alarm.grown.append(_longer(self.said, lengths(now, self.prompts, _MOST, self.tell)))
            return alarm.rang

        return look

    def growth(self, after: LanguageBackbone) -> Estimate:
        """By how much longer answers became, as a share of their length, with its interval."""
        most = int(2 * np.median([row.asked for row in self.prompts[:_ANSWERED]])) + 8
        return _longer(*(lengths(model, self.prompts, most, self.tell) for model in (self.backbone, after)))


def lengths(
    backbone: LanguageBackbone, prompts: Sequence[Tokens], most: int, tell: Tell = untold
) -> NDArray[np.float64]:
    """How many tokens the answers to a few prompts have, at most so many."""
    said = answers(backbone, [row.question for row in prompts[:_ANSWERED]], Sampling(most=most), tell)
    return np.array([len(backbone.chat.tokenizer(text)["input_ids"]) for text in said], float)


def _longer(before: NDArray[np.float64], after: NDArray[np.float64]) -> Estimate:
    base = np.full(len(before), max(1.0, before.mean()))
    return difference(token_loss(after, base), token_loss(before, base))
