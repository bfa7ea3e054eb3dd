"""What small-text and scikit-activeml would ask next, of the same features and the same labels as handful's ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import small_text
from skactiveml import pool as activeml
from skactiveml.classifier import SklearnClassifier
from skactiveml.utils import MISSING_LABEL
from sklearn.linear_model import LogisticRegression

from handful.regimes.active import ActiveLearner

FIRST = 10
"""The first labels of peers that need a model are drawn by chance, as their tutorials do."""


def chosen(ask: str, learner: ActiveLearner, count: int) -> list[int]:
    """The next items of a peer's way of asking.

    Args:
        ask: one of ``active.PEERS``.
        learner: what is labelled so far.
        count: how many items.
    """
    clustered = ask == "activeml typiclust"
    if not clustered and (len(learner.answers) < FIRST or len(set(learner.labels)) < 2):
        return [question.index for question in learner.next(count)]
    return (_small_text if ask.startswith("small-text") else _activeml)(ask, learner, count)


class _Asked:
    """The classifier that small-text asks: logistic regression of scikit-learn, and features as they are."""

    def __init__(self, learner: ActiveLearner) -> None:
        self.model = LogisticRegression(C=10, max_iter=300)
        self.model.fit(learner.pool.features[learner.labelled], learner.labels)

    def predict_proba(self, x: Any) -> np.ndarray:
        return np.asarray(self.model.predict_proba(np.asarray(x)))

    def embed(self, x: Any, return_proba: bool = False, **options: Any) -> Any:
        return (np.asarray(x), self.predict_proba(x)) if return_proba else np.asarray(x)


def _small_text(ask: str, learner: ActiveLearner, count: int) -> list[int]:
    strategy = small_text.BreakingTies() if ask.endswith("ties") else small_text.GreedyCoreset(distance_metric="cosine")
    labelled = learner.labelled
    rest = np.setdiff1d(np.arange(len(learner.pool)), labelled)
    names = np.unique(learner.labels, return_inverse=True)[1]
    np.random.seed(learner.seed)  # noqa: NPY002 - small-text draws from the global generator
    picked = strategy.query(_Asked(learner), learner.pool.features, rest, labelled, names, n=count)
    return [int(item) for item in picked]


def _activeml(ask: str, learner: ActiveLearner, count: int) -> list[int]:
    x, seed = np.asarray(learner.pool.features, np.float64), learner.seed
    names, index = np.unique(learner.labels, return_inverse=True) if learner.answers else (np.zeros(0), np.zeros(0))
    y = np.full(len(x), MISSING_LABEL)
    y[learner.labelled] = index
    model = SklearnClassifier(LogisticRegression(C=10, max_iter=300), classes=list(range(max(2, len(names)))))
    if ask.endswith("margin"):
        picked = activeml.UncertaintySampling("margin_sampling", random_state=seed).query(x, y, model, batch_size=count)
    elif ask.endswith("badge"):
        picked = activeml.Badge(random_state=seed).query(x, y, model, batch_size=count)
    elif ask.endswith("core-set"):
        picked = activeml.CoreSet(random_state=seed).query(x, y, batch_size=count)
    else:
        picked = activeml.TypiClust(random_state=seed).query(x, y, batch_size=count)
    return [int(item) for item in picked]
