"""Domain-adaptive training: the upper blocks of a backbone learn from a pool without labels, and become a base to tune.

Nobody can say without labels whether the base is better: held-out rows decide, where ``tune`` is given both.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from handful.atomic import check_replaceable
from handful.backbones.adapted_record import RECORD
from handful.backbones.base import Backbone
from handful.budget import Budget
from handful.data.dataset import Dataset
from handful.errors import OptionError
from handful.features import bases
from handful.keywords import known_keywords
from handful.plan import Plan
from handful.progress import Say, silent
from handful.regimes.moved_base import AdaptedBase, neighbours_of, original_of, saved_base
from handful.regimes.pool_items import PoolItems, backbone_for, items_of
from handful.regimes.pool_training import RECIPES, PoolRecipe, train_on_pool
from handful.run_folder import checkpoints_of

BUDGET = "5 min"
"""How long it may take unless something else is said."""


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
        original = original_of(name, modality, read.items, progress)
    recipe = RECIPES[modality]
    state = _state(folder, resume, read, original, recipe, plan.seed)
    learned = train_on_pool(original, read, recipe, plan.seed, clock, state, progress)
    with clock.stage("fit"):
        made = saved_base(folder, original, recipe.first(original), recipe.objective, learned, plan.seed)
        neighbours = neighbours_of(original, made, read.items)
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


def _state(folder: Path, resume: bool, pool: PoolItems, original: Backbone, recipe: PoolRecipe, seed: int) -> Path:
    """Where a training keeps its state until the base is written; what learned otherwise has a folder of its own."""
    place = checkpoints_of(folder)
    if not resume:
        shutil.rmtree(place, ignore_errors=True)
    same = repr((list(pool.hashes), original.fingerprint, recipe, seed))
    return place / hashlib.sha256(same.encode()).hexdigest()[:16]
