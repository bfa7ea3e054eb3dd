"""Heads: the models of several targets of the same items, which read an item once and are answered by together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.data.handed_items import handed_items
from handful.errors import BundleError
from handful.export.bundle import Bundle
from handful.export.sharing import share_backbones
from handful.features.cache import MemoryCache
from handful.run_folder import heads_of


@dataclass(frozen=True, eq=False)
class Heads:
    """A model for each of several targets, by its name; all of them read items of the same kind."""

    models: Mapping[str, Bundle]
    """Target → its model, in the order in which they were named."""

    @property
    def modality(self) -> str:
        """What an item is: text, image or sound."""
        return self._first.modality

    @property
    def input(self) -> str | None:
        """The column that held the items in training."""
        return self._first.input

    @property
    def warning(self) -> str:
        """Which targets are not shown to be answered better than by a guess; empty where all are."""
        return " ".join(f"{name}: {model.warning}" for name, model in self.models.items() if model.warning)

    def predict(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        """What is answered to each of N items: target → answer, as ``Bundle.predict`` gives it.

        A backbone that several models read sees each item once.

        Raises:
            DataError: an item cannot be read.
            WeightsError: a backbone is not there and cannot be fetched.
            BundleError: a backbone is not the one that a model was fitted on.
        """
        share_backbones(list(self.models.values()))
        values, seen = handed_items(items, self.input), MemoryCache()
        answers = {name: model.predict(values, seen) for name, model in self.models.items()}
        return [{name: column[i] for name, column in answers.items()} for i in range(len(values))]

    def __repr__(self) -> str:
        return f"Heads({', '.join(f'{name}: {model!r}' for name, model in self.models.items())})"

    @property
    def _first(self) -> Bundle:
        return next(iter(self.models.values()))

    @classmethod
    def load(cls, folder: str | Path) -> Heads:
        """Read the models in a folder that ``tune_heads`` wrote.

        Raises:
            BundleError: there are none, or one is damaged, or they read items of different kinds.
        """
        models = {name: Bundle.load(run) for name, run in heads_of(folder).items()}
        if not models:
            raise BundleError(f"{folder} must be a folder with several heads, got none. Name one that `tune` wrote.")
        kinds = {(model.modality, model.pairs) for model in models.values()}
        if len(kinds) > 1:
            raise BundleError(f"the heads of {folder} must read items of one kind, got several. Tune them again.")
        return cls(models)
