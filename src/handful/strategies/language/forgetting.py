"""Catastrophic forgetting: what a model lost whose weights moved, by general questions, and what holds it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from handful.backbones.chat import Tokens
from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone, Sampling, Tell, untold
from handful.data.conversations import Conversation
from handful.evaluation.intervals import Estimate, difference
from handful.evaluation.metrics import Measured
from handful.evaluation.probes import FORGOTTEN, PROMPTS, QUESTIONS
from handful.plan import REMEDIES
from handful.strategies.language.in_context import tokens_of
from handful.strategies.language.recipes import TokenRecipe, TunedLanguage
from handful.tasks.generation.metrics import token_loss

# Answers of the model as it was are cut after so many tokens: longer ones would outweigh short answers of the rows.
_MOST = 32

# What a drawn token costs, in tokens that are read: rows are answered side by side, but one token after the other.
_DRAWN = 4

# What each remedy changes in a recipe; half of the way is what the meter tells of.
_CHANGES: dict[str, dict[str, float]] = {
    "fade": {"wise_alpha": 0.5},
    "l2sp": {"l2_sp": 0.1},
    "replay": {"replay": 0.25},
}

_MEANS = {
    "fade": "takes half of what moved",
    "l2sp": "draws weights back to where they began",
    "replay": "mixes in answers of the model as it was",
}


def held_back(recipe: TokenRecipe, remedy: str) -> TokenRecipe:
    """A recipe with a remedy against forgetting.

    Args:
        recipe: without one.
        remedy: one of ``REMEDIES``, or an empty text for none.
    """
    return replace(recipe, **_CHANGES[remedy]) if remedy else recipe  # type: ignore[arg-type]


def forgotten(knew: Measured, after: LanguageBackbone, tell: Tell = untold) -> Estimate:
    """How much the loss on general questions rose, in nats per token, with its interval.

    Args:
        knew: what ``general`` said of the model as it was.
        after: the model as it is.
        tell: told how many questions are read, and how many there are.
    """
    return difference(general(after, tell), knew)


def general(backbone: LanguageBackbone, tell: Tell = untold) -> Measured:
    """The loss on general questions: nats over tokens of each answer."""
    nats, count = backbone.losses(tokens_of(QUESTIONS, backbone.chat, backbone.context, None), tell)
    return token_loss(nats, count)


def replayed(backbone: LanguageBackbone, seed: int, tell: Tell = untold) -> list[Tokens]:
    """Rows that keep a model as it is: its own answers to general prompts, none of which the meter asks.

    Answers are drawn as likely as the model finds them: learning from these has no slope where nothing has moved yet.

    Args:
        backbone: as it is before anything moves.
        seed: fixes what is drawn.
        tell: told how many prompts are answered, and how many there are.

    Returns:
        Up to as many rows as there are ``PROMPTS``; prompts that it had nothing to say to are left out.
    """
    asked = [backbone.chat.question(prompt, backbone.context - _MOST) for prompt in PROMPTS]
    said = answers(backbone, asked, Sampling(_MOST, temperature=1.0, seed=seed), tell)
    rows = [Conversation(prompt, answer) for prompt, answer in zip(PROMPTS, said, strict=True) if answer]
    return [_cut(tokens) for tokens in tokens_of(rows, backbone.chat, backbone.context, None)]


def _cut(row: Tokens) -> Tokens:
    """Without the end, where an answer was cut off: it did not end there."""
    return Tokens(row.ids[: row.start + _MOST], row.start, row.cut)


def replay_costs(backbone: LanguageBackbone) -> tuple[int, float]:
    """How many tokens a model reads, or the like, to answer general prompts, and how many a row of these has."""
    read = sum(len(backbone.chat.question(prompt, backbone.context).ids) for prompt in PROMPTS)
    return read + _DRAWN * _MOST * len(PROMPTS), read / len(PROMPTS) + _MOST


def warning(
    backbone: LanguageBackbone, knew: Measured, tuned: TunedLanguage, forgetting: Estimate, again: Callable[..., str],
    beside: str = "",
) -> str:  # fmt: skip
    """One sentence about what was forgotten, and what to type against it.

    Args:
        backbone: where it began.
        knew: what ``general`` said of it.
        tuned: what moved.
        forgetting: by how much.
        again: options → what to type for a run with it.
        beside: what half of the way would bring on the rows, as a part of the sentence.
    """
    recipe = tuned.recipe
    used = next((name for name in REMEDIES if held_back(recipe, name) == recipe), "")
    options = [name for name in REMEDIES if name != used and not (name == "replay" and recipe.pairs)]
    half = ""
    if used != "fade":
        kept = forgotten(knew, tuned.backbone(backbone, 0.5)).value
        half = f" Half of what moved would make that {kept:.2f}{beside}."
    with_it = f" with {used}" if used else ""
    commands = [f"`{again(anti_forgetting=name)}` ({_MEANS[name]})" for name in options]
    return (
        f"{recipe.name}{with_it} forgot: the loss on {len(QUESTIONS)} general questions rose by {forgetting.value:.2f} "
        f"nats per token.{half} Try " + _joined(commands) + "."
    )


def _joined(parts: Sequence[str]) -> str:
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def worth_a_word(forgetting: Estimate) -> bool:
    """Whether so much was forgotten that it is said."""
    return bool(forgetting.low > 0 and forgetting.value > FORGOTTEN and np.isfinite(forgetting.value))
