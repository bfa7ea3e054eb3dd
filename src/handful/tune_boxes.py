"""The verb for boxes: which cells of pictures are the middles of things is learned, and held out picture by picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone, no_parts
from handful.backbones.tiles import CELL
from handful.budget import Budget
from handful.data.boxed_pictures import FEWEST_BOXED, too_few_boxed
from handful.data.boxes import Box, Boxed
from handful.data.dataset import Dataset, hashes_of
from handful.data.images import full_size
from handful.data.names import listed
from handful.data.splits import merge_groups
from handful.engines import engine as engine_of
from handful.errors import DataError, OptionError
from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.metrics import Metric
from handful.evaluation.protocol import draw_folds, protocol_for
from handful.evaluation.verdicts import Held, Rows, assemble
from handful.export.finder import Drawn, Finder
from handful.export.kept_parts import Moved
from handful.features import bases
from handful.features.cells import MOST, NARROW, brightness, cells_of, read_at, scale_for
from handful.features.pixels import MAPS
from handful.features.view import Matrix
from handful.inspection.findings import Finding, by_cost
from handful.inspection.profile import duplicate_groups
from handful.inspection.profile import findings as find_faults
from handful.marked_items import outputs_to
from handful.moved_boxes import MovedBoxes, Pictures, Seen, check_moves, chosen_arm, moved_boxes, moves
from handful.picture_options import MOVER, check_follows
from handful.plan import Plan
from handful.progress import Say, silent
from handful.run import Run
from handful.seeding import generator
from handful.strategies.frozen.box_answers import FLOOR
from handful.strategies.frozen.box_confidence import learned_confidence
from handful.strategies.frozen.centres import (
    NOTHING,
    UNSAID,
    BoxMap,
    BrightnessBoxes,
    Candidates,
    CellRows,
    Wanted,
    detections,
    mean_sides,
    sides_of,
    wanted_of,
)
from handful.strategies.frozen.pixels import (
    Compared,
    PixelRows,
    brightness_of,
    compare,
    drawn_pixels,
    levels_of,
    share_to_draw,
)
from handful.tasks.boxes import BOXES, cuts_by_label, matched, numbers_of
from handful.training.cell_net import MarkedCells
from handful.training.tuners import Blocks

CELLS_EACH, CELLS_FEWEST, CELLS_TOGETHER = 2_500, 250, 15_000
"""Cells of a picture that are learned from at most and at least, and of all pictures together."""
SHOWN = 6
"""Pictures that the report shows."""
POOR = 0.5
"""Labels whose average precision is below this beyond doubt are told to be out of reach."""

Floats = NDArray[np.float64]


def tune_boxes(data: Dataset, plan: Plan, budget: Budget, say: Say) -> Run:
    """Learn what the middles of things look like, and say how well that is known on pictures that were held out.

    Args:
        data: pictures with boxes.
        plan: the resolved options.
        budget: the time of the run, of which reading was the first stage.
        say: told how far things are.

    Raises:
        DataError: pictures are too few, or things are out of reach.
        OptionError: an option cannot work.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    check_follows(plan, data, BOXES, moves=True)
    metric = BOXES.metrics[plan.metric] if "metric" in plan.origins else BOXES.headline
    with budget.stage("load"):
        backbone = _backbone(plan, data, say)
    test = data.part("test") if data.split else data.take(())
    data = data.part("train") if data.split else data
    names, scale = data.classes, _scale(data)
    with budget.stage("extract"):
        data, rows = _learned_rows(data, names, scale, backbone, plan.seed, say)
        learned = hashes_of(data)
    groups = merge_groups(np.asarray(data.groups), duplicate_groups(data)) if data.groups else duplicate_groups(data)
    _check_enough(data, groups)
    strata = np.zeros(len(data), np.int64)
    protocol = replace(protocol_for(strata, groups, data.groups is not None), repeats=1)
    protocol = protocol.fewest if moves(plan) else protocol
    folds = draw_folds(protocol, strata, groups, generator(plan.seed, "folds"))[0]
    with budget.stage("select"), engine_of(plan.engine) as engine:
        compared = compare(rows.pixels, (NOTHING, *names), folds, engine, partial(say, "comparing heads"))
    with budget.stage("train"):
        moved, given_up = _moved(data, names, scale, compared, backbone, plan, budget, say)
    targets = BOXES.targets(data.labels or (), names)
    with budget.stage("evaluate"):
        detected = _held_out(data, names, scale, rows, compared, folds, backbone,
                             partial(say, "answering held-out pictures"))  # fmt: skip
        detected |= {} if moved is None else {MOVER: moved.seen}
        wanted = [Boxed.of_cell(cell).corners(names) for cell in data.labels or ()]
        held = {arm: numbers_of(each, wanted, _nested_cuts(each, wanted, folds)) for arm, each in detected.items()}
    chosen, whole = chosen_arm(held, targets, folds)
    independent = len(np.unique(groups)) == len(groups)
    known = Rows(targets, None if independent else groups, data.rows)
    scores = assemble(
        [Held(name, outputs) for name, outputs in held.items()], whole, chosen, known, metric=metric,
        protocol=protocol.name, rng=generator(plan.seed, "bootstrap"),
    )  # fmt: skip
    with budget.stage("fit"):
        frozen = _maps(rows, compared, None, len(names))
        model = _finder(moved if chosen == MOVER else None, frozen, detected[chosen], wanted, names, scale, backbone)
        model.beats_reference = scores.beats(BOXES.reference.name)
        model.learned = learned
        untested = list[str]()
        if len(test):
            scores, untested = scores.tested(*_tested(model, test, metric, plan.seed))
    notes = [*untested, *_read_small(data, scale), *_poor(scores.details["boxes"])]
    notes += [given_up] if given_up else []
    scores = replace(scores, seconds=budget.accounted)
    answers = BOXES.held_out(whole, targets, data.rows)
    worst = sorted(range(len(data)), key=lambda i: answers[i].own)[:SHOWN]
    cuts = _nested_cuts(detected[chosen], wanted, folds)
    return Run(
        data, plan, tuple(_findings(data)), scores, answers, model,
        (*notes, *([budget.passed] if budget.passed else [])),
        boxed={data.rows[i]: _drawn(data, i, detected[chosen][i], cuts[i], names) for i in worst},
    )  # fmt: skip


