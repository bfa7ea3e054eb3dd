"""A base whose weights moved before any run: what it cost, how it is written and read back, what it forgot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.atomic import replaced_folder
from handful.backbones import adapted, catalog
from handful.backbones.adapted_record import ADVICE, PARTS, TUNER, Record
from handful.backbones.base import Backbone
from handful.data.costs import affordable
from handful.data.items import PLURAL
from handful.errors import WeightsError
from handful.evaluation.probes import SENTENCES
from handful.evaluation.stability import Kept, kept
from handful.features import bases
from handful.features.extract import extract
from handful.progress import Say
from handful.regimes.pool_items import cannot_be_cut, default_backbone
from handful.training.loop import Update
from handful.training.objectives import Objective
from handful.training.tuners.base import Delta

# So many pictures and sounds are asked whether they kept their neighbours.
_COMPARED = 60


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    delta: Delta
    """The weights that moved."""
    log: tuple[Update, ...]
    """Every update."""
    items: int
    """How many items were learned from."""
    notes: tuple[str, ...]
    """What was left out, one sentence each."""


@dataclass(frozen=True)
class AdaptedBase:
    """What ``adapt`` returns: where the base lies, and what it cost."""

    folder: Path
    """The base: what ``--backbone`` names."""
    original: str
    """The backbone that it began from."""
    modality: str
    """text, image or sound."""
    moved: tuple[int, int]
    """How many blocks moved, and how many there are."""
    items: int
    """How many items were learned from."""
    losses: tuple[float, ...]
    """The loss before each update."""
    kept: Kept | None
    """How many nearest neighbours are still the nearest; None where too few items could be compared."""
    seconds: Mapping[str, float]
    """What each stage took."""
    notes: tuple[str, ...] = ()
    """What happened on the way that the user should know, one sentence each."""

    @property
    def sentences(self) -> list[str]:
        """What was done, and what was forgotten, in words."""
        top, blocks = self.moved
        which = f"the upper {top} of {blocks} blocks" if top < blocks else f"all {blocks} blocks"
        done = (
            f"{self.folder} is {self.original} with {which} moved by {len(self.losses)} updates on {self.items:,} "
            f"{PLURAL[self.modality]}, in {sum(self.seconds.values()):.0f} s."
        )
        return [done, *([self.kept.sentence] if self.kept is not None else [])]


def original_of(name: str, modality: str, items: Sequence[Any], progress: Say) -> Backbone:
    """The backbone that is to learn, on the fastest device.

    Raises:
        OptionError: it has no blocks that could move.
    """
    chosen = default_backbone(modality, items) if name == bases.AUTO else name
    original = bases.load([chosen], modality, progress)[chosen]
    if not original.blocks:
        raise cannot_be_cut(chosen)
    return original


def saved_base(
    folder: Path, original: Backbone, first: int, objective: Objective, learned: Trained, seed: int
) -> Backbone:
    """Write a base, load it as any run will, and compare it with what was trained.

    Args:
        folder: where it goes.
        original: what it began from.
        first: how many blocks stayed frozen.
        objective: what was minimised.
        learned: what moved.
        seed: what fixed every random choice.

    Raises:
        WeightsError: the copy read back is not what was written.
    """
    record = Record(
        modality=original.modality,
        original=catalog.located(original.name),
        fingerprint=original.fingerprint,
        tuner=TUNER,
        first=first,
        objective=repr(objective),
        updates=len(learned.log),
        items=learned.items,
        seed=seed,
        weights="",
    )
    trained = adapted.installed(original, first, learned.delta, str(folder), folder)
    with replaced_folder(folder, PARTS) as target:
        adapted.write(target, record, learned.delta)
    made = catalog.load(str(folder), original.modality)
    if made.fingerprint != trained.fingerprint:
        raise WeightsError(f"base {folder} was read back differently from what was written. {ADVICE}")
    return trained


def neighbours_of(original: Backbone, made: Backbone, items: Sequence[Any]) -> Kept | None:
    """How many neighbours of general sentences are still the nearest; of pictures and sounds, of the pool itself.

    There are no general pictures or sounds at hand, and those of the pool are what the training was to change: the
    overlap of others would be higher.
    """
    about, compared = "general sentences", list[Any](SENTENCES)
    if original.modality != "text":
        about, readable = "of the pool's items", affordable(items, original.modality, range(len(items)), 2)
        compared = [items[i] for i in readable[:_COMPARED]]
    depth = len(original.blocks)
    before, after = (extract(backbone, compared, (depth,)) for backbone in (original, made))
    good = [i for i in range(len(compared)) if i not in before.failed and i not in after.failed]
    return kept(about, before.matrices[depth][good], after.matrices[depth][good])
