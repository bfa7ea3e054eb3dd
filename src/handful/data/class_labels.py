"""Class names that Hugging Face's datasets keep beside a table, whose cells then hold their numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Names = Mapping[str, tuple[str, ...]]
"""Column → the names that its numbers, or those in its lists, stand for."""


def named_features(features: Any) -> Names:
    """The columns of class labels among features, written as ``Features.to_dict`` and Parquet files have them."""
    found = {name: _names_of(feature) for name, feature in features.items()} if isinstance(features, Mapping) else {}
    return {name: names for name, names in found.items() if names}


def named_in(metadata: Mapping[bytes, bytes] | None) -> Names:
    """The same from the metadata of the schema of a Parquet file; none where another program wrote it."""
    try:
        told = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):  # the table itself can be read without
        return {}
    info = told.get("info") if isinstance(told, dict) else None
    return named_features(info.get("features")) if isinstance(info, dict) else {}


def with_names(record: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """A row with class names in place of their numbers."""
    return {name: _named(cell, names[name]) if name in names else cell for name, cell in record.items()}


def _names_of(feature: Any) -> tuple[str, ...]:
    if isinstance(feature, list) and len(feature) == 1:  # how older versions write a list of something
        return _names_of(feature[0])
    if not isinstance(feature, Mapping):
        return ()
    if "feature" in feature:
        return _names_of(feature["feature"])
    names = feature.get("names")
    plain = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if plain and feature.get("_type") == "ClassLabel" else ()  # type: ignore[arg-type]


def _named(cell: Any, names: tuple[str, ...]) -> Any:
    if isinstance(cell, list):
        return [_named(part, names) for part in cell]
    if not isinstance(cell, int) or isinstance(cell, bool) or cell >= len(names):
        return cell
    return names[cell] if cell >= 0 else None  # -1 is how that library writes a missing label
