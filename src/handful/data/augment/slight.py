"""Slight changes: what happens to items in use (typos, blur, noise) and must not change an answer; to test with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from handful.data.augment.images import jitter
from handful.data.augment.sounds import add_noise
from handful.data.augment.texts import drop_words
from handful.data.images import load_image
from handful.data.sounds import load_sound

# One word in so many gets a typing mistake, and one in so many is left out.
_WORDS_PER_TYPO, _WORDS_PER_DROP = 8, 8
# A word with fewer letters than this would become another word.
_SHORTEST = 4
# Radius of a blur as a share of the shorter side, which the eye takes for a picture slightly out of focus.
_BLUR = 0.006
# Standard deviation of the noise of a camera in poor light, of 255.
_GRAIN = 8.0
# Ratio of sound to noise in decibels: clearly heard, and every word is understood.
_HISS = 20.0
# Pixels of the shorter side that larger files may be shrunk to while they are decoded; models look at fewer.
_ENOUGH = 640
# Sounds are read at this rate, which all backbones for sound listen at.
_RATE = 16_000

Change = Callable[[Any, np.random.Generator], Any]


def typos(text: str, rng: np.random.Generator) -> str:
    """Let two neighbouring letters inside a word change places, in one word of eight and one at least.

    The commonest mistake of fast typing (Damerau 1964); words keep their first and last letter.

    Args:
        text: any text; words of up to three letters stay, so that "not" never becomes another word.
        rng: decides which words and letters.

    Returns:
        The text; unchanged where no word is long enough or its letters are all the same.
    """
    words = text.split(" ")
    able = [i for i, word in enumerate(words) if len(word) >= _SHORTEST and len(_swappable(word))]
    for i in sorted(rng.permutation(able)[: 1 + len(words) // _WORDS_PER_TYPO].tolist()):
        word = words[i]
        at = int(rng.choice(_swappable(word)))
        words[i] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def _swappable(word: str) -> list[int]:
    """Places of two different neighbouring letters, neither of them the first or the last."""
    inside = range(1, len(word) - 2)
    return [at for at in inside if word[at].isalpha() and word[at + 1].isalpha() and word[at] != word[at + 1]]


def other_case(text: str, rng: np.random.Generator) -> str:
    """All small letters, or all capitals where there are only small letters."""
    return text.upper() if text == text.lower() else text.lower()


def dropped_words(text: str, rng: np.random.Generator) -> str:
    """One word of eight left out, negations never."""
    return drop_words(text, rng, 1 / _WORDS_PER_DROP)


def blurred(item: Any, rng: np.random.Generator) -> Image.Image:
    """A picture slightly out of focus."""
    picture = load_image(item, _ENOUGH)
    return picture.filter(ImageFilter.GaussianBlur(max(0.6, _BLUR * min(picture.size))))


def grainy(item: Any, rng: np.random.Generator) -> Image.Image:
    """A picture with the noise of poor light: its own for every pixel and colour."""
    pixels = np.asarray(load_image(item, _ENOUGH), np.float32)
    noisy = pixels + rng.normal(0, _GRAIN, pixels.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def relit(item: Any, rng: np.random.Generator) -> Image.Image:
    """A picture up to a fifth brighter or darker."""
    return Image.fromarray(jitter(np.asarray(load_image(item, _ENOUGH)), rng, 0.2, 0.0, 0.0))


def hissing(item: Any, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A sound with white noise of a hundredth of its power."""
    samples = add_noise(load_sound(item, _RATE), rng, _HISS, _HISS)
    return samples / max(1.0, float(np.abs(samples).max())), _RATE


def quieter(item: Any, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A sound at half its amplitude."""
    return load_sound(item, _RATE) * np.float32(0.5), _RATE


SLIGHT: dict[str, dict[str, Change]] = {
    "text": {"typos": typos, "other case": other_case, "a dropped word": dropped_words},
    "image": {"blur": blurred, "noise": grainy, "other light": relit},
    "sound": {"noise": hissing, "half as loud": quieter},
}
"""Modality → name → the change: an item and a generator in, a changed item out."""
