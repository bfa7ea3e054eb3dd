"""Linear classifiers of features as scikit-learn knows them: every one a head of classification, fitted on all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from handful.errors import DataError, OptionError
from handful.features.view import unit_rows
from handful.strategies.frozen.solver import ABSENT, fit_head, rotate
from handful.strategies.labels import numbered, one_each
from handful.tasks.classification import CLASSIFICATION, heads
from handful.tasks.classification.softmax import probabilities
from handful.tasks.heads import Array, Head


@dataclass(eq=False, repr=False)
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from feature rows.

        Args:
            X: (N, D) features of a frozen backbone.
            y: N class names.
            sample_weight: (N,) how much each row counts; 1 by default.

        Raises:
            DataError: no rows, one class only, numbers that are not finite, or weights that cannot be.
            OptionError: a penalty that is not above 0.
        """
        x = self._rows(X, reset=True, y=y)
        try:
            labels = column_or_1d(y, warn=True)
            check_classification_targets(labels)
        except ValueError:
            numbered(type(self).__name__, y)  # of lists and objects it says what labels must be
            raise
        if len(labels) == 0:
            raise DataError("fit needs at least 2 rows, got none. Give it labelled rows.")
        one_each(x, labels)
        penalty = getattr(self, "penalty", None)
        if penalty is not None and not penalty > 0:
            raise OptionError(f"penalty of {type(self).__name__} must be above 0, got {penalty}. Try 0.1.")
        self.classes_, index = numbered(type(self).__name__, labels)
        targets = np.eye(len(self.classes_), dtype=np.float32)[index]
        self.coef_, self.intercept_ = self._map(unit_rows(x), targets, _weights(sample_weight, len(x)))
        return self

    def decision_function(self, X: Any) -> NDArray[np.float32]:
        """Scores, higher is more likely. (N, D) → (N, C), columns in the order of ``classes_``.

        Of two classes (N,), by how much the second is above the first, as scikit-learn has it.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each row, (N,)."""
        best = self._scores(X).argmax(1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Softmax of the scores, (N, C), rows sum to 1; calibrated only inside a Bundle."""
        return probabilities(self._scores(X), 1.0)

    def _scores(self, X: Any) -> NDArray[np.float32]:
        """(N, D) → (N, C)."""
        check_is_fitted(self, "coef_")
        return np.asarray(unit_rows(self._rows(X, reset=False)) @ self.coef_ + self.intercept_, np.float32)

    def _rows(self, X: Any, reset: bool, y: Any = "") -> NDArray[np.float32]:
        """Rows as numbers, (N, D), as wide as in ``fit``, which resets how wide that is and may not lack labels."""
        try:
            x = validate_data(
                self, X, None if y is None else "no_validation", reset=reset, dtype=np.float32,
                ensure_all_finite=False, ensure_min_samples=0,
            )  # fmt: skip
        except ValueError as error:
            raise DataError(
                f"{error} Give rows of numbers; items are encoded first, with the backbone and depth of fit: "
                f"make_pipeline(Encoder(), {type(self).__name__}())."
            ) from error
        if not np.isfinite(x).all():
            row = int(np.flatnonzero(~np.isfinite(x).all(1))[0])
            raise DataError(f"features must be finite numbers, row {row} holds NaN or infinity. Remove that row.")
        return np.asarray(x)


@dataclass(eq=False, repr=False)
class Majority(FeatureClassifier):
    """Always the most frequent class: what any model must beat."""

    name = CLASSIFICATION.reference.name

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _map(self, x: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
        """Log class shares as intercepts, nothing else."""
        mass = weights @ targets  # (C,)
        intercept = np.where(mass > 0, np.log(np.maximum(mass / mass.sum(), 1e-30)), ABSENT).astype(np.float32)
        return np.zeros((x.shape[1], targets.shape[1]), np.float32), intercept


@dataclass(eq=False, repr=False)
class Centroid(FeatureClassifier):
    """Nearest class mean; the strongest head at one to three rows per class (Snell et al. 2017)."""

    name = heads.CENTROID.name
    head = heads.CENTROID


@dataclass(eq=False, repr=False)
class _Penalised(FeatureClassifier):
    """A convex loss with an L2 penalty on the map and none on the intercept."""

    penalty: float = 0.1
    """λ in ``Σ loss + λ/2 ‖coef‖²``, above 0; scikit-learn's C is 1/λ."""

    def _map(self, x: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
        """The same in no greater width than there are rows, which leaves nothing out."""
        z, basis = rotate(x, widest=max(x.shape))  # (N, R), (D, R)
        coef, intercept = super()._map(z, targets, weights)
        return basis @ coef, intercept


@dataclass(eq=False, repr=False)
class Ridge(_Penalised):
    """Least squares to -1 and +1, one class against the rest, in closed form."""

    name = heads.RIDGE.name
    head = heads.RIDGE


@dataclass(eq=False, repr=False)
class Logistic(_Penalised):
    """Multinomial logistic regression."""

    name = heads.LOGISTIC.name
    head = heads.LOGISTIC


@dataclass(eq=False, repr=False)
class LinearSVM(_Penalised):
    """Linear support vector machine with the squared hinge, one class against the rest."""

    name = heads.SVM.name
    head = heads.SVM


def _weights(sample_weight: Any, rows: int) -> NDArray[np.float32]:
    """(N,) how much each row counts."""
    weights = np.ones(rows, np.float32) if sample_weight is None else np.asarray(sample_weight, np.float32)
    if weights.shape != (rows,) or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        got = f"{weights.min():g} to {weights.max():g}" if weights.shape == (rows,) else f"shape {weights.shape}"
        raise DataError(
            f"sample_weight must be {rows} numbers from 0 up, one per row and not all zero, got {got}. Correct them, "
            "or leave them out."
        )
    return weights
