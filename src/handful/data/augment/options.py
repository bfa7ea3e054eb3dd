"""Which changes are on and how strong, per modality; apart from the changes, whose decoders texts have no use for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from handful.errors import OptionError


@dataclass(frozen=True)
class ImageChanges:
    """Which changes pictures go through, and how strong; the defaults keep the label of nearly any class."""

    smallest_crop: float = 0.6
    """Smallest share of the picture's area that a crop keeps, above 0; 1 switches cropping off."""
    rotation: float = 8.0
    """Largest tilt to either side, in degrees; 0 switches it off."""
    flip: bool = False
    """Whether half of the views are mirrored left to right; wrong for letters, digits and anything with a side."""
    brightness: float = 0.0
    """Largest change of the brightness, as a share of it; 0 switches it off, right where colours are the classes."""
    contrast: float = 0.0
    """Largest change of the contrast, as a share of it; 0 switches it off."""
    saturation: float = 0.0
    """Largest change of the saturation, as a share of it; 0 switches it off, right where colours are the classes."""
    cut_out: float = 0.3
    """Longest side of the covered rectangle, as a share of the picture's side, below 1; 0 switches it off."""
    enough: int = 640
    """Pixels of the shorter side that larger files may be shrunk to while they are decoded."""


@dataclass(frozen=True)
class TextChanges:
    """Which changes texts go through, and how strong; the defaults keep the topic and the tone."""

    synonyms: float = 0.2
    """Share of the words with a known English synonym that are replaced by one; 0 switches it off."""
    swaps: float = 0.05
    """Share of the words that change places with the next one; 0 switches it off, right where order is the label."""
    drops: float = 0.1
    """Share of the words that are left out; 0 switches it off."""
    masks: float = 0.0
    """Share of the words that are replaced by the mask; 0 switches it off, right for models without a mask word."""
    mask: str = "[MASK]"
    """The word that stands for a hidden one, as the model's tokenizer writes it."""


@dataclass(frozen=True)
class SoundChanges:
    """Which changes sounds go through, and how strong; the defaults keep the label of nearly any class."""

    speed: float = 0.0
    """Largest change of the speed and so of the pitch, as a share; 0 switches it off, right for voices and pitches."""
    shift: float = 0.1
    """Longest move to earlier or later, in seconds; 0 switches it off."""
    wrap: bool = False
    """Whether what a move pushes out at one end comes in at the other; otherwise silence comes in."""
    gain: float = 6.0
    """Largest change of the loudness, in decibels; 0 switches it off."""
    noise: float = 0.5
    """How often noise is added, as a share of the views; 0 switches it off."""
    loudest_noise: float = 5.0
    """Lowest ratio of sound to noise, in decibels."""
    softest_noise: float = 20.0
    """Highest ratio of sound to noise, in decibels."""
    reverb: float = 0.3
    """How often a room is added, as a share of the views; 0 switches it off."""
    longest_reverb: float = 0.5
    """Longest time in which the room's echo falls by 60 decibels, in seconds."""
    longest: float = 60.0
    """Seconds of a sound that are read, from its start."""


@dataclass(frozen=True)
class Augmentation:
    """The changes of every modality; the defaults keep the label of nearly any class."""

    image: ImageChanges = field(default_factory=ImageChanges)
    """What pictures go through."""
    text: TextChanges = field(default_factory=TextChanges)
    """What texts go through."""
    sound: SoundChanges = field(default_factory=SoundChanges)
    """What sounds go through."""


BOLD = Augmentation(
    ImageChanges(flip=True, brightness=0.3, contrast=0.3, saturation=0.3),
    TextChanges(synonyms=0.4, swaps=0.1, drops=0.2),
    SoundChanges(speed=0.1),
)
"""Changes that cost some classes their label: mirroring, colours, pitch, many words. Held-out rows must decide."""

# Option → its lowest and its highest value.
_SHARE = (0, 1)
_LIMITS: dict[str, Mapping[str, tuple[float, float]]] = {
    "image": {
        "smallest_crop": (0.01, 1),
        "rotation": (0, 180),
        "brightness": _SHARE,
        "contrast": _SHARE,
        "saturation": _SHARE,
        "cut_out": (0, 0.9),
        "enough": (1, math.inf),
    },
    "text": {"synonyms": _SHARE, "swaps": _SHARE, "drops": _SHARE, "masks": _SHARE},
    "sound": {
        "speed": (0, 0.5),
        "shift": (0, math.inf),
        "gain": (0, 40),
        "noise": _SHARE,
        "loudest_noise": (-40, 100),
        "softest_noise": (-40, 100),
        "reverb": _SHARE,
        "longest_reverb": (0.001, 10),
        "longest": (0.001, math.inf),
    },
}


def check(options: Augmentation, modality: str) -> None:
    """Refuse options that cannot work, all of them at once.

    Args:
        options: every modality's; only those of ``modality`` are looked at.
        modality: text, image or sound.

    Raises:
        OptionError: a value is out of its range.
    """
    chosen = getattr(options, modality)
    wrong = [
        f"{name} must be between {low:g} and {high:g}, got {getattr(chosen, name)}"
        if math.isfinite(high)
        else f"{name} must be a finite number of at least {low:g}, got {getattr(chosen, name)}"
        for name, (low, high) in _LIMITS[modality].items()
        if not low <= getattr(chosen, name) <= high or math.isinf(getattr(chosen, name))
    ]
    if modality == "sound" and options.sound.loudest_noise > options.sound.softest_noise:
        wrong.append(
            f"loudest_noise must be at most softest_noise (both are ratios of sound to noise), "
            f"got {options.sound.loudest_noise} and {options.sound.softest_noise}"
        )
    if modality == "text" and options.text.mask.split() != [options.text.mask]:
        wrong.append(f"mask must be one word, got {options.text.mask!r}")
    if wrong:
        raise OptionError(f"the {modality} changes cannot be made: {'; '.join(wrong)}. Correct these options.")
