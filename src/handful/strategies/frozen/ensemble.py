"""The ensemble: settings that read the same backbones, pooled into one linear map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.features.view import Matrix, View, unit_rows
from handful.strategies.frozen.search_space import Setting
from handful.strategies.frozen.spaces import Rows, spaces
from handful.tasks.heads import Array

Floats = NDArray[np.floating]

# A tuned model with a larger share of the pool than this answers alone.
ALONE = 0.95


@dataclass(frozen=True)
class Member:
    """A setting and how much it counts."""

    setting: Setting
    """One way to make a head."""
    weight: float
    """Its share of the pooled answer; those of all members sum to 1."""
    sharpness: float
    """Its own calibration: the factor on its scores before the softmax."""


@dataclass(frozen=True)
class Linear:
    """One linear map on the features of a view, whose answers are calibrated."""

    view: View
    """What is read."""
    coef: NDArray[np.float32]
    """(D, K), for rows of length one."""
    intercept: NDArray[np.float32]
    """(K,)."""
    widths: dict[tuple[str, int], int]
    """Part of the view → how many of the D numbers are its own, in order."""

    @classmethod
    def of(
        cls,
        view: View,
        features: Mapping[tuple[str, int], Matrix],
        coef: Floats,
        intercept: Floats,
    ) -> Linear:
        """A map on a view of some features."""
        widths = {part: features[part].shape[1] for part in view.parts}
        return cls(view, coef.astype(np.float32), intercept.astype(np.float32), widths)

    def scores(self, features: Matrix) -> NDArray[np.float32]:
        """Sharpened scores of the view's features. (N, D) → (N, K)."""
        return np.asarray(unit_rows(features) @ self.coef + self.intercept, np.float32)


def pooled(
    members: Sequence[Member],
    items: Mapping[tuple[str, int], Matrix],
    names: Mapping[tuple[str, int], Matrix],
    design: Matrix,
    counts: frozenset[str] = frozenset(),
    weights: Floats | None = None,
) -> Linear:
    """Fit every member on all rows and add up what they say: a weighted mean of linear scores is a linear score.

    Args:
        members: what is pooled.
        items: (backbone, depth) → (N, D) features.
        names: (backbone, depth) → (C, D) features of the sorted label names; empty where there are none.
        design: (N, K) what a linear map is fitted to.
        counts: the backbones that count.
        weights: (N,) how much each row counts; 1 by default.

    Returns:
        One map on all views of the members, joined.
    """
    alike: dict[tuple[View, float], list[Member]] = {}
    for member in members:
        alike.setdefault((member.setting.view, member.setting.name_weight), []).append(member)
    parts = []
    for (view, weight), some in alike.items():
        named, counted = view.matrix(names) if names else None, view.counted(counts, items)
        coef, intercept = _together(some, view.matrix(items), named, design, weight, counted, weights)
        parts.append(Linear.of(view, items, coef, intercept))
    return added([1.0] * len(parts), parts)


def pooled_with(frozen: Linear, tuned: Linear, share: float) -> Linear:
    """A tuned model pooled with the frozen one, of which it is so large a share.

    Where the tuned one is nearly all of it, the other is left out: a prediction then runs one backbone, not two.
    """
    return tuned if share > ALONE else added([1 - share, share], [frozen, tuned])


def added(weights: Sequence[float], parts: Sequence[Linear]) -> Linear:
    """Several linear maps added up, each with its weight, on all that any of them reads.

    Args:
        weights: P numbers.
        parts: P maps to the same K numbers; a backbone and depth that several read is read once.
    """
    widths: dict[tuple[str, int], int] = {}
    for linear in parts:
        widths.update(linear.widths)
    view = View(tuple(widths))
    ends = np.cumsum(list(widths.values()))
    place = {part: slice(end - width, end) for (part, width), end in zip(widths.items(), ends, strict=True)}
    coef, intercept = np.zeros((int(ends[-1]), len(parts[0].intercept))), np.zeros(len(parts[0].intercept))
    for weight, linear in zip(weights, parts, strict=True):
        intercept += weight * linear.intercept
        # Rows of P joined parts are scaled by 1 / √P to length one, those that a map knows by 1 / √(its parts).
        scale, start = weight * np.sqrt(len(view.parts) / len(linear.view.parts)), 0
        for part, width in linear.widths.items():
            coef[place[part]] += scale * linear.coef[start : start + width]
            start += width
    return Linear(view, coef.astype(np.float32), intercept.astype(np.float32), widths)


