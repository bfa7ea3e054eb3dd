"""The contract of strategies that move weights: scikit-learn classifiers of items, with what all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.data.handed_items import handed_items
from handful.errors import DataError, OptionError
from handful.features.extract import extract
from handful.features.item_estimator import ItemEstimator, all_readable, modality_of, read_items
from handful.strategies.frozen.heads import Logistic
from handful.strategies.labels import numbered, one_each
from handful.strategies.tuned.activation_cache import activations_for
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.recipe import ItemRecipe
from handful.tasks.base import Targets
from handful.tasks.classification import CLASSIFICATION
from handful.training.apply_delta import arrays_of, installed
from handful.training.loop import Settings
from handful.training.objectives import Objective
from handful.training.objectives.contrast import PairwiseCosine
from handful.training.tuners import Blocks, Tuner


@dataclass(eq=False, repr=False)
class Tuned(ClassifierMixin, ItemEstimator):
    """What all strategies that move weights share; items go in, not features.

    Learned: ``classes_`` (C,), ``delta_`` (what moved), ``log_`` (every update), ``backbone_`` (the tuned one),
    ``head_`` (a logistic head on its features), ``moved_`` (how many weights could move).
    """

    name: ClassVar[str]
    """How the strategy is called in ``--strategies`` and in the scores."""
    family: ClassVar[str] = "blocks"
    """What it is alike to: families are advised together (``handful.inspection.advice``)."""
    order: ClassVar[int] = 100
    """Where it stands in lists, low first, and when it is tried among those that promise as much."""

    backbone: Any = "auto"
    """A name of the catalogue, a folder or hub id, or a Backbone; auto takes the first default of the modality."""
    updates: int = 20
    """How many times the weights are moved."""
    learning_rate: float = 3e-4
    """The highest learning rate."""
    sweep: bool = False
    """Whether the rate is the best of five around it, from a tenth to ten times, by a few updates at each."""
    batch: int = 16
    """About how many rows an update sees."""
    pieces: int = 1
    """Into how many updates all rows are cut at least; 1 shows a handful whole in every update, up to ``batch``."""
    tokens: int = 64
    """How many tokens of a text an update sees at most: its first part teaches as much; answers read all of it. Where
    words are answered, all of them are seen."""
    trainable_fraction: float = 0.5
    """The share of the blocks, from the top, that take part."""
    layer_decay: float = 1.0
    """Factor on the rate from each block to the one below it."""
    schedule: str = "linear"
    """How the rate changes."""
    penalty: float = 0.1
    """λ of the logistic head on the tuned features."""
    wise_alpha: float = 1.0
    """How far to go from the frozen weights to the tuned ones, 0 to 1 (WiSE-FT)."""
    augment: int = 0
    """How many augmented versions of each item there are beside the item itself."""
    strong_augment: bool = False
    """Whether these may be mirrored, coloured, sped up or worded otherwise, which costs some classes their label."""
    label_name_weight: int = 3
    """For how many rows the name of a class counts, where names alone tell rows apart; 0 leaves names out."""
    l2_sp: float = 0.0
    """How strongly the weights are drawn back to where they began."""
    adversary: float = 0.0
    """How far activations are pushed to where the loss is worst, as a share of their length."""
    seed: int = 0
    """Fixes batches and dropout."""

    @classmethod
    def by_default(cls, grain: str = "", seed: int = 0) -> Self:
        """The strategy with its own settings.

        Args:
            grain: of which parts of items it learns what is wanted of them, tokens or frames; empty: of whole items.
            seed: fixes batches and dropout.
        """
        return cls(seed=seed)

    def objective(self) -> Objective:
        """What is minimised."""
        raise NotImplementedError

    def tuner(self) -> Tuner:
        """Which weights may move."""
        return Blocks()

    def recipe(self) -> ItemRecipe:
        """The strategy as data."""
        settings = Settings(updates=self.updates, rate=self.learning_rate, schedule=self.schedule, seed=self.seed)
        return ItemRecipe(
            objective=self.objective(), tuner=self.tuner(), trainable_fraction=self.trainable_fraction,
            settings=settings, batch=self.batch, layer_decay=self.layer_decay, penalty=self.penalty,
            wise_alpha=self.wise_alpha, pieces=self.pieces, tokens=self.tokens, versions=self.augment,
            strong_augment=self.strong_augment, label_name_weight=self.label_name_weight, l2_sp=self.l2_sp,
            adversary=self.adversary, sweep=self.sweep,
        )  # fmt: skip

    def recipe_for(self, backbone: Backbone) -> ItemRecipe:
        """The recipe on a backbone; the same for all, unless the strategy learns its start first."""
        return self.recipe()

    def refusal(self, backbone: Backbone) -> str | None:
        """Why a backbone cannot be tuned so, or None where it can."""
        return self.tuner().refusal(backbone)

    def fit(self, items: Sequence[Any], labels: Sequence[Any]) -> Self:
        """Learn from items.

        Args:
            items: N texts, pictures or sounds.
            labels: N class names.

        Raises:
            DataError: no items, one class only, or another number of labels.
            OptionError: the backbone cannot be tuned so.
            TrainingError: the training ran away.
        """
        given = handed_items(items, None, type(self).__name__)
        backbone = self._backbone(given)
        values = read_items(given, backbone.modality)
        if (why := self.refusal(backbone)) is not None:
            raise OptionError(f"strategy {self.name} does not fit: {why}. Choose another strategy or backbone.")
        one_each(values, labels)
        if not values:
            raise DataError("fit needs at least 2 rows, got none. Give it labelled rows.")
        self.classes_, truth = numbered(type(self).__name__, labels)
        targets = Targets(CLASSIFICATION, truth, tuple(str(c) for c in self.classes_))
        recipe = self.recipe_for(backbone)
        kept = activations_for(backbone, values, targets.names, recipe)
        found = adapt(kept, np.arange(len(values)), targets, recipe)
        self.delta_, self.log_, self.moved_ = arrays_of(found.delta), found.log, found.moved
        self.backbone_ = installed(backbone, recipe.tuner.name, recipe.first(backbone), self.delta_)
        self.head_ = Logistic(self.penalty).fit(self._features(values), self.classes_[truth].tolist())
        return self

    def predict_proba(self, items: Sequence[Any]) -> NDArray[np.float64]:
        """Softmax of the scores, (N, C), rows sum to 1; calibrated only inside a Bundle."""
        check_is_fitted(self, "head_")
        values = read_items(handed_items(items, None, type(self).__name__), self.backbone_.modality)
        return self.head_.predict_proba(self._features(values))

    def predict(self, items: Sequence[Any]) -> NDArray[Any]:
        """The class of each item, (N,)."""
        best = self.predict_proba(items).argmax(1)
        return np.asarray(self.classes_[best])

    def _features(self, values: Sequence[Any]) -> NDArray[np.float32]:
        depth = len(self.backbone_.blocks)
        seen = extract(self.backbone_, values, (depth,))
        all_readable(values, seen.failed)
        return seen.matrices[depth]

    def _backbone(self, items: list[Any]) -> Backbone:
        if isinstance(self.backbone, Backbone):
            return self.backbone
        named = "" if self.backbone == "auto" else str(self.backbone)
        modality = modality_of(named, None, items)
        return catalog.load(named or catalog.defaults(modality)[0], modality).to(default_device())


@dataclass(eq=False, repr=False)
class Pairs(Tuned):
    """Rows of a class drawn together and those of others apart, every pair of a batch, then a head (SetFit's idea)."""

    updates: int = 10
    """How many times the weights are moved."""
    trainable_fraction: float = 0.67
    """The share of the blocks, from the top, that take part; of six, four gain 2 to 5 points over three."""
    batch: int = 64
    """About how many rows an update sees: all of a handful, so that every pair is drawn together or apart at once."""

    def objective(self) -> Objective:
        """Cosine of every pair, 1 within a class and 0 between classes."""
        return PairwiseCosine()
