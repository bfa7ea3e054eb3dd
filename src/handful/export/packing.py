"""Packing: what a run fitted becomes a bundle, with what it keeps of its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.data.languages import main_language
from handful.evaluation.scores import Scores
from handful.evaluation.verdicts import HeadRows
from handful.export.bundle import WITNESSES, Bundle
from handful.export.kept_parts import Moved
from handful.export.own_items import short_items
from handful.export.reference import MOST, Reference
from handful.features.extract import extract
from handful.features.feature_set import FeatureSet
from handful.features.view import MOVED, View
from handful.features.words import words_seen
from handful.strategies.frozen.ensemble import Linear
from handful.strategies.frozen.rung import Frozen
from handful.strategies.tuned.ladder import LadderResult, shipped, taking_part
from handful.training.apply_delta import arrays_of, installed


def packed_frozen(frozen: Frozen, data: Dataset, backbones: Mapping[str, Backbone]) -> Bundle:
    """The bundle of a frozen model."""
    return _packed(frozen.model, frozen.rows, frozen.arm, data, backbones, frozen.matrix)


def packed_winner(
    above: LadderResult, frozen: Frozen, data: Dataset, sight: FeatureSet, backbones: Mapping[str, Backbone]
) -> Bundle:
    """The bundle of a model whose weights moved, pooled with the frozen one as far as the rows say, or of that one."""
    if above.chosen is None:
        return packed_frozen(frozen, data, backbones)
    assert above.final is not None
    recipe = above.chosen.strategy.recipe()
    base, own = above.base or (frozen.base(backbones), backbones[frozen.base(backbones)])
    parts, delta = bool(frozen.rows.targets.task.grain), arrays_of(above.final.delta)
    trained = taking_part(own, parts)
    first, depth = recipe.first(trained), len(trained.blocks)
    moved = installed(own, recipe.tuner.name, first, delta)
    if parts:
        features = words_seen(moved, data.items, (depth,))[0][depth]
    else:
        features = extract(moved, data.items, (depth,)).matrices[depth]
    part, model = (base + MOVED, depth), shipped(above.chosen, frozen, base, depth, features)
    matrix = model.view.matrix({**sight.items, part: features})
    used = {**backbones, base: own, part[0]: moved}
    bundle = _packed(model, frozen.rows, above.chosen.strategy.name, data, used, matrix)
    return replace(bundle, moved=Moved(recipe.tuner.name, first, delta))


def _packed(
    model: Linear,
    rows: HeadRows,
    head: str,
    data: Dataset,
    backbones: Mapping[str, Backbone],
    matrix: NDArray[np.float32],
) -> Bundle:
    """A linear map as a bundle: (N, D) what it reads of the rows, the first of which become its witnesses."""
    used = {name: backbones[name] for name in model.view.backbones}
    language = main_language(data.items) if data.modality == "text" else None
    return Bundle(
        task=rows.targets.task,
        modality=data.modality,
        labels=rows.targets.names,
        view=model.view,
        fingerprints={name.removesuffix(MOVED): backbones[name.removesuffix(MOVED)].fingerprint for name in used},
        head=head,
        coef=model.coef,
        intercept=model.intercept,
        input=data.input,
        label_type=data.label_type,
        target=data.target,
        targets=data.targets,
        group=data.group,
        pairs=data.pairs,
        witness=matrix[:WITNESSES],
        loaded=used,
        language=None if language is None else language.code,
    )


def with_reference(
    model: Bundle, frozen: Frozen, whole: NDArray[np.float64], backbones: Mapping[str, Backbone], items: Sequence[Any],
    scores: Scores, sight: FeatureSet, most: int = MOST,
) -> Bundle:  # fmt: skip
    """The bundle with what it keeps of its training rows: (R, N, K) answers, frozen features, items that may travel.

    Features are kept of at most so many rows.

    Where the model reads parts of items, these are compared as wholes, by what the last layers see in them.

    It knows as well whether its scores show that it is better than an answer that looks at no item.
    """
    view, matrix, rows = frozen.model.view, frozen.matrix, frozen.rows
    if model.task.grain:
        view = View(tuple((name, sight.depths[name][0]) for name in view.backbones))
        matrix = view.matrix(sight.items)
    used = {name: backbones[name] for name in view.backbones}
    return replace(
        model,
        reference=Reference.of(view, matrix, rows.targets, whole, rows.groups, rows.positions, most),
        fingerprints={**model.fingerprints, **{name: backbone.fingerprint for name, backbone in used.items()}},
        loaded={**model.loaded, **used},
        items=short_items(items, model.modality),
        beats_reference=scores.beats_reference(model.task.reference.name),
    )
