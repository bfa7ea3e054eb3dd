"""Augmented versions of one item of a Dataset, whatever its modality."""

from __future__ import annotations

from typing import Any

import numpy as np

from handful.data.augment.options import Augmentation, check
from handful.data.augment.texts import change_text
from handful.data.dataset import CLASSIFIED
from handful.errors import DataError, OptionError, suggestion


def augment(item: Any, modality: str, options: Augmentation, rng: np.random.Generator) -> Any:
    """Make one changed version of an item.

    Args:
        item: a text; a picture as ``load_image`` takes it; a sound as ``load_sound`` takes it.
        modality: text, image or sound.
        options: which changes are on, and how strong.
        rng: where all randomness comes from; the same state gives the same result.

    Returns:
        A text; (H, W, 3) uint8; or ((T,) float32 in [-1, 1], rate), at the rate of the item. Each can be an item.

    Raises:
        DataError: the item cannot be read.
        OptionError: an option or the modality is not one that can be used.
    """
    return views(item, modality, options, 1, rng)[0]


def views(item: Any, modality: str, options: Augmentation, count: int, rng: np.random.Generator) -> list[Any]:
    """Make several changed versions of an item, which is read once.

    Args:
        item: as for ``augment``.
        modality: text, image or sound.
        options: which changes are on, and how strong.
        count: how many versions; the first ones do not depend on how many follow.
        rng: where all randomness comes from; the same state gives the same versions.

    Returns:
        ``count`` versions, each as ``augment`` gives one.

    Raises:
        DataError: the item cannot be read.
        OptionError: an option, the count or the modality is not one that can be used.
    """
    if modality not in CLASSIFIED:
        raise OptionError(
            f"the modality must be one of {', '.join(CLASSIFIED)}, got {modality!r}.{suggestion(modality, CLASSIFIED)}"
        )
    if count < 0:
        raise OptionError(f"the number of views must be 0 or more, got {count}. Give a whole number.")
    check(options, modality)
    if modality == "image":
        return _pictures(item, options, count, rng)
    if modality == "sound":
        return _sounds(item, options, count, rng)
    if not isinstance(item, str):
        raise DataError(f"a text must be a str, got {type(item).__name__}. Read it from its file first.")
    return [change_text(item, rng, options.text) for _ in range(count)]


def _pictures(item: Any, options: Augmentation, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    # Here and below: texts must not load the decoders of pictures and sounds.
    from handful.data.augment.images import change_image
    from handful.data.images import load_image

    pixels = np.asarray(load_image(item, options.image.enough))  # (H, W, 3)
    return [change_image(pixels, rng, options.image) for _ in range(count)]


def _sounds(item: Any, options: Augmentation, count: int, rng: np.random.Generator) -> list[tuple[np.ndarray, int]]:
    from handful.data.augment.sounds import change_sound
    from handful.data.sounds import load_sound, rate_of

    rate = rate_of(item)
    samples = load_sound(item, rate, options.sound.longest)  # (T,)
    return [(change_sound(samples, rate, rng, options.sound), rate) for _ in range(count)]
