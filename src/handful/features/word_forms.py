"""How words are written: capital letters, digits and signs, of a word and its neighbours, which many models lose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handful.data.sentences import words_of
from handful.features.view import Matrix

WIDTH = 27
"""Nine signs of each word, of the one before it and of the one behind it."""


def forms_of(text: str) -> Matrix:
    """What the letters of each word look like. (W, ``WIDTH``), each 0 or 1."""
    return forms_of_words(words_of(text))


def forms_of_words(words: Sequence[str]) -> Matrix:
    """The same of the words of a text."""
    own = np.array([_signs(word, at) for at, word in enumerate(words)], np.float32).reshape(-1, WIDTH // 3)
    nothing = np.zeros((1, WIDTH // 3), np.float32)
    before, behind = np.concatenate([nothing, own])[: len(own)], np.concatenate([own, nothing])[1:]
    return np.concatenate([own, before, behind], 1)


def _signs(word: str, at: int) -> tuple[bool, ...]:
    return (
        word[:1].isupper(), word.isupper() and len(word) > 1, any(map(str.isdigit, word)), word.isalpha(), at == 0,
        len(word) > 3, word.islower(), "-" in word, not word[:1].isalnum(),
    )  # fmt: skip
