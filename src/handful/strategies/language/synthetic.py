"""Inventing: rows that a model makes up itself from those of the user, filtered before anything learns from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from handful.backbones.chat import Tokens
from handful.backbones.decoding import answers
from handful.backbones.language import LanguageBackbone, Sampling, Tell, untold
from handful.data.conversations import Conversation, Message, words
from handful.data.fingerprints import plain_text
from handful.inspection.copies import LOOKS, texts_alike
from handful.inspection.dialogue import copies_prompt, far_from_usual
from handful.seeding import generator
from handful.strategies.language.in_context import Examples, Shots, with_turns, words_of

_ASK = "Write one more request of the same kind."

# So many prompts are read before one is made up, drawn so warm; so many answers are shown before its answer.
_READ, _WARMTH, _SHOWN = 4, 0.8, 4

# At most so many rows are made up.
_MOST = 64

COST = 14.0
"""What making up a row takes, in rows that are read: two prompts of five rows, and two texts drawn token by token."""

REASONS = ("empty", "a copy of its prompt", "a near copy of another row", "of unusual length")
"""Why a row is left out."""


@dataclass(frozen=True)
class Invented:
    """Rows that a model made up."""

    rows: tuple[Conversation, ...]
    """Those that were kept."""
    tried: int
    """How many were made up in all."""
    left_out: tuple[tuple[str, int], ...]
    """Reason → how many rows were left out for it."""


def tries(share: float, count: int) -> int:
    """How many rows are made up beside so many, where a share of them is wanted."""
    return min(_MOST, math.ceil(share * count))


def invented(
    backbone: LanguageBackbone, rows: Sequence[Conversation], count: int, seed: int, tell: Tell = untold
) -> Invented:
    """Make up prompts like those of some rows, answer them, and keep what may be worth learning from.

    Args:
        backbone: who makes them up; nothing moves.
        rows: N rows to read, and no others.
        count: how many are made up.
        seed: fixes which prompts are read, and what is drawn.
        tell: told how many texts are made up, and how many there are: a prompt and an answer of each row.
    """
    usual = backbone.sampling(rows, seed)
    warm = Sampling(_length(rows, backbone), _WARMTH, seed)
    asked = answers(
        backbone, _questions(backbone, rows, count, seed), warm, lambda done, total: tell(done, total + count)
    )
    system = tuple(turn for turn in rows[0].prompt if turn.role == "system")
    prompts = [(*system, Message("user", prompt)) if prompt else () for prompt in asked]
    examples = Examples(rows, Shots("nearest", _SHOWN))
    shown = [examples.before(Conversation(p, ""), backbone.chat, backbone.context).prompt for p in prompts if p]
    questions = [backbone.chat.question(p, backbone.context - usual.most) for p in shown]
    said = iter(answers(backbone, questions, usual, lambda done, total: tell(count + done, count + total)))
    made = [Conversation(p, next(said) if p else "") for p in prompts]
    return _kept(made, rows)


def _questions(backbone: LanguageBackbone, rows: Sequence[Conversation], count: int, seed: int) -> list[Tokens]:
    """Conversations in which prompts of the user are the answers, so that the next answer is another prompt."""
    found, most = [], backbone.context - _length(rows, backbone)
    for number in range(count):
        at = generator(seed, f"inventing {number}").permutation(len(rows))[:_READ]
        read = [Conversation((Message("user", _ASK),), words_of(rows[i].prompt)) for i in at.tolist()]
        ask = with_turns(Conversation((Message("user", _ASK),), ""), read)
        found.append(backbone.chat.question(ask.prompt, most))
    return found


def _length(rows: Sequence[Conversation], backbone: LanguageBackbone) -> int:
    """How many tokens a made-up prompt gets: as answers do, half as many again as the longest."""
    return backbone.room([Conversation((Message("user", _ASK),), words_of(row.prompt)) for row in rows])


def _kept(made: Sequence[Conversation], rows: Sequence[Conversation]) -> Invented:
    """The rows that may be worth learning from, and why the others are not."""
    known = [plain_text(words_of(row.prompt)) for row in rows]
    sides = [[words(words_of(row.prompt)) for row in rows], [words(row.answer) for row in rows]]
    kept, why = list[Conversation](), Counter[str]()
    for row in made:
        reason = _fault(row, known, sides)
        if reason:
            why[reason] += 1
            continue
        known.append(plain_text(words_of(row.prompt)))
        kept.append(row)
    return Invented(tuple(kept), len(made), tuple((reason, why[reason]) for reason in REASONS if why[reason]))


def _fault(row: Conversation, known: Sequence[str], sides: Sequence[Sequence[int]]) -> str:
    """Why a row is left out; an empty text where it is kept."""
    empty, copy, near, odd = REASONS
    if not row.prompt or not row.answer.strip():
        return empty
    if copies_prompt(row) or row.answer.split() == words_of(row.prompt).split():
        return copy
    asked = plain_text(words_of(row.prompt))
    if any(texts_alike(asked, other) >= LOOKS["text"].alike for other in known):
        return near
    own = (words(words_of(row.prompt)), words(row.answer))
    return odd if any(far_from_usual(n, usual) for n, usual in zip(own, sides, strict=True)) else ""
