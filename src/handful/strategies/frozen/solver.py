"""The mathematics of linear heads: many penalised fits on the same rows, solved together.

Three convex heads are one computation. Squared loss, softmax cross-entropy and squared hinge each have a
curvature bound ``c`` that does not depend on the weights, so the step ``(c S + λ I)⁻¹ gradient`` never
overshoots (Böhning & Lindsay 1988, "Monotonicity of quadratic-approximation algorithms"; for softmax
``c = 1/2``, Böhning 1992). For squared loss one step is the exact answer. In the eigenbasis of the centred
scatter ``S`` of a fold the step is a division, and it is the same basis for every penalty and every class:
one decomposition per fold pays for the whole grid.

Shapes: ``M`` rows (N items, then any rows made from label names), ``R`` width after rotation, ``F`` folds
(one vector of row weights each), ``S`` penalties, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from handful.tasks.heads import Array, Head, Loss
from handful.threads import one_thread

# A class without a row in a fold's training part can only be scored below every class that has one.
ABSENT = np.float32(-1e4)

# How many numbers one array of the solver may hold: about the share of a cache that one core has.
CHUNK = 300_000


@one_thread()
def rotate(x: Array, widest: int = 512) -> tuple[Array, Array]:
    """Rotate rows into the space they span, so that no fit is wider than there are rows.

    A rotation changes no distance and no penalty, so every fit on any subset of the rows gives the same
    scores as in the full width. Only where rows and columns both outnumber ``widest`` is something left
    out: the directions of least variance.

    Args:
        x: (M, D).
        widest: the largest width that is worth solving in.

    Returns:
        ``z`` (M, R) and ``basis`` (D, R) with orthonormal columns, ``z = x @ basis``, R = min(M, D, widest).
    """
    rows, width = x.shape
    if rows <= min(width, widest):
        basis, _ = np.linalg.qr(x.T.astype(np.float64))  # (D, M)
    elif width <= widest:
        return x, np.eye(width, dtype=np.float32)
    else:
        wide = x.astype(np.float64)
        if width <= rows:
            basis = np.linalg.eigh(wide.T @ wide)[1][:, -widest:]  # (D, widest)
        else:
            values, left = np.linalg.eigh(wide @ wide.T)
            basis = wide.T @ left[:, -widest:] / np.sqrt(np.maximum(values[-widest:], 1e-12))
    return np.asarray(x @ basis, np.float32), np.asarray(basis, np.float32)


@dataclass(frozen=True)
class Basis:
    """The principal axes of the training rows of each fold."""

    mean: Array
    """(F, R) weighted mean of the rows."""
    values: Array
    """(F, R) eigenvalues of the centred scatter, from 0 up."""
    axes: Array
    """(F, R, R) its eigenvectors, in columns."""


@one_thread()
def decompose(x: Array, weights: Array) -> Basis:
    """Find the principal axes of every fold: what all convex heads and all penalties share.

    Args:
        x: (M, R) rows.
        weights: (F, M) row weights of each fold, 0 for held-out rows.
    """
    mean = (weights @ x) / weights.sum(1, keepdims=True)  # (F, R)
    values, axes = np.zeros_like(mean), np.zeros((*mean.shape, x.shape[1]), np.float32)
    for f, w in enumerate(weights):
        root = np.sqrt(w)[:, None] * (x - mean[f])  # (M, R)
        values[f], axes[f] = np.linalg.eigh(root.T @ root)
    return Basis(mean, np.maximum(values, 0), axes)


@one_thread()
def fit_head(
    head: Head, x: Array, targets: Array, weights: Array, penalties: Sequence[float], basis: Basis | None = None
) -> tuple[Array, Array]:
    """Fit a head for every fold and penalty.

    Args:
        head: which one.
        x: (M, R) rows.
        targets: (M, K) what is wanted of them.
        weights: (F, M) row weights of each fold, 0 for held-out rows.
        penalties: S values.
        basis: of the same rows and weights, where it is known already.

    Returns:
        coef (F, R, S, K) and intercept (F, S, K).
    """
    if head.loss is None:
        return centroids(x, targets, weights)
    if head.contrasts is None:
        return fit_path(x, targets, weights, penalties, head.loss, basis)
    sums = head.contrasts(targets.shape[1])  # (K, J)
    coef, intercept = fit_path(x, targets @ sums, weights, penalties, head.loss, basis)
    return coef @ sums.T, np.maximum(intercept, ABSENT) @ sums.T


def fit_path(
    x: Array, targets: Array, weights: Array, penalties: Sequence[float], loss: Loss, basis: Basis | None = None
) -> tuple[Array, Array]:
    """Fit one linear head per fold and penalty: ``Σ w · loss + λ/2 ‖coef‖²``, the intercept free of penalty.

    Args:
        x: (M, R) rows.
        targets: (M, C) one-hot.
        weights: (F, M) row weights of each fold, 0 for held-out rows.
        penalties: S values of λ > 0.
        loss: what is minimised.
        basis: of the same rows and weights, where it is known already.

    Returns:
        coef (F, R, S, C) and intercept (F, S, C). A class that has no row of positive weight in a fold gets
        coef 0 and intercept ``ABSENT``.
    """
    known = decompose(x, weights) if basis is None else basis
    lam = np.asarray(penalties, np.float32)[:, None]  # (S, 1)
    per_fold = len(x) * (len(lam) * targets.shape[1] + x.shape[1])
    chunk = max(1, CHUNK // per_fold)
    coef = np.zeros((len(weights), x.shape[1], len(lam), targets.shape[1]), np.float32)
    intercept = np.zeros((len(weights), len(lam), targets.shape[1]), np.float32)
    for start in range(0, len(weights), chunk):
        at = slice(start, start + chunk)
        part = Basis(known.mean[at], known.values[at], known.axes[at])
        coef[at], intercept[at] = _fit_folds(x, targets, weights[at], lam, loss, part)
    return coef, intercept


def _fit_folds(x: Array, targets: Array, weights: Array, lam: Array, loss: Loss, basis: Basis) -> tuple[Array, Array]:
    folds, rows, width = len(weights), *x.shape
    flat = (len(lam), targets.shape[1])  # S, C
    ones = np.ones((folds, rows, 1), np.float32)
    # The intercept is one more column, at right angles to the others because the rows are centred.
    z = np.concatenate([(x - basis.mean[:, None, :]) @ basis.axes, ones], 2)  # (F, M, R + 1)
    zt = np.ascontiguousarray((z * weights[:, :, None]).transpose(0, 2, 1))  # (F, R + 1, M)
    values = np.concatenate([basis.values, weights.sum(1, keepdims=True)], 1)[:, :, None, None]  # (F, R + 1, 1, 1)
    shrink = np.concatenate([np.broadcast_to(lam, (width, *lam.shape)), np.zeros((1, *lam.shape), np.float32)])
    step = 1 / (np.float32(loss.curvature) * values + shrink)  # (F, R + 1, S, 1)
    # Not by BLAS, whose product of one row reads what lies beside it and, rarely, warns of what it read there.
    present = (np.einsum("fm,mc->fc", weights, np.float32(targets != 0)) > 0)[:, None, :]  # (F, 1, C)
    # Accelerated proximal steps that restart when they turn back (O'Donoghue & Candès 2015).
    a = np.zeros((folds, width + 1, *flat), np.float32)
    a[:, -1] = np.where(present, 0, ABSENT)
    ahead: Array = a
    momentum: NDArray[np.floating] = np.ones((folds, len(lam), 1), np.float32)
    for _ in range(loss.steps):
        scores = (z @ ahead.reshape(folds, width + 1, -1)).reshape(folds, rows, *flat)
        g = loss.gradient(scores, targets)  # (F, M, S, C)
        slope = (zt @ g.reshape(folds, rows, -1)).reshape(a.shape) + shrink * ahead  # (F, R + 1, S, C)
        new = ahead - step * slope
        move = new - a
        turned = np.einsum("frsc,frsc->fs", slope, move) > 0  # (F, S)
        momentum = np.where(turned[:, :, None], np.float32(1), momentum)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + ((momentum - 1) / following)[:, None] * move
        a, momentum = new, following
    coef = (basis.axes @ (a[:, :-1] * present[:, None]).reshape(folds, width, -1)).reshape(folds, width, *flat)
    intercept = a[:, -1] - np.einsum("fr,frsc->fsc", basis.mean, coef, optimize=True)
    return coef, np.where(present, intercept, ABSENT)


def centroids(x: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
    """Nearest class mean (Euclidean) as a linear head: ``x · m - ‖m‖² / 2`` ranks classes by distance.

    Args:
        x: (M, R).
        targets: (M, C) one-hot.
        weights: (F, M).

    Returns:
        coef (F, R, 1, C) and intercept (F, 1, C), as ``fit_path`` with a single penalty.
    """
    mass = weights @ targets  # (F, C)
    (fits, rows), classes = weights.shape, targets.shape[1]
    # Each row counts for few classes: with thousands of them, nearly all of a dense product would be zeros.
    row, column = np.nonzero(targets)  # (n,), (n,)
    own = np.arange(fits)[:, None] * classes + column  # (F, n)
    counts = weights[:, row].astype(np.float64) * targets[row, column]
    counted = csr_array((counts.ravel(), (own.ravel(), np.tile(row, fits))), (fits * classes, rows))
    sums = np.asarray(counted @ x).reshape(fits, classes, -1).swapaxes(1, 2)  # (F, R, C)
    means = sums / np.maximum(mass, 1e-12)[:, None, :]
    intercept = np.where(mass > 0, -0.5 * (means**2).sum(1), ABSENT)
    return means[:, :, None, :].astype(np.float32), intercept[:, None, :].astype(np.float32)
