"""Mixtures of two rows of a batch, of numbers and of targets alike."""

from __future__ import annotations

import numpy as np

from handful.errors import OptionError


def mixup(
    x: np.ndarray, targets: np.ndarray, rng: np.random.Generator, alpha: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Mix every row with another one of the batch (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization").

    Departure from the paper: each row draws its own share instead of one share for the whole batch.

    Args:
        x: (B, ...) floats, of any meaning: pixels, samples or features.
        targets: (B, C) floats, rows sum to 1.
        rng: where the partners and the shares come from.
        alpha: both parameters of the Beta distribution of a row's own share; small values mix little, 0 nothing.

    Returns:
        The mixed x and targets, new arrays of the same shapes and types.

    Raises:
        OptionError: alpha is below 0 or not finite.
    """
    if not (np.isfinite(alpha) and alpha >= 0):
        raise OptionError(f"alpha of mixup must be a finite number, 0 or more, got {alpha}. Use 0.2, or 0 for none.")
    if alpha == 0:
        return x.copy(), targets.copy()
    own = rng.beta(alpha, alpha, len(x))  # (B,)
    partner = rng.permutation(len(x))  # (B,)
    return _mixed(x, own, partner), _mixed(targets, own, partner)


def _mixed(rows: np.ndarray, own: np.ndarray, partner: np.ndarray) -> np.ndarray:
    share = own.reshape(-1, *(1,) * (rows.ndim - 1))  # (B, 1, ...)
    return np.asarray(share * rows + (1 - share) * rows[partner]).astype(rows.dtype)
