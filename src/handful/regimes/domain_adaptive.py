"""Domain-adaptive training: the upper blocks of a backbone learn from a pool without labels, and become a base to tune.

Nobody can say without labels whether the base is better: held-out rows decide, where ``tune`` is given both.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.atomic import check_replaceable, replaced_folder
from handful.backbones import adapted, catalog
from handful.backbones.adapted_record import ADVICE, PARTS, RECORD, TUNER, Record
from handful.backbones.base import Backbone
from handful.budget import Budget
from handful.data.costs import affordable
from handful.data.dataset import Dataset
from handful.data.items import PLURAL
from handful.errors import OptionError, WeightsError
from handful.evaluation.probes import SENTENCES
from handful.evaluation.stability import Kept, kept
from handful.features import bases
from handful.features.extract import extract
from handful.keywords import known_keywords
from handful.plan import Plan
from handful.progress import Say, silent
from handful.regimes.pool_items import PoolItems, backbone_for, cannot_be_cut, default_backbone, items_of
from handful.regimes.pool_training import RECIPES, PoolRecipe, Trained, train_on_pool
from handful.run_folder import checkpoints_of

BUDGET = "5 min"
"""How long it may take unless something else is said."""

# So many pictures and sounds of the pool are asked whether they kept their neighbours.
_COMPARED = 60


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


@known_keywords
def adapt(
    pool: Dataset | str | Path,
    *,
    out: str | Path,
    backbone: str = bases.AUTO,
    budget: float | str = BUDGET,
    seed: int = 0,
    resume: bool = False,
    input: str | None = None,  # noqa: A002 - the name of the option
    progress: Say = silent,
) -> AdaptedBase:
    """Let the upper blocks of a backbone learn from items without labels, and write a base that runs can start from.

    Args:
        pool: what ``handful predict`` takes (a folder, a table, a text file), or a Dataset.
        out: the folder to write; ``tune(…, backbone="minilm-l6,THIS")`` lets held-out rows decide whether it is better.
        backbone: a name, folder or hub id; by default the first default one for items of this kind.
        budget: how long it may take, in seconds or as ``"5 min"``.
        seed: fixes every random choice.
        resume: go on from where an interrupted call with the same pool and options stood.
        input: the column of a table that holds the items; guessed when the guess is safe.
        progress: called with stage, steps done and steps in all.

    Raises:
        DataError: the pool cannot be used.
        OptionError: an option cannot work.
        WeightsError: the backbone is not there and cannot be fetched.
        TrainingError: the training ran away.
    """
    plan = Plan.resolve({"budget": budget, "seed": seed, "backbone": backbone}, "argument")
    if not plan.budget:
        raise OptionError(f"budget must be more than 0 to move weights, got {budget!r}. Try '{BUDGET}'.")
    clock, folder = Budget(plan.budget), Path(out)
    check_replaceable(folder, RECORD)
    name, modality = backbone_for(plan.backbone, pool)
    with clock.stage("read"):
        read = items_of(pool, modality, plan.seed, input)
    with clock.stage("load"):
        original = _original(name, modality, read.items, progress)
    recipe = RECIPES[modality]
    state = _state(folder, resume, read, original, recipe, plan.seed)
    learned = train_on_pool(original, read, recipe, plan.seed, clock, state, progress)
    with clock.stage("fit"):
        made = _saved(folder, original, recipe, learned, plan.seed)
        neighbours = _neighbours(original, made, read.items)
    shutil.rmtree(state.parent, ignore_errors=True)
    blocks = len(original.blocks)
    return AdaptedBase(
        folder=folder,
        original=original.name,
        modality=modality,
        moved=(blocks - recipe.first(original), blocks),
        items=learned.items,
        losses=tuple(update.loss for update in learned.log),
        kept=neighbours,
        seconds=clock.accounted,
        notes=(*read.notes, *learned.notes, *([clock.passed] if clock.passed else [])),
    )


def _original(name: str, modality: str, items: Sequence[Any], progress: Say) -> Backbone:
    """The backbone that is to learn, on the fastest device.

    Raises:
        OptionError: it has no blocks that could move.
    """
    chosen = default_backbone(modality, items) if name == bases.AUTO else name
    original = bases.load([chosen], modality, progress)[chosen]
    if not original.blocks:
        raise cannot_be_cut(chosen)
    return original


def _state(folder: Path, resume: bool, pool: PoolItems, original: Backbone, recipe: PoolRecipe, seed: int) -> Path:
    """Where a training keeps its state until the base is written; what learned otherwise has a folder of its own."""
    place = checkpoints_of(folder)
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
    same = repr((list(pool.hashes), original.fingerprint, recipe, seed))
    return place / hashlib.sha256(same.encode()).hexdigest()[:16]


def _saved(folder: Path, original: Backbone, recipe: PoolRecipe, learned: Trained, seed: int) -> Backbone:
    """Write a base, load it as any run will, and compare it with what was trained.

    Raises:
        WeightsError: the copy read back is not what was written.
    """
    first = recipe.first(original)
    record = Record(
        modality=original.modality,
        original=catalog.located(original.name),
        fingerprint=original.fingerprint,
        tuner=TUNER,
        first=first,
        objective=repr(recipe.objective),
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


def _neighbours(original: Backbone, made: Backbone, items: Sequence[Any]) -> Kept | None:
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
