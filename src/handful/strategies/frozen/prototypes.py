"""Prototypes: class means of frozen features and augmented views, moved by unlabelled company where it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from handful.data.augment.choice import views
from handful.data.augment.options import Augmentation
from handful.data.handed_items import handed_items
from handful.features.encoder import Encoder
from handful.features.item_estimator import ItemEstimator, read_items
from handful.features.view import unit_rows
from handful.seeding import generator
from handful.strategies.labels import numbered, one_each
from handful.tasks.classification.softmax import probabilities


@dataclass(eq=False, repr=False)
class Prototypes(ClassifierMixin, ItemEstimator):
    """Nearest class mean (Snell et al. 2017) over items and their augmented views, without a single gradient.

    Learned: ``classes_`` (C,), ``prototypes_`` (C, D), ``encoder_``.
    """

    backbone: str = "minilm-l6"
    """A name from ``handful models``, a local folder or a Hugging Face id."""
    modality: str | None = None
    """What the items are: text, image or sound; by default what the backbone reads."""
    augment: int = 0
    """How many augmented views of each item count beside the item itself."""
    transductive: int = 0
    """How many times the means move toward the items of a batch that is predicted together; 0: each item alone."""
    sharpness: float = 10.0
    """Factor on the similarities before the softmax."""
    seed: int = 0
    """Fixes the views."""

    def fit(self, items: Sequence[Any], labels: Sequence[Any]) -> Self:
        """Learn the means.

        Args:
            items: N texts, pictures or sounds.
            labels: N class names.

        Raises:
            DataError: one class only, another number of labels, or an item that cannot be read.
        """
        given = handed_items(items, None, "fit")
        one_each(given, labels)
        self.classes_, truth = numbered(type(self).__name__, labels)
        self.encoder_ = Encoder(self.backbone, self.modality).fit(given)
        modality, rng = self.encoder_.backbone_.modality, generator(self.seed, "views")
        values = read_items(given, modality)
        seen = list(values)
        for item in values if self.augment else ():
            seen += views(item, modality, Augmentation(), self.augment, rng)
        owner = np.concatenate([truth, np.repeat(truth, self.augment)])
        x = unit_rows(self.encoder_.transform(seen))  # (N · (1 + V), D)
        self.prototypes_ = unit_rows(np.stack([x[owner == c].mean(0) for c in range(len(self.classes_))]))
        return self

    def predict_proba(self, items: Sequence[Any]) -> NDArray[np.float64]:
        """Softmax of the similarities, (N, C), rows sum to 1.

        With ``transductive`` the answers depend on the company: the means move toward the items that they draw (soft
        k-means, Ren et al. 2018, equation 4), each counting as much as half of the labelled mean.
        """
        check_is_fitted(self, "prototypes_")
        x = unit_rows(self.encoder_.transform(items))  # (N, D)
        means = self.prototypes_
        for _ in range(self.transductive):
            share = probabilities(x @ means.T, self.sharpness)  # (N, C)
            drawn = unit_rows(share.T @ x)  # (C, D)
            means = unit_rows(self.prototypes_ + 0.5 * drawn)
        return probabilities(x @ means.T, self.sharpness)

    def predict(self, items: Sequence[Any]) -> NDArray[Any]:
        """The class of each item, (N,)."""
        return np.asarray(self.classes_[self.predict_proba(items).argmax(1)])
