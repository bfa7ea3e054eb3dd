"""Changes to a text that keep its label: words replaced, swapped, dropped or masked.

Words are what stands between blanks, so a text in a script without blanks is one word and stays as it is. Blanks and
line ends stay where they are. A negation is never lost or moved, nor is the word after it: they carry the label.
"""

from __future__ import annotations

import re

import numpy as np

from handful.data.augment.options import TextChanges
from handful.data.augment.synonyms import SYNONYMS

# Without these a text says the opposite. English, then German, French, Spanish, Italian, Portuguese, Dutch.
_NEGATING = """
    no not non nor never none nobody nothing nowhere neither cannot without hardly barely scarcely unless except
    dont doesnt didnt cant couldnt wont wouldnt isnt arent wasnt werent
    nicht nichts kein keine keinen keinem keiner nie niemals ohne weder
    ne pas jamais rien aucun aucune sans ni
    nunca nada nadie ninguno ninguna sin tampoco jamás
    mai nulla niente nessuno nessuna senza né
    não nenhum nenhuma sem nem
    niet niets geen nooit zonder
"""
_NEGATIONS = frozenset(_NEGATING.split())
_CONTRACTIONS = ("n't", "n’t")

_WORD = re.compile(r"\S+")

# A word without the marks around it: "(Big," is "Big".
_BARE = re.compile(r"\w(?:.*\w)?")


def change_text(text: str, rng: np.random.Generator, changes: TextChanges) -> str:
    """Apply every change that is on, one after the other.

    Args:
        text: any text.
        rng: decides about each word.
        changes: which ones are on.

    Returns:
        The changed text; it has words where ``text`` has.
    """
    if changes.synonyms:
        text = replace_synonyms(text, rng, changes.synonyms)
    if changes.swaps:
        text = swap_words(text, rng, changes.swaps)
    if changes.drops:
        text = drop_words(text, rng, changes.drops)
    return mask_words(text, rng, changes.masks, changes.mask) if changes.masks else text


def replace_synonyms(text: str, rng: np.random.Generator, chance: float = 0.2) -> str:
    """Replace words by synonyms (Wei and Zou 2019, "EDA", section 2), from a small list of our own.

    Departures from the paper: the list instead of WordNet, and a chance per word instead of a number of words. Marks
    and capitals stay; "a" does not become "an".

    Args:
        text: any text; words that are not in the English list stay.
        rng: decides which words, and by which synonym.
        chance: of each word that has a synonym, in [0, 1].

    Returns:
        The text with as many words.
    """
    words, blanks = _parts(text)
    chosen = rng.random(len(words)) < chance
    return _joined([_synonym(word, rng) if yes else word for word, yes in zip(words, chosen, strict=True)], blanks)


def swap_words(text: str, rng: np.random.Generator, chance: float = 0.05) -> str:
    """Let words change places with the next one (Wei and Zou 2019, "EDA", section 2).

    Departure from the paper: neighbours only, so that the sense survives.

    Args:
        text: any text; negations and the words after them keep their place.
        rng: decides which words.
        chance: of each word, in [0, 1].

    Returns:
        The text with the same words.
    """
    words, blanks = _parts(text)
    fixed = _fixed(words)
    chosen = rng.random(len(words)) < chance
    at = 0
    while at < len(words) - 1:
        if chosen[at] and not fixed[at : at + 2].any():
            words[at], words[at + 1] = words[at + 1], words[at]
            at += 1  # a word moves once at most
        at += 1
    return _joined(words, blanks)


def drop_words(text: str, rng: np.random.Generator, chance: float = 0.1) -> str:
    """Leave words out (Wei and Zou 2019, "EDA", section 2).

    Args:
        text: any text; negations and the words after them stay.
        rng: decides which words.
        chance: of each word, in [0, 1].

    Returns:
        The rest of the text, at least one word of it where there is one.
    """
    words, blanks = _parts(text)
    kept = np.flatnonzero(_spared(words, rng, chance))
    if len(kept) == len(words):
        return text
    first, *others = kept
    return blanks[0] + words[first] + "".join(blanks[i] + words[i] for i in others) + blanks[-1]


def mask_words(text: str, rng: np.random.Generator, chance: float = 0.15, mask: str = "[MASK]") -> str:
    """Replace words by a mask word (as Devlin et al. 2019, "BERT", section 3.1, hide tokens).

    Args:
        text: any text; negations and the words after them stay.
        rng: decides which words.
        chance: of each word, in [0, 1].
        mask: what stands in their place.

    Returns:
        The text with as many words, at least one of its own where there is one.
    """
    words, blanks = _parts(text)
    seen = _spared(words, rng, chance)
    return _joined([word if yes else mask for word, yes in zip(words, seen, strict=True)], blanks)


def _parts(text: str) -> tuple[list[str], list[str]]:
    """(n words, n + 1 stretches of blanks: before the first word, between the words, after the last)."""
    return _WORD.findall(text), _WORD.split(text)


def _joined(words: list[str], blanks: list[str]) -> str:
    return blanks[0] + "".join(word + blank for word, blank in zip(words, blanks[1:], strict=True))


def _spared(words: list[str], rng: np.random.Generator, chance: float) -> np.ndarray:
    """(n,) bool, which words stay: the fixed ones, those the dice spare, and one more where that would be none."""
    dice = rng.random(len(words))
    spared: np.ndarray = (dice >= chance) | _fixed(words)
    if len(words) and not spared.any():
        spared[dice.argmax()] = True
    return spared


def _fixed(words: list[str]) -> np.ndarray:
    """(n,) bool, which words are a negation or come right after one.

    What follows is what is negated: "not bad but great" must become neither "not but bad great" nor "not great".
    """
    negations = np.array([_negates(word) for word in words], bool)
    fixed = negations.copy()
    fixed[1:] |= negations[:-1]
    return fixed


def _negates(word: str) -> bool:
    found = _BARE.search(word.lower())
    return found is not None and (found[0] in _NEGATIONS or found[0].endswith(_CONTRACTIONS))


def _synonym(word: str, rng: np.random.Generator) -> str:
    bare = _BARE.search(word)
    others = SYNONYMS.get(bare[0].lower()) if bare else None
    if not bare or not others:
        return word
    new = others[rng.integers(len(others))]
    if bare[0].isupper():
        new = new.upper()
    elif bare[0][0].isupper():
        new = new.capitalize()
    return word[: bare.start()] + new + word[bare.end() :]