def _moved(
    data: Dataset, names: tuple[str, ...], scale: float, compared: Compared, backbone: Backbone, plan: Plan,
    budget: Budget, say: Say,
) -> tuple[MovedBoxes | None, str]:  # fmt: skip
    """What came of weights that moved, where that was asked for, or why it was given up."""
    if not moves(plan):
        return None, ""
    came = moved_boxes(
        _pictures(data, names, scale, plan.seed), compared, backbone, plan.seed, lambda: budget.for_training,
        partial(say, "moving weights"),
    )  # fmt: skip
    return (came, "") if isinstance(came, MovedBoxes) else (None, came)


def _pictures(data: Dataset, names: tuple[str, ...], scale: float, seed: int) -> Pictures:
    """The pictures as trainings need them."""

    def marked(i: int) -> MarkedCells:
        pixels, ratio = read_at(data.items[i], scale)
        shape = pixels.shape[0] // CELL, pixels.shape[1] // CELL
        corners = Boxed.of_cell((data.labels or ())[i]).corners(names)
        return MarkedCells(pixels, _cells(corners, ratio, shape).classes)

    def rows(some: Dataset, backbone: Backbone) -> CellRows:
        return _learned_rows(some, names, scale, backbone, seed, silent)[1]

    return Pictures(data, scale, marked, rows, _weights(data, names, scale)[:-1])


def _backbone(plan: Plan, data: Dataset, say: Say) -> Backbone:
    """The backbone whose maps are read.

    Raises:
        OptionError: several were named, or it keeps no maps.
    """
    if plan.backbone != bases.AUTO and len(bases.named(plan.backbone, data.modality)) > 1:
        raise OptionError("backbone for boxes must be one model, got several. Choose one.")
    found = list(bases.cheapest(plan.backbone, data.modality, data.items, say).values())
    backbone = next((one for one in found if one.cell_depths), None)
    if backbone is None:
        raise no_parts(found[0].name, data.modality)
    if moves(plan):
        check_moves(backbone)
    return backbone


def _scale(data: Dataset) -> float:
    """By how much pictures are enlarged.

    Raises:
        DataError: things stay too small even so.
    """
    boxes = [box for cell in data.labels or () for box in Boxed.of_cell(cell).boxes]
    sides = [float(np.sqrt((box.right - box.left) * (box.bottom - box.top))) for box in boxes]
    sizes = [full_size(item) for item in data.items]
    scale = scale_for(sides, [width * height for width, height in sizes])
    typical = float(np.median(sides))
    if typical * scale < NARROW * CELL:
        raise DataError(
            f"the things in {data.source} are typically {typical:.0f} pixels wide in pictures of up to "
            f"{max(w * h for w, h in sizes) / 1e6:.0f} million pixels, which are read at {scale:.2g} of their size: "
            "they are too small to be seen. Cut the pictures into parts, and the boxes with them."
        )
    return scale


def _check_enough(data: Dataset, groups: NDArray[np.int64]) -> None:
    """Refuse pictures that cannot be held out from each other."""
    filled = [i for i, cell in enumerate(data.labels or ()) if Boxed.of_cell(cell).boxes]
    different = len(np.unique(groups[filled]))
    if different < FEWEST_BOXED:
        raise too_few_boxed(data.source, different)


