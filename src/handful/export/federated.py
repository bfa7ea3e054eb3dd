"""A model that several sites fitted, as an ordinary bundle: for the coordinator without rows, and for each site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.data.cells import shown
from handful.data.dataset import Dataset
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.export.bundle import WITNESSES, Bundle
from handful.export.kept_parts import Moved
from handful.export.reference import Reference
from handful.features.view import MOVED, View
from handful.regimes.federated.site import Ended, SiteRows
from handful.regimes.federated.terms import Terms
from handful.tasks.classification import CLASSIFICATION
from handful.training.apply_delta import installed

# So few rows say nothing about what is usual.
_FEWEST = 3


def joint_bundle(
    names: Sequence[str], coef: NDArray[np.floating], intercept: NDArray[np.floating], terms: Terms,
    backbone: Backbone, measured: Mapping[str, Any], moved: Moved | None = None,
) -> Bundle:  # fmt: skip
    """The model of all sites; it keeps nothing of anybody's rows.

    Args:
        names: C classes, sorted.
        coef: (D, C), sharpened.
        intercept: (C,).
        terms: what was fitted.
        backbone: what looked at the rows, untouched.
        measured: what is told of it, see ``Joint.measured``.
        moved: the weights that moved together, where the model reads them.
    """
    name, depth, loaded = terms.backbone, terms.depth, {terms.backbone: backbone}
    if moved is not None:
        name, depth = name + MOVED, terms.of_moved.depth
        loaded[name] = installed(backbone, moved.tuner, moved.first, moved.delta)
    better = measured.get("beats_reference")
    return Bundle(
        task=CLASSIFICATION,
        modality=terms.modality,
        labels=tuple(names),
        view=View(((name, depth),)),
        fingerprints={terms.backbone: terms.fingerprint},
        head=str(measured.get("head", "ridge")),
        coef=np.asarray(coef, np.float32),
        intercept=np.asarray(intercept, np.float32),
        witness=np.zeros((0, len(coef)), np.float32),
        loaded=loaded,
        moved=moved,
        beats_reference=better if isinstance(better, bool) else None,
    )


def site_bundle(model: Bundle, data: Dataset, rows: SiteRows, ended: Ended, terms: Terms) -> Bundle:
    """The same model with what a site knows of its own rows, which never leave it: new rows can be compared with these.

    Args:
        model: of all sites.
        data: the N rows of the site.
        rows: what the backbone sees in them.
        ended: what the model answers to those that are scored with, held out.
        terms: what was fitted.
    """
    some = rows.scored
    own = replace(
        model, input=data.input, target=data.target, group=data.group, label_type=data.label_type,
        witness=rows.features[:WITNESSES] if model.moved is None else model.witness,
    )  # fmt: skip
    if int(some.sum()) < _FEWEST:
        return own
    groups = rows.groups[some]
    dependent = None if len(np.unique(groups)) == len(groups) else groups
    places = [data.rows[i] for i in np.flatnonzero(some)]
    frozen = View(((terms.backbone, terms.depth),))
    known = Reference.of(
        frozen, rows.features[some], ended.targets, ended.held_out[None], dependent, places
    )  # fmt: skip
    return replace(own, reference=known)


def card(model: Bundle, terms: Terms, measured: Mapping[str, Any], sites: int | None) -> str:
    """The model card, in Markdown.

    Args:
        model: the bundle.
        terms: what was fitted.
        measured: what is told of it.
        sites: how many sites it is of; None where only the coordinator knows.
    """
    named = ", ".join(shown(name) for name in model.labels[:20])
    who = "several sites" if sites is None else f"{sites} sites"
    raw, rows = measured.get("accuracy"), measured.get("rows")
    score = "How good it is could not be told: the noise hides it."
    if isinstance(raw, dict) and set(raw) == {"value", "low", "high"}:
        accuracy, scale = Estimate(**raw), Scale()
        ends = scale.between(accuracy.low, accuracy.high, "to")
        score = f"accuracy: **{accuracy.told(scale)}** ({ends}), on rows of all sites while they were held out"
    noise = (
        "No noise was added to what the sites sent: sums of few rows tell much about them."
        if terms.epsilon is None
        else f"Each site added noise to what it sent: ε = {terms.epsilon:g}, δ = {terms.delta:g} for each row."
    )
    parts = [
        f"# {model.modality.capitalize()} classification: {named}",
        f"Fitted together by {who} that did not share their rows (about {rows} in all), with handful.",
        "## How good it is",
        score,
        "## What it is made of",
        f"- backbone: {terms.backbone} at depth {model.view.parts[0][1]}{_moved(model, terms)}\n"
        f"- head: {model.head}, from sums\n- {noise}",
    ]
    return "\n\n".join(parts) + "\n"


def _moved(model: Bundle, terms: Terms) -> str:
    if terms.rounds is None:
        return ""
    what = "with weights" if model.moved is not None else "with frozen weights, which held-out rows preferred to those"
    return f", {what} that moved together in {terms.rounds.said}"
