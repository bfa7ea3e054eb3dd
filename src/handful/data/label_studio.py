"""What Label Studio exports in JSON: the data of a task and its annotations, as one row with plain columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handful.data.delimited import Broken
from handful.data.names import either, listed

# Results that say what a whole item is → where they say it.
_MARKED = "labels"  # parts of a text
_RESULTS = {"choices": "choices", "rating": "rating", "number": "number"}


def task_row(value: dict[str, Any], place: str) -> dict[str, Any] | Broken:
    """The row of a task: its data, and what was chosen below the name of the question; other objects as they are.

    Args:
        value: an object of a JSON file.
        place: where it stands, for messages.

    Returns:
        Column name → value. Cancelled annotations count as none. Broken where annotators do not say the same, or where
        parts of the item were marked, which say nothing about the whole.
    """
    data, annotations = value.get("data"), value.get("annotations")
    if not isinstance(data, dict) or not isinstance(annotations, list):
        return value
    row: dict[str, Any] = {}
    for name, kind, said in _results(annotations):
        if kind == _MARKED and isinstance(said.get("start"), int) and isinstance(said.get("end"), int):
            row.setdefault("spans", []).append(dict(said))
            continue
        if kind not in _RESULTS:
            return Broken(f'{place} marks parts of the item ("{kind}"); only {either(tuple(_RESULTS))} say what it is')
        chosen = said.get(_RESULTS[kind])
        if row.setdefault(name, chosen) != chosen:
            return Broken(f"{place}: annotators do not agree about {listed([name])}")
    return {**data, **row}


def _results(annotations: list[Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(name of the question, kind of the answer, the answer) of all that was not cancelled."""
    for annotation in annotations:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result") or []:
            if isinstance(result, dict) and isinstance(result.get("value"), dict):
                yield str(result.get("from_name", "label")), str(result.get("type", "")), result["value"]
