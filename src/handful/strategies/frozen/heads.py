"""Linear classifiers of features as scikit-learn knows them: every one a head of classification, fitted on all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from handful.errors import DataError, OptionError
from handful.features.view import unit_rows
from handful.strategies.frozen.solver import ABSENT, fit_head
from handful.strategies.labels import numbered, one_each
from handful.tasks.classification import CLASSIFICATION, heads
from handful.tasks.classification.softmax import probabilities
from handful.tasks.heads import Array, Head


@dataclass
class FeatureClassifier(ClassifierMixin, BaseEstimator):
    """What all heads share: rows are scaled to length one, then a linear map gives a score per class.

    Learned: ``classes_`` (C,), ``coef_`` (D, C), ``intercept_`` (C,).
    """

    name: ClassVar[str]
    """How the head is called in ``--strategies`` and in the scores."""
    head: ClassVar[Head]
    """How the map is found."""

    def _map(self, x: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
        """Fit rows of length one: (N, D), (N, C), (N,) → coef (D, C), intercept (C,)."""
        penalty = getattr(self, "penalty", 0.0)
        coef, intercept = fit_head(self.head, x, targets, weights[None], (penalty,))
        return coef[0, :, 0], intercept[0, 0]

    def fit(self, items: NDArray[Any], labels: Sequence[Any], sample_weight: NDArray[Any] | None = None) -> Self:
        """Learn from feature rows.

        Args:
            items: (N, D) features of a frozen backbone.
            labels: N class names.
            sample_weight: (N,) how much each row counts; 1 by default.

        Raises:
            DataError: no rows, one class only, or numbers that are not finite.
            OptionError: a penalty that is not above 0.
        """
        x, y = _checked(items, labels)
        penalty = getattr(self, "penalty", None)
        if penalty is not None and not penalty > 0:
            raise OptionError(f"penalty of {type(self).__name__} must be above 0, got {penalty}. Try 0.1.")
        self.classes_, index = numbered(type(self).__name__, y)
        self.n_features_in_ = x.shape[1]
        targets = np.eye(len(self.classes_), dtype=np.float32)[index]
        weights = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight)
        self.coef_, self.intercept_ = self._map(unit_rows(x), targets, weights.astype(np.float32))
        return self

    def decision_function(self, items: NDArray[Any]) -> NDArray[np.float32]:
        """Scores, higher is more likely. (N, D) → (N, C), columns in the order of ``classes_``."""
        check_is_fitted(self, "coef_")
        x = _finite(items)
        if x.shape[1] != self.n_features_in_:
            raise DataError(
                f"features of {type(self).__name__} must be {self.n_features_in_} wide as in fit, got {x.shape[1]}. "
                "Use the backbone and depth that it was fitted with."
            )
        return np.asarray(unit_rows(x) @ self.coef_ + self.intercept_, np.float32)

    def predict(self, items: NDArray[Any]) -> NDArray[Any]:
        """The class of each row, (N,)."""
        best = self.decision_function(items).argmax(1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, items: NDArray[Any]) -> NDArray[np.float64]:
        """Softmax of the scores, (N, C), rows sum to 1; calibrated only inside a Bundle."""
        return probabilities(self.decision_function(items), 1.0)


@dataclass
class Majority(FeatureClassifier):
    """Always the most frequent class: what any model must beat."""

    name = CLASSIFICATION.reference.name

    def _map(self, x: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
        """Log class shares as intercepts, nothing else."""
        mass = weights @ targets  # (C,)
        intercept = np.where(mass > 0, np.log(np.maximum(mass / mass.sum(), 1e-30)), ABSENT).astype(np.float32)
        return np.zeros((x.shape[1], targets.shape[1]), np.float32), intercept


@dataclass
class Centroid(FeatureClassifier):
    """Nearest class mean; the strongest head at one to three rows per class (Snell et al. 2017)."""

    name = heads.CENTROID.name
    head = heads.CENTROID


@dataclass
class _Penalised(FeatureClassifier):
    """A convex loss with an L2 penalty on the map and none on the intercept."""

    penalty: float = 0.1
    """λ in ``Σ loss + λ/2 ‖coef‖²``, above 0; scikit-learn's C is 1/λ."""


@dataclass
class Ridge(_Penalised):
    """Least squares to -1 and +1, one class against the rest, in closed form."""

    name = heads.RIDGE.name
    head = heads.RIDGE


@dataclass
class Logistic(_Penalised):
    """Multinomial logistic regression."""

    name = heads.LOGISTIC.name
    head = heads.LOGISTIC


@dataclass
class LinearSVM(_Penalised):
    """Linear support vector machine with the squared hinge, one class against the rest."""

    name = heads.SVM.name
    head = heads.SVM


def _finite(items: Any) -> NDArray[np.float32]:
    x = np.asarray(items, np.float32)
    if x.ndim != 2:
        raise DataError(f"features must have 2 axes (rows, width), got {x.ndim}. Encode the items first.")
    if not np.isfinite(x).all():
        row = int(np.flatnonzero(~np.isfinite(x).all(1))[0])
        raise DataError(f"features must be finite numbers, row {row} holds NaN or infinity. Remove that row.")
    return x


def _checked(items: Any, labels: Sequence[Any]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    y = np.asarray(labels)
    if len(y) == 0:
        raise DataError("fit needs at least 2 rows, got none. Give it labelled rows.")
    x = _finite(items)
    one_each(x, y)
    return x, y
