"""Sentences and their words: where the words of a text are, and texts that came as tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

Bounds = NDArray[np.int64]

# Joins signs to one, as in the picture of a family; and what joins or parts letters without being seen.
_JOINERS = "\u200d\u200c"
# Scripts without blanks between words (kana, ideographs, Thai, Lao, Khmer, Burmese): every character is a word.
_ALONE = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip


class Sentence(str):
    """A text that came as tokens: it reads like these joined by blanks, and knows them."""

    bounds: tuple[tuple[int, int], ...]
    """The characters of each token, from and to."""

    def __new__(cls, tokens: Iterable[str]) -> Self:
        """Join tokens."""
        parts = list(tokens)
        made = super().__new__(cls, " ".join(parts))
        ends = np.cumsum([len(part) + 1 for part in parts]) - 1
        made.bounds = tuple((int(end) - len(part), int(end)) for part, end in zip(parts, ends, strict=True))
        return made

    def __getnewargs__(self) -> tuple[list[str]]:  # type: ignore[override]
        """What a copy is made of."""
        return ([self[first:end] for first, end in self.bounds],)


def bounds_of(text: str) -> Bounds:
    """The words of a text, (W, 2) characters from and to: its tokens, or runs of letters and digits and single signs.

    Marks stay with the letter or sign that they change.
    """
    if isinstance(text, Sentence):
        return np.array(text.bounds, np.int64).reshape(-1, 2)
    return words_in(text)


def words_in(text: str) -> Bounds:
    """The words of a text that did not come as tokens, (W, 2) characters from and to."""
    words: list[list[int]] = []
    before = ""  # what the character before is: a letter, a sign, or nothing
    for at, sign in enumerate(text):
        kind = kind_of(sign)
        joins = at > 0 and text[at - 1] in _JOINERS
        if kind == "blank":
            before = ""
        elif words and before and (kind == "mark" or joins or (kind == before == "letter")):
            words[-1][1] = at + 1
        else:
            words.append([at, at + 1])
            before = "sign" if kind == "mark" else kind
    return np.array(words, np.int64).reshape(-1, 2)


def kind_of(sign: str) -> str:
    """What a character is: a blank, a mark on the one before, a sign, a word alone, or a letter."""
    if sign.isspace():
        return "blank"
    if sign in _JOINERS or unicodedata.category(sign)[0] == "M":
        return "mark"
    if not (sign.isalnum() or sign == "_"):
        return "sign"
    code = ord(sign)
    return "alone" if any(first <= code <= last for first, last in _ALONE) else "letter"


def words_of(text: str) -> list[str]:
    """The words of a text, W texts."""
    return [text[first:end] for first, end in bounds_of(text).tolist()]


def text_of_tokens(tokens: Sequence[str]) -> Sentence:
    """Tokens as a text; a blank within a token becomes one that does not part words."""
    return Sentence(token.strip().replace(" ", "\u00a0") or "\u00a0" for token in tokens)
