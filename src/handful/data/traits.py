"""Traits: what can be said of an item apart from what it shows: its size, format, length, level and file name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT, SIDES
from handful.data.images import opened_picture
from handful.data.sounds import load_sound, opened_file
from handful.data.vectors import VECTORS
from handful.errors import DataError

Trait = float | str

# Recording levels are measured over this many seconds from the start.
_LEVEL_SECONDS = 3.0

# How libsndfile calls what was compressed at some quality: of other sounds the size says no more than the rest does.
_LOSSY = ("MPEG", "VORBIS", "OPUS")

# Where a file name falls into parts: at anything but letters and digits, and between letters and digits.
_PARTS = re.compile(r"[A-Za-z]+|\d+|[^\W\d_]+")


def traits(item: Any, modality: str, decode: bool = True) -> dict[str, Trait]:
    """What is known of an item without looking at its content.

    Args:
        item: any item that a Dataset may hold.
        modality: text, image, sound, image+text, or vectors, of which there is nothing else to know.
        decode: whether sounds may be decoded to measure their level; otherwise only headers are read.

    Returns:
        Name → number or text. Texts: ``length`` (characters). Pictures: ``width``, ``height`` (pixels), ``format``,
        ``bytes per pixel`` and ``compression`` (mean of a JPEG file's first quantisation table). Sounds: ``duration``
        (seconds), ``rate`` (samples per second), ``channels``, ``format``, ``level`` (decibels, 0 for full scale) and
        of compressed files ``bytes per second``. Files also ``name starts with`` and ``name ends with``. What is not
        known is left out.

    Raises:
        DataError: the file cannot be read.
    """
    if modality == VECTORS:
        return {}
    if modality == IMAGE_TEXT:
        return {name: trait for side in SIDES for name, trait in traits(item.side(side), side, decode).items()}
    if modality == "text":
        return {"length": float(len(item))}
    found = _picture(item) if modality == "image" else _sound(item)
    if modality == "sound" and decode:
        found["level"] = _level(item, int(float(found["rate"])))
    return found | (_name(item) if isinstance(item, Path) else {})


def traits_of(dataset: Dataset, decode: bool = True) -> list[dict[str, Trait]]:
    """The traits of every item of a Dataset; none for an item that cannot be read, which readers tell elsewhere.

    Args:
        dataset: N items.
        decode: whether sounds may be decoded to measure their level.
    """
    all_traits: list[dict[str, Trait]] = []
    for item in dataset.items:
        try:
            all_traits.append(traits(item, dataset.modality, decode))
        except DataError:
            all_traits.append({})
    return all_traits


def _name(path: Path) -> dict[str, Trait]:
    parts = _PARTS.findall(path.stem)
    words = [part.casefold() for part in parts if not part.isdigit()]
    return {"name starts with": parts[0].casefold(), "name ends with": words[-1]} if words else {}


def _picture(item: Any) -> dict[str, Trait]:
    if isinstance(item, np.ndarray):
        return {"width": float(item.shape[1]), "height": float(item.shape[0])}
    if isinstance(item, Image.Image):
        return {"width": float(item.width), "height": float(item.height)}
    with opened_picture(item) as picture:
        width, height = picture.size
        facts: dict[str, Trait] = {"format": str(picture.format)}
        tables = getattr(picture, "quantization", None)
        size = item.stat().st_size
    facts |= {"width": float(width), "height": float(height), "bytes per pixel": size / max(1, width * height)}
    if tables:
        facts["compression"] = float(np.mean(tables[min(tables)]))
    return facts


def _sound(item: Any) -> dict[str, Trait]:
    if not isinstance(item, str | os.PathLike):
        samples, rate = item
        return {"rate": float(rate), "duration": max(np.shape(samples)) / float(rate)}
    try:
        with opened_file(Path(item)) as about:
            seconds = about.frames / about.samplerate
            facts: dict[str, Trait] = {
                "duration": seconds,
                "rate": float(about.samplerate),
                "channels": float(about.channels),
                "format": f"{about.format} {about.subtype}",
            }
            if about.subtype.startswith(_LOSSY):
                facts["bytes per second"] = Path(item).stat().st_size / max(seconds, 1e-3)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{item} cannot be read as a sound ({error}). Repair or remove it.") from error
    return facts


def _level(item: Any, rate: int) -> float:
    samples = load_sound(item, rate, _LEVEL_SECONDS)
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-10))
