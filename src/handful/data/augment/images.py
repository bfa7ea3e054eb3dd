"""Changes to a picture that keep its label: crop, tilt, mirror, colours, a covered rectangle.

Pixels are (H, W, 3) uint8, and so is every result: a new array of the same size. Any size down to 1 x 1 works.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance

from handful.data.augment.options import ImageChanges

# How far a crop may differ in shape from the picture, as in Inception: 3/4 to 4/3.
_MOST_STRETCH = 4 / 3


def change_image(pixels: np.ndarray, rng: np.random.Generator, changes: ImageChanges) -> np.ndarray:
    """Apply every change that is on, one after the other.

    Args:
        pixels: (H, W, 3) uint8.
        rng: where the strength of each change comes from.
        changes: which ones are on.

    Returns:
        (H, W, 3) uint8, a new array.
    """
    changed = pixels.copy()
    if changes.smallest_crop < 1:
        changed = resized_crop(changed, rng, changes.smallest_crop)
    if changes.rotation:
        changed = rotate(changed, rng, changes.rotation)
    if changes.flip:
        changed = flip(changed, rng)
    if changes.brightness or changes.contrast or changes.saturation:
        changed = jitter(changed, rng, changes.brightness, changes.contrast, changes.saturation)
    # Last, so that nothing is drawn over the rectangle and it keeps the mean colour of what is left.
    return cut_out(changed, rng, changes.cut_out) if changes.cut_out else changed


def resized_crop(pixels: np.ndarray, rng: np.random.Generator, smallest: float = 0.6) -> np.ndarray:
    """Cut out a random part and enlarge it to the size of the whole (Szegedy et al. 2015, section 6).

    Departure from the paper: the shape of the part is drawn among those that fit, so that nothing is drawn twice.

    Args:
        pixels: (H, W, 3) uint8.
        rng: where area, shape and place come from.
        smallest: smallest share of the area that is kept, in (0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    height, width = pixels.shape[:2]
    area = rng.uniform(smallest, 1)
    # Sides a and b as shares of the whole, a * b = area: both stay below 1 while a / b lies within area and 1 / area.
    most = min(math.log(_MOST_STRETCH), abs(math.log(area)))
    stretch = math.exp(rng.uniform(-most, most))
    wide = width * min(1.0, math.sqrt(area * stretch))
    high = height * min(1.0, math.sqrt(area / stretch))
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    box = (left, top, min(left + wide, width), min(top + high, height))
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC, box=box))


def flip(pixels: np.ndarray, rng: np.random.Generator, chance: float = 0.5) -> np.ndarray:
    """Mirror left to right, sometimes.

    Args:
        pixels: (H, W, 3) uint8.
        rng: decides.
        chance: how often, in [0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    return pixels[:, ::-1].copy() if rng.random() < chance else pixels.copy()


def rotate(pixels: np.ndarray, rng: np.random.Generator, most: float = 8.0) -> np.ndarray:
    """Tilt around the centre; the corners that become free get the mean colour.

    Args:
        pixels: (H, W, 3) uint8.
        rng: where the angle comes from, evenly distributed.
        most: largest angle to either side, in degrees.

    Returns:
        (H, W, 3) uint8.
    """
    angle = rng.uniform(-most, most)
    red, green, blue = _mean_colour(pixels).tolist()
    tilted = Image.fromarray(pixels).rotate(angle, Image.Resampling.BICUBIC, fillcolor=(red, green, blue))
    return np.array(tilted)


def jitter(
    pixels: np.ndarray,
    rng: np.random.Generator,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
) -> np.ndarray:
    """Change brightness, contrast and saturation, each by a factor of its own and in this order (after Howard 2013).

    Args:
        pixels: (H, W, 3) uint8.
        rng: where the three factors come from, evenly distributed in 1 - strength to 1 + strength.
        brightness: strength in [0, 1]; 1 may give black.
        contrast: strength in [0, 1]; 1 may give one even grey.
        saturation: strength in [0, 1]; 1 may give a grey picture.

    Returns:
        (H, W, 3) uint8.
    """
    picture = Image.fromarray(pixels)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for enhancer, strength in zip(enhancers, (brightness, contrast, saturation), strict=True):
        picture = enhancer(picture).enhance(rng.uniform(1 - strength, 1 + strength))
    return np.array(picture)


def cut_out(pixels: np.ndarray, rng: np.random.Generator, most: float = 0.3) -> np.ndarray:
    """Cover a random rectangle with the mean colour (DeVries and Taylor 2017, "Improved Regularization … with Cutout").

    Departure from the paper: sides of random length instead of a square of one size, and it lies inside the picture.

    Args:
        pixels: (H, W, 3) uint8.
        rng: where size and place come from.
        most: longest side of the rectangle as a share of the picture's side, in [0, 1).

    Returns:
        (H, W, 3) uint8, never covered as a whole.
    """
    height, width = pixels.shape[:2]
    high, wide = int(rng.uniform(0, most) * height), int(rng.uniform(0, most) * width)
    top, left = rng.integers(height - high + 1), rng.integers(width - wide + 1)
    covered = pixels.copy()
    covered[top : top + high, left : left + wide] = _mean_colour(pixels)
    return covered


def _mean_colour(pixels: np.ndarray) -> np.ndarray:
    """(3,) uint8."""
    return np.asarray(np.rint(pixels.mean((0, 1))), np.uint8)
