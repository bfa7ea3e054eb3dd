"""Own answers: what a scikit-learn estimator of the user answers to rows that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict


def answers_kinds(estimator: Any) -> bool:
    """Whether it is an estimator that answers kinds, not numbers."""
    return is_estimator(estimator) and is_classifier(estimator)


def is_estimator(estimator: Any) -> bool:
    """Whether it learns and answers."""
    return all(hasattr(estimator, method) for method in ("fit", "predict", "get_params"))


def held_out_answers(
    estimator: Any, items: Sequence[Any], wanted: NDArray[Any], alike: NDArray[np.int64], groups: NDArray[np.int64],
    folds: int, seed: int,
) -> list[str]:  # fmt: skip
    """Fit it anew for each fold, and ask it about the rows of that fold.

    Args:
        estimator: learns from a list of items and what is wanted of them.
        items: N items.
        wanted: (N,) what is wanted of each.
        alike: (N,) rows of one number are spread over the folds.
        groups: (N,) rows of one number are held out together.
        folds: how many folds there are.
        seed: fixes them.

    Returns:
        N answers, as texts.
    """
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    said = cross_val_predict(estimator, list(items), wanted, cv=list(cut.split(alike, alike, groups)))
    return [str(answer) for answer in said]