def _learned_rows(
    data: Dataset, names: tuple[str, ...], scale: float, backbone: Backbone, seed: int, say: Say
) -> tuple[Dataset, CellRows]:
    """The pictures that can be read, and some cells of each, with what is seen there."""
    each = int(np.clip(CELLS_TOGETHER // len(data), CELLS_FEWEST, CELLS_EACH))
    weight = _weights(data, names, scale)
    parts: list[tuple[Matrix, NDArray[np.int64], NDArray[np.int64], Matrix]] = []
    failed: dict[int, str] = {}
    for i, (item, cell) in enumerate(zip(data.items, data.labels or (), strict=True)):
        try:
            draw = partial(drawn_pixels, weight=weight, count=each, rng=generator(seed, f"cells {i}"))
            parts.append(_rows_of(item, Boxed.of_cell(cell).corners(names), scale, backbone, draw))
        except (DataError, OSError) as error:
            failed[i] = str(error)
        say("looking at cells", i + 1, len(data))
    data = data.without(failed)
    item_of = np.repeat(np.arange(len(parts)), [len(classes) for _, classes, _, _ in parts])
    maps, classes, levels, sides = (np.concatenate([part[k] for part in parts]) for k in range(4))
    return data, CellRows(PixelRows({MAPS: maps}, levels, classes, item_of), sides)


def _weights(data: Dataset, names: tuple[str, ...], scale: float) -> Floats:
    """How much likelier a cell of each class is drawn than one of another, ``UNSAID`` ones never. (C + 2,)."""
    counts = np.zeros(len(names) + 1)
    for item, cell in zip(data.items, data.labels or (), strict=True):
        width, height = full_size(item)
        shape = max(1, round(height * scale / CELL)), max(1, round(width * scale / CELL))
        wanted = _cells(Boxed.of_cell(cell).corners(names), (scale, scale), shape).classes
        counts += np.bincount(wanted[wanted >= 0], minlength=len(counts))
    return np.append(share_to_draw(counts / counts.sum()), 0.0)


def _cells(corners: Sequence[Floats], ratio: tuple[float, float], shape: tuple[int, int]) -> Wanted:
    """What boxes in pixels of a picture say of its cells."""
    boxes = np.concatenate([*corners, np.zeros((0, 4))]) * np.array([*ratio, *ratio]) / CELL
    labels = np.repeat(np.arange(len(corners)), [len(own) for own in corners])
    return wanted_of(shape, boxes, labels)


def _rows_of(
    item: Any, corners: Sequence[Floats], scale: float, backbone: Backbone, draw: Callable[..., NDArray[np.int64]]
) -> tuple[Matrix, NDArray[np.int64], NDArray[np.int64], Matrix]:
    """What is seen in some cells of a picture, their classes, their brightness, and the sides of boxes there."""
    pixels, ratio = read_at(item, scale)
    grey = levels_of(brightness(pixels))
    wanted = _cells(corners, ratio, grey.shape)
    taken = np.zeros(grey.size, bool)
    said = np.flatnonzero(wanted.classes.ravel() != UNSAID)
    taken[said[draw(wanted.classes.ravel()[said])]] = True
    mark = taken.reshape(grey.shape)
    maps, classes, levels, sides = [], [], [], []
    for block in cells_of(pixels, backbone):
        at = block.cut(mark)
        maps.append(block.features[MAPS][at])
        classes.append(block.cut(wanted.classes)[at])
        levels.append(block.cut(grey)[at])
        sides.append(block.cut(wanted.sides)[at])
    return np.concatenate(maps), np.concatenate(classes), np.concatenate(levels), np.concatenate(sides)


def _maps(rows: CellRows, compared: Compared, fold: int | None, labels: int) -> BoxMap:
    """The maps that the pictures outside a fold support; all of them where it is None."""
    pixels = compared.fitted(fold)
    learned = np.ones(len(rows.sides), bool) if fold is None else compared.searched.folds[0] != fold
    seen = pixels.scaled({MAPS: rows.pixels.features[MAPS][learned]})
    return BoxMap(pixels, sides_of(seen, rows.pixels.classes[learned], rows.sides[learned], labels))


def _held_out(
    data: Dataset, names: tuple[str, ...], scale: float, rows: CellRows, compared: Compared,
    folds: NDArray[np.int64], backbone: Backbone, tell: Callable[[int, int], None],
) -> dict[str, list[Seen]]:  # fmt: skip
    """What each arm sees in every picture without having learned from it. Arm → N."""
    seen: dict[str, list[Seen]] = {BOXES.reference.name: [()] * len(data), MAPS: [()] * len(data)}
    order = np.argsort(folds, kind="stable").tolist()
    makers: dict[str, Candidates] = {}
    for done, i in enumerate(order, 1):
        if done == 1 or folds[i] != folds[order[done - 2]]:
            makers = _makers(rows, compared, int(folds[i]), len(names))
        for arm, each in detections(data.items[i], scale, backbone, makers, len(names)).items():
            seen[arm][i] = each
        tell(done, len(order))
    return seen


def _makers(rows: CellRows, compared: Compared, fold: int, labels: int) -> dict[str, Candidates]:
    """Arm → what makes boxes of the cells of a block, without the pictures of a fold."""
    among = compared.searched.folds[0] != fold
    table = brightness_of(rows.pixels, among, 1 + labels)
    blind = BrightnessBoxes(table, mean_sides(rows.pixels.classes[among], rows.sides[among], labels))
    return {BOXES.reference.name: blind.candidates, MAPS: _maps(rows, compared, fold, labels).candidates}


def _nested_cuts(seen: Sequence[Seen], wanted: Sequence[Sequence[Floats]], folds: NDArray[np.int64]) -> Floats:
    """(N, C) the same for each picture, by what was seen in those of other folds."""
    labels = len(wanted[0])
    out = np.zeros((len(seen), labels))
    for fold in np.unique(folds).tolist():
        others = np.flatnonzero(folds != fold).tolist()
        out[folds == fold] = cuts_by_label([seen[i] for i in others], [wanted[i] for i in others], FLOOR)
    return out


def _finder(
    moved: MovedBoxes | None, frozen: BoxMap, detected: Sequence[Seen], wanted: Sequence[Sequence[Floats]],
    names: tuple[str, ...], scale: float, backbone: Backbone,
) -> Finder:  # fmt: skip
    """The model, learned from all pictures; from where on it answers, and how sure it is, by held-out ones."""
    labels = range(len(names))
    scores = [np.concatenate([each[c].scores for each in detected]) for c in labels]
    right = [
        np.concatenate([matched(each[c].boxes, own[c]) for each, own in zip(detected, wanted, strict=True)])
        for c in labels
    ]
    cuts = np.asarray(cuts_by_label(detected, wanted, FLOOR), np.float32)
    boxes, eyes, weights = frozen, backbone, None
    if moved is not None:
        boxes, eyes, weights = moved.boxes, moved.moved.backbone, Moved(Blocks.name, 0, moved.moved.delta)
    return Finder(
        backbone.name, backbone.fingerprint, boxes, scale, cuts, learned_confidence(scores, right), names, loaded=eyes,
        moved=weights,
    )  # fmt: skip


def _drawn(data: Dataset, position: int, seen: Seen, cuts: Floats, names: tuple[str, ...]) -> Drawn:
    """A held-out picture as the report shows it."""
    cell = (data.labels or ())[position]
    said, right = list[Box](), list[bool]()
    for name, own, cut, wanted in zip(names, seen, cuts, Boxed.of_cell(cell).corners(names), strict=True):
        answered = own.above(float(cut))
        said += [Box.of(corners, name) for corners in answered.boxes.tolist()]
        right += matched(answered.boxes, wanted).tolist()
    width, height = full_size(data.items[position])
    return Drawn(width, height, Boxed.of_cell(cell).boxes, tuple(said), tuple(right))


def _tested(model: Finder, test: Dataset, metric: Metric, seed: int) -> tuple[Estimate, int]:
    """The score on the pictures that the source keeps for a test, and how many these are."""
    return interval(metric.of(*outputs_to(model, test)), None, rng=generator(seed, "test")), len(test)


def _read_small(data: Dataset, scale: float) -> list[str]:
    """That large pictures are read smaller than things ask for."""
    if scale >= 1 or max(w * h for w, h in map(full_size, data.items)) * scale**2 < 0.99 * MOST:
        return []
    return [
        f"pictures are read at {scale:.2g} of their size, since they are large: what is small is seen worse. Cut them "
        "into parts, where that matters."
    ]


def _poor(labels: Sequence[dict[str, Any]]) -> list[str]:
    """Labels that are not found well beyond doubt, and what to do."""
    poor = [str(one["name"]) for one in labels if one["wanted"] and one["ap50"]["high"] < POOR]
    if not poor:
        return []
    return [
        f"{listed(poor)}: found badly, beyond doubt. If things of a label look unlike each other, or are larger than "
        "what lies around them tells, they are out of reach here: that takes a detector which was trained on many "
        "thousands of pictures. If they are small and alike, mark more pictures"
    ]


def _findings(data: Dataset) -> list[Finding]:
    """What is wrong with the pictures: copies among them."""
    return by_cost([one for one in find_faults(data) if one.kind == "duplicate"])