def _together(
    members: Sequence[Member], features: Matrix, names: Matrix | None, design: Matrix, name_weight: float,
    counted: NDArray[np.bool_] | None,
    row_weights: Floats | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """The sum of what members on the same rows say, (D, K) and (K,): one decomposition pays for all of them."""
    shares = {member.setting: member.weight * member.sharpness for member in members}
    if np.isinf(name_weight):  # zero-shot is the cosine with a name: a linear map whose columns are the names
        assert names is not None
        return sum(shares.values()) * unit_rows(names).T.astype(np.float64), np.zeros(len(names))
    rows, weights = training_rows(features, names, design, name_weight, counted)
    if row_weights is not None:
        weights = np.concatenate([row_weights, weights[len(design) :]]).astype(np.float32)
    (space,) = spaces(rows, weights[None])
    heads = list(dict.fromkeys(setting.head for setting in shares))
    basis = space.basis(heads)
    coef, intercept = np.zeros((space.z.shape[1], design.shape[1])), np.zeros(design.shape[1])
    for head in heads:
        own = [setting for setting in shares if setting.head == head]
        maps, constants = space.fit(head, [setting.penalty for setting in own], basis)
        share = np.array([shares[setting] for setting in own])
        coef += np.tensordot(maps[0], share, (1, 0))  # (R, S, K) and S → (R, K)
        intercept += share @ constants[0]
    return space.back() @ coef, intercept


def training_rows(
    features: Matrix, names: Matrix | None, design: Matrix, name_weight: float, counted: NDArray[np.bool_] | None = None
) -> tuple[Rows, Array]:
    """What a head learns from: the items, then the label names, each counting for so many rows.

    Args:
        features: (N, D).
        names: (K, D), or None where there are none.
        design: (N, K) what a linear map is fitted to.
        name_weight: how many rows a name counts for; 0 leaves the names out.
        counted: (D,) which columns are counts; None where none are.

    Returns:
        M rows and their weights (M,).
    """
    ones = np.ones(len(design), np.float32)
    if not name_weight or names is None:
        return Rows(unit_rows(features), design, len(design), counted), ones
    rows = np.concatenate([unit_rows(features), unit_rows(names)])
    weights = np.concatenate([ones, np.full(len(names), name_weight, np.float32)])
    targets = np.concatenate([design, np.eye(design.shape[1], dtype=np.float32)])
    return Rows(rows, targets, len(design), counted), weights


def describe(members: Sequence[Member]) -> dict[str, object]:
    """An ensemble as plain values for ``scores.json`` and the report."""
    heads: dict[str, float] = {}
    reads: dict[str, float] = {}
    for member in members:
        heads[member.setting.arm] = heads.get(member.setting.arm, 0.0) + member.weight
        reads[member.setting.view.name] = reads.get(member.setting.view.name, 0.0) + member.weight
    return {"settings pooled": len(members), "heads": _shares(heads), "reads": _shares(reads)}


def _shares(found: Mapping[str, float]) -> str:
    """``ridge 70 %, logistic 30 %``, heaviest first; what rounds to nothing is left out."""
    order = sorted(found, key=lambda name: -found[name])
    told = [f"{name} {found[name]:.0%}".replace("%", " %") for name in order if found[name] >= 0.005]
    return order[0] if len(told) == 1 else ", ".join(told)
