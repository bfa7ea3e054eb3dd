"""The verb for masks: what the classes of pixels look like is learned, and held out picture by picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone, no_parts
from handful.budget import Budget
from handful.data.dataset import Dataset, hashes_of
from handful.data.images import full_size
from handful.data.mask_files import mask_of
from handful.data.masks import FEWEST_MASKS, too_few
from handful.data.pixel_sizes import enlarged, nearest, within
from handful.data.splits import merge_groups
from handful.engines import engine as engine_of
from handful.errors import DataError, OptionError
from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.metrics import Metric
from handful.evaluation.protocol import draw_folds, protocol_for
from handful.evaluation.verdicts import Held, Rows, assemble
from handful.export.segmenter import Answered, Segmenter
from handful.features import bases
from handful.features.pixels import MAPS, REACH, Block, blocks_of, worked
from handful.features.view import Matrix
from handful.inspection.findings import Finding, by_cost
from handful.inspection.profile import duplicate_groups
from handful.inspection.profile import findings as find_faults
from handful.marked_items import outputs_to
from handful.picture_options import check_follows
from handful.plan import Plan
from handful.progress import Say
from handful.run import Run
from handful.seeding import generator
from handful.strategies.frozen.context import (
    CONTEXT,
    Context,
    ContextMap,
    Drawn,
    learned_context,
)
from handful.strategies.frozen.pixels import (
    Compared,
    PixelMap,
    PixelRows,
    brightness_of,
    compare,
    drawn_pixels,
    levels_of,
    share_to_draw,
)
from handful.tasks.masks import MASKS, counted

PIXELS_EACH, PIXELS_FEWEST, PIXELS_TOGETHER = 2_500, 250, 15_000
"""Pixels of a picture that linear maps learn from at most and at least, and of all pictures together."""
CONTEXT_EACH, CONTEXT_TOGETHER = 15_000, 75_000
"""Pixels of a picture that networks learn from at most, and of all pictures together."""
SHOWN = 6
"""Pictures that the report shows."""

# Pixels of the longer side of the masks that it shows.
_SHOWN_SIDE = 320


def tune_masks(data: Dataset, plan: Plan, budget: Budget, say: Say) -> Run:
    """Learn what the pixels of each class look like, and say how well that is known on pictures that were held out.

    Args:
        data: pictures with masks.
        plan: the resolved options.
        budget: the time of the run, of which reading was the first stage.
        say: told how far things are.

    Raises:
        DataError: pictures are too few, or nothing can be told apart.
        OptionError: an option cannot work.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    check_follows(plan, data, MASKS)
    metric = MASKS.metrics[plan.metric] if "metric" in plan.origins else MASKS.headline
    with budget.stage("load"):
        backbone = _backbone(plan, data, say)
    test = data.part("test") if data.split else data.take(())
    data = data.part("train") if data.split else data
    names = data.classes
    hears = bool(budget.seconds)
    with budget.stage("extract"):
        data, rows, drawn = _learned_rows(data, names, backbone, hears, plan.seed, say)
        learned = hashes_of(data)
    groups = merge_groups(np.asarray(data.groups), duplicate_groups(data)) if data.groups else duplicate_groups(data)
    _check_enough(data, groups)
    strata = np.zeros(len(data), np.int64)
    protocol = replace(protocol_for(strata, groups, data.groups is not None), repeats=1)
    folds = draw_folds(protocol, strata, groups, generator(plan.seed, "folds"))[0]
    with budget.stage("select"), engine_of(plan.engine) as engine:
        compared = compare(rows, names, folds, engine, partial(say, "comparing heads"))
    with budget.stage("context"):
        found = _context(data, compared, drawn, backbone, plan.seed, budget, say) if hears else ""
    context, given_up = (found, "") if isinstance(found, Context) else (None, found)
    with budget.stage("evaluate"):
        held, shown = _held_out(data, names, compared, context, backbone, partial(say, "answering held-out pictures"))
    whole = held.pop(_WHOLE)
    chosen = _chosen(compared, context, None)
    targets = MASKS.targets(data.labels or (), names)
    independent = len(np.unique(groups)) == len(groups)
    known = Rows(targets, None if independent else groups, data.rows)
    scores = assemble(
        [Held(name, outputs) for name, outputs in held.items()], whole, chosen, known, metric=metric,
        protocol=protocol.name, rng=generator(plan.seed, "bootstrap"),
    )  # fmt: skip
    with budget.stage("fit"):
        pixels = _pixel_map(compared, context, None, chosen)
        own = backbone if MAPS in pixels.looks else None
        model = Segmenter(
            "" if own is None else own.name, "" if own is None else own.fingerprint, pixels, names,
            scores.beats(MASKS.reference.name), own, learned=learned,
        )  # fmt: skip
        untested = list[str]()
        if len(test):
            scores, untested = scores.tested(*_tested(model, test, metric, plan.seed))
    notes = [*untested, *_read_small(data), *([given_up] if given_up else [])]
    notes += [budget.passed] if budget.passed else []
    scores = replace(scores, seconds=budget.accounted)
    return Run(
        data, plan, tuple(_findings(data)), scores, MASKS.held_out(whole, targets, data.rows), model, tuple(notes),
        answered={data.rows[i]: one for i, one in shown.items()},
    )  # fmt: skip


