"""What estimators of items share: what their items are, whether they can be read, and tags for scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from handful.backbones import catalog
from handful.data.dataset import CLASSIFIED
from handful.data.items import kind_of, make_items
from handful.errors import DataError, OptionError


class ItemEstimator(BaseEstimator):
    """An estimator of texts, pictures or sounds, one after the other, in place of rows of numbers."""

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        given = tags.input_tags
        given.one_d_array, given.two_d_array, given.string = True, False, True
        return tags


def modality_of(backbone: str, modality: str | None, items: list[Any]) -> str:
    """What items are: what was said, or what the backbone reads, or else what they look like.

    Args:
        backbone: a name of the catalogue, a folder or a hub id; empty where none is named.
        modality: what the user said of them; None for nothing.
        items: N items.

    Raises:
        DataError: nothing says what they are.
        OptionError: they are none that are turned into features.
    """
    kind = modality or (backbone and catalog.modality_of(backbone)) or kind_of(items)
    if kind in CLASSIFIED:
        return kind
    if modality:
        raise OptionError(f"modality must be one of {', '.join(CLASSIFIED)}, got {modality!r}. Choose one, or none.")
    if kind == "language":
        raise OptionError(
            f"backbone {backbone!r} is a language model, which writes answers. Choose one for "
            "text, image or sound; see `handful models list`."
        )
    raise DataError(f"items must be texts, pictures or sounds, all of one kind, got {kind or 'none'}. Change them.")


def read_items(items: list[Any], modality: str) -> list[Any]:
    """Items as a backbone of a modality reads them.

    Raises:
        DataError: one cannot be read; the first is named.
    """
    values, failed = make_items(items, modality, None)
    all_readable(values, failed)
    return values


def all_readable(values: Sequence[Any], failed: Mapping[int, str]) -> None:
    """Refuse items that could not be read.

    Args:
        values: N items.
        failed: position → why.

    Raises:
        DataError: one could not be read; the first is named.
    """
    if failed:
        at = min(failed)
        name = values[at] if isinstance(values[at], Path) else f"item {at}"
        raise DataError(f"{name} cannot be read: {failed[at]}.")
