"""What options can be given by name: strategies, tasks and metrics, known without importing what the names stand for.

A strategy that moves weights is a file in ``strategies/tuned/methods``, and what has to be known of it beforehand is
read from the text of that file: ``handful --help`` and a wrong option are answered at once, without torch. What tasks
and language models know by name stands in ``choices.json``, which ``make docs`` writes from their classes.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent
TABLE = _PACKAGE / "choices.json"
"""The names that tasks and language models know; written by ``make docs``, compared by a test."""


@dataclass(frozen=True)
class Method:
    """What the file of a strategy that moves weights says of it, in the body of its class."""

    name: str
    """How it is called in ``--strategies`` and in the scores."""
    kind: str
    """The name of its class."""
    module: str
    """Where it stands below ``handful``."""
    family: str = "blocks"
    """What it is alike to where it is advised, as ``Tuned.family``."""
    order: int = 100
    """Where it stands in lists, low first, as ``Tuned.order``."""


def methods(folder: Path, package: str) -> tuple[Method, ...]:
    """The strategies that move weights: every file of a folder is one, in the order that they say, then by name.

    Args:
        folder: where the files are.
        package: what the folder is called below ``handful``.

    Raises:
        ValueError: a file has no class with a name, or several.
    """
    every = [_method(file, f"{package}.{file.stem}") for file in folder.glob("*.py") if file.name != "__init__.py"]
    return tuple(sorted(every, key=lambda method: (method.order, method.name)))


def _method(file: Path, module: str) -> Method:
    """The one class of a file that has a name."""
    classes = [node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
    named = [(node.name, plain) for node in classes if "name" in (plain := dict(_plain_values(node)))]
    if len(named) != 1:
        raise ValueError(f"{file.name} must have one class with a name, got {len(named)}. Give each strategy a file.")
    kind, plain = named[0]
    return Method(kind=kind, module=module, **{key: plain[key] for key in ("name", "family", "order") if key in plain})


def _plain_values(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    """What the body of a class sets to a plain value, as in ``name = "lora"``."""
    for line in node.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(line.value, ast.Constant):
            target = line.target if isinstance(line, ast.AnnAssign) else line.targets[0]
            yield ast.unparse(target), line.value.value


def _each_once(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """The names of several lists, in order, each once."""
    return tuple(dict.fromkeys(name for names in lists for name in names))


def _of_tasks(what: str) -> dict[str, tuple[str, ...]]:
    return {task: tuple(names[what]) for task, names in _TABLE["tasks"].items()}


_TABLE = json.loads(TABLE.read_text("utf-8"))

METRICS_OF: Mapping[str, tuple[str, ...]] = _of_tasks("metrics")
"""Task → its metrics, the one that is taken by default first."""
HEADS_OF: Mapping[str, tuple[str, ...]] = _of_tasks("heads")
"""Task → what keeps the backbone as it is and answers what the task wants; what looks at no item first."""

METHODS = methods(_PACKAGE / "strategies" / "tuned" / "methods", "strategies.tuned.methods")
"""The strategies that move weights."""

TASKS = tuple(METRICS_OF)
ANSWER_METRICS: tuple[str, ...] = tuple(_TABLE["language"]["metrics"])
METRICS = _each_once([*METRICS_OF.values(), ANSWER_METRICS])
HEADS = _each_once(HEADS_OF.values())
MOVERS = tuple(method.name for method in METHODS)
STRATEGIES = HEADS + MOVERS
SHARED = "shared"
"""The strategy of several targets, whose heads share the weights that move."""
ANSWERING: tuple[str, ...] = tuple(_TABLE["language"]["answers"])
"""What can be named for rows with answers."""
PREFERRING: tuple[str, ...] = tuple(_TABLE["language"]["preferences"])
"""What can be named for rows with a chosen and a rejected answer."""
LANGUAGE_ARMS = _each_once([ANSWERING, PREFERRING])
ASKING: tuple[str, ...] = tuple(_TABLE["asking"])
"""What can be given as a way of asking for labels; the default first."""