_WHOLE = "whole"


def _backbone(plan: Plan, data: Dataset, say: Say) -> Backbone:
    """The backbone whose maps are read.

    Raises:
        OptionError: several were named, or it keeps no maps.
    """
    if plan.backbone != bases.AUTO and len(bases.named(plan.backbone, data.modality)) > 1:
        raise OptionError("backbone for masks must be one model, got several. Choose one.")
    found = list(bases.cheapest(plan.backbone, data.modality, data.items, say).values())
    backbone = next((one for one in found if one.pixel_depths), None)
    if backbone is None:
        raise no_parts(found[0].name, data.modality)
    return backbone


def _check_enough(data: Dataset, groups: NDArray[np.int64]) -> None:
    """Refuse pictures that cannot be held out from each other."""
    different = len(np.unique(groups))
    if different < FEWEST_MASKS:
        raise too_few(data.source, different)


def _learned_rows(
    data: Dataset, names: tuple[str, ...], backbone: Backbone, hears: bool, seed: int, say: Say
) -> tuple[Dataset, PixelRows, Drawn]:
    """The pictures that can be read, and some pixels of each, with what is seen there: for linear maps, and more."""
    few = int(np.clip(PIXELS_TOGETHER // len(data), PIXELS_FEWEST, PIXELS_EACH))
    many = max(few, min(CONTEXT_TOGETHER // len(data), CONTEXT_EACH)) if hears else few
    shares, failed = np.zeros(len(names)), dict[int, str]()
    for i, (item, cell) in enumerate(zip(data.items, data.labels or (), strict=True)):
        try:
            mask = mask_of(cell, names, item)
            shares += np.bincount(mask.ravel(), minlength=len(names)) / mask.size
        except (DataError, OSError) as error:
            failed[i] = str(error)
    data, weight = data.without(failed), share_to_draw(shares / max(1, len(data)))
    parts: list[tuple[PixelRows, NDArray[np.int64], int]] = []
    failed = {}
    for i, (item, cell) in enumerate(zip(data.items, data.labels or (), strict=True)):
        try:
            draw = partial(drawn_pixels, weight=weight, count=many, rng=generator(seed, f"pixels {i}"))
            parts.append(_rows_of(item, cell, names, backbone, REACH if hears else 0, draw))
        except (DataError, OSError) as error:
            failed[i] = str(error)
        say("looking at pixels", i + 1, len(data))
    data = data.without(failed)
    rows, places, widths = zip(*parts, strict=True)
    first = np.concatenate([np.arange(len(own)) < few for own in places])
    drawn = Drawn(PixelRows.together(rows), first, places, widths)
    return data, drawn.rows.taken(first), drawn


def _rows_of(
    item: Any, cell: str, names: tuple[str, ...], backbone: Backbone, around: int,
    draw: Callable[..., NDArray[np.int64]],
) -> tuple[PixelRows, NDArray[np.int64], int]:  # fmt: skip
    """Some pixels of a picture, where they lie, and how many columns it has."""
    pixels = worked(item)
    mask = nearest(mask_of(cell, names, item), pixels.shape[:2]).ravel()
    places = draw(mask)
    features: dict[str, Matrix] = {}
    for block in blocks_of(pixels, backbone, around):
        own = block.within()
        which, at = block.of_places(places, pixels.shape[1])
        for look, x in own.features.items():
            features.setdefault(look, np.zeros((len(places), x.shape[1]), np.float32))[which] = x[at]
    levels = levels_of(pixels.reshape(-1, 3)[places])
    rows = PixelRows(features, levels, mask[places].astype(np.int64), np.zeros(len(places), np.int64))
    return rows, places, pixels.shape[1]


def _context(
    data: Dataset, compared: Compared, drawn: Drawn, backbone: Backbone, seed: int, budget: Budget, say: Say
) -> Context | str:
    """What networks learn that hear a first answer, or why they did not."""
    return learned_context(
        compared, drawn, lambda i: blocks_of(worked(data.items[i]), backbone, REACH), seed,
        lambda: budget.for_training, partial(say, "learning what lies around pixels"),
    )  # fmt: skip


def _chosen(compared: Compared, context: Context | None, fold: int | None) -> str:
    """The arm that the pictures outside a fold support, or all."""
    if context is not None and context.is_better(compared, fold):
        return CONTEXT
    return compared.names[compared.best(fold)[0]]


def _pixel_map(compared: Compared, context: Context | None, fold: int | None, arm: str) -> PixelMap | ContextMap:
    """What an arm learned from all pictures but those of a fold."""
    if context is not None and arm == CONTEXT:
        return context.whole if fold is None else context.maps[fold]
    return compared.fitted(fold, arm)


def _held_out(
    data: Dataset, names: tuple[str, ...], compared: Compared, context: Context | None, backbone: Backbone,
    tell: Callable[[int, int], None],
) -> tuple[dict[str, NDArray[np.float64]], dict[int, Answered]]:  # fmt: skip
    """What each arm adds to the scores, all pixels of every picture answered by what has not seen it.

    Returns:
        Arm → (1, N, 3 C), and position → picture as the report shows it.
    """
    arms = [MASKS.reference.name, *compared.looks.looks, *([CONTEXT] if context is not None else []), _WHOLE]
    held = {arm: np.zeros((1, len(data), 3 * len(names))) for arm in arms}
    shown: dict[int, Answered] = {}
    order = np.argsort(compared.folds, kind="stable").tolist()
    makers: dict[str, Callable[..., Matrix]] = {}
    for done, i in enumerate(order, 1):
        fold = int(compared.folds[i])
        if done == 1 or fold != compared.folds[order[done - 2]]:
            makers = _makers(compared, context, fold, len(names))
        item, cell = data.items[i], (data.labels or ())[i]
        truth = mask_of(cell, names, item)
        said = _answers(item, makers, backbone, 0 if context is None else REACH, len(names))
        said[_WHOLE] = said[_chosen(compared, context, fold)]
        for arm, classes in said.items():
            held[arm][0, i] = counted(classes, truth, len(names))
        shown[i] = Answered(within(truth, _SHOWN_SIDE), within(said[_WHOLE], _SHOWN_SIDE))
        tell(done, len(order))
    worst = sorted(shown, key=lambda i: float(held[_WHOLE][0, i, : len(names)].sum()))[:SHOWN]
    return held, {i: shown[i] for i in worst}


def _makers(
    compared: Compared, context: Context | None, fold: int, classes: int
) -> dict[str, Callable[[Block, NDArray[np.uint8]], Matrix]]:
    """Arm → what makes probabilities of a block and its pixels, without the pictures of a fold."""
    among = compared.searched.folds[0] != fold
    reference = brightness_of(compared.rows, among, classes)
    makers: dict[str, Callable[[Block, NDArray[np.uint8]], Matrix]] = {
        MASKS.reference.name: lambda block, pixels: reference.probabilities(levels_of(block.cut(pixels)))
    }
    for arm in (*compared.looks.looks, *([CONTEXT] if context is not None else [])):
        own = _pixel_map(compared, context, fold, arm)
        makers[arm] = partial(_own_answer, own)
    return makers


def _own_answer(own: PixelMap | ContextMap, block: Block, pixels: NDArray[np.uint8]) -> Matrix:
    return own.answered(block)


def _answers(
    item: Any, makers: Mapping[str, Callable[[Block, NDArray[np.uint8]], Matrix]], backbone: Backbone, around: int,
    classes: int,
) -> dict[str, NDArray[np.uint8]]:  # fmt: skip
    """What every arm answers to a picture, at its own size; it is looked at once for all of them."""
    pixels = worked(item)
    size = full_size(item)
    probable = {arm: np.zeros((*pixels.shape[:2], classes), np.float16) for arm in makers}
    for block in blocks_of(pixels, backbone, around):
        rows = slice(block.top, block.top + block.height), slice(block.left, block.left + block.width)
        for arm, make in makers.items():
            probable[arm][rows] = make(block, pixels).reshape(block.height, block.width, classes)
    return {arm: enlarged(probable.pop(arm), *size) for arm in makers}


def _tested(model: Segmenter, test: Dataset, metric: Metric, seed: int) -> tuple[Estimate, int]:
    """The score on the pictures that the source keeps for a test, and how many these are."""
    return interval(metric.of(*outputs_to(model, test)), None, rng=generator(seed, "test")), len(test)


def _read_small(data: Dataset) -> list[str]:
    """That large pictures are read smaller than they are."""
    from handful.features.pixels import MOST

    large = sum(min(full_size(item)) > MOST for item in data.items)
    if not large:
        return []
    return [
        f"{large} of {len(data)} pictures are read at {MOST} pixels of their shorter side, and the answer is scaled "
        "up: what is finer than that is not seen. Cut such pictures into parts, where that matters."
    ]


def _findings(data: Dataset) -> list[Finding]:
    """What is wrong with the pictures: copies among them."""
    return by_cost([one for one in find_faults(data) if one.kind == "duplicate"])
