"""Write what is made from the code: the tree in CONTRIBUTING, the command reference, tables of names, public imports.

A generated part stands between ``<!-- name -->`` and ``<!-- /name -->``, in Python behind ``#``; ``choices.json`` is
generated as a whole. The tests compare what stands there with what these functions return, so that no list of names
can fall behind the code.
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
COMMANDS = ROOT / "docs" / "reference" / "cli.md"
MOVING = ROOT / "docs" / "how-to" / "moving-weights.md"
TARGETS = ROOT / "docs" / "how-to" / "targets.md"
PUBLIC = ROOT / "src" / "handful" / "__init__.py"
CHOICES = ROOT / "src" / "handful" / "choices.json"
WIDTH = 100  # characters per line of help text


def first_sentence(path: Path) -> str:
    """The first line of a module's docstring; empty where the file or the docstring is missing."""
    text = path.read_text("utf-8") if path.exists() else ""
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def tree(package: Path = ROOT / "src" / "handful") -> str:
    """Draw a package, one line per module with the sentence it starts with, as a fenced block."""
    rows = [(f"{package.relative_to(ROOT)}/", first_sentence(package / "__init__.py")), *_branches(package, "")]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {sentence}".rstrip() for name, sentence in rows]
    return "\n".join(["```", *lines, "```"])


def _branches(folder: Path, indent: str) -> Iterator[tuple[str, str]]:
    modules = {path for path in folder.glob("*.py") if path.name != "__init__.py"}
    packages = {path.parent for path in folder.glob("*/__init__.py")}
    children = sorted(modules | packages, key=lambda path: path.stem)
    for child in children:
        last = child is children[-1]
        start = indent + ("└── " if last else "├── ")
        if child in packages:
            yield f"{start}{child.name}/", first_sentence(child / "__init__.py")
            yield from _branches(child, indent + ("    " if last else "│   "))
        else:
            yield start + child.name, first_sentence(child)


def command_names(app: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of a cyclopts App and of the Apps below it, the App itself first as an empty tuple."""
    yield path
    for name in sorted(name for name in app if not name.startswith("-")):
        yield from command_names(app[name], (*path, name))


def commands(app: Any) -> str:
    """The help text of every command of a cyclopts App, one section each."""
    from rich.console import Console

    sections = []
    for path in command_names(app):
        page = io.StringIO()
        app.help_print(list(path), console=Console(file=page, width=WIDTH, color_system=None, force_terminal=False))
        text = "\n".join(line.rstrip() for line in page.getvalue().strip().splitlines())
        sections.append(f"## `{' '.join(('handful', *path))}`\n\n```text\n{text}\n```")
    return "\n\n".join(sections)


def choices() -> str:
    """The names that tasks and language models know, as ``choices.json`` holds them."""
    from handful.regimes.active.ways import ASKING
    from handful.strategies.language.answering import ANSWER_ARMS
    from handful.strategies.language.preferring import PREFERENCE_ARMS
    from handful.strategies.registry import frozen_names
    from handful.tasks.boxes import BOXES
    from handful.tasks.defects import DEFECTS
    from handful.tasks.generation import GENERATION
    from handful.tasks.generation.metrics import ACCURACY
    from handful.tasks.masks import MASKS

    tasks = {name: {"metrics": list(task.metrics), "heads": frozen_names(task)} for name, task in head_tasks().items()}
    for other in (DEFECTS, MASKS, BOXES):
        tasks[other.name] = {"metrics": list(other.metrics), "heads": []}
    free = [name for name in GENERATION.metrics if name != ACCURACY.name]  # accuracy is for answers that are labels
    language = {"metrics": free, "answers": ANSWER_ARMS, "preferences": PREFERENCE_ARMS}
    return json.dumps({"tasks": tasks, "language": language, "asking": ASKING}, indent=1)


def head_tasks() -> dict[str, Any]:
    """The tasks of labelled items by name, which are those that ``--task`` knows."""
    from handful.tasks.base import HeadTask
    from handful.tasks.registry import TASKS

    return {name: task for name, task in TASKS.items() if isinstance(task, HeadTask)}


def strategies() -> str:
    """The strategies that move weights with the options that differ most, as a table."""
    from handful.strategies.registry import movers

    rows = [("name", "in Python", "what it does", "objective", "updates", "learning rate", "of the blocks")]
    for name, kind in movers().items():
        one = kind()
        does = (inspect.getdoc(kind) or "").partition("\n")[0].rstrip(".")
        cells = (type(one.objective()).__name__, f"{one.updates}", f"{one.learning_rate:g}")
        rows.append((f"`{name}`", f"`{kind.__name__}`", does, *cells, f"{one.trainable_fraction:.0%}"))
    return table(rows)


def targets() -> str:
    """Every task with its metrics and the heads on frozen features that it knows, as a table."""
    rows = [("`--task`", "the first score", "others, for `--metric`", "heads on frozen features")]
    for name, task in head_tasks().items():
        first, *others = task.metrics
        rows.append((name, first, ", ".join(others), ", ".join(task.heads)))
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first one the head, as Markdown."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def public_imports() -> str:
    """The public names as imports, which type checkers and editors read."""
    import handful

    homes = sorted((home, name) for name, home in handful._HOMES.items())
    return "\n".join(f"    from handful.{home} import {name} as {name}" for home, name in homes)


def pattern(name: str) -> str:
    """How a generated part looks, with what stands before, in and after it in three groups."""
    return rf"(<!-- {name} -->\n)(.*?)(\n[ #]*<!-- /{name} -->)"


def part(text: str, name: str) -> str:
    """What stands between the markers of this name.

    Raises:
        ValueError: the markers are not there exactly once.
    """
    parts = re.findall(pattern(name), text, re.DOTALL)
    if len(parts) != 1:
        raise ValueError(f"the markers <!-- {name} --> and <!-- /{name} --> must be there once, got {len(parts)} pairs")
    return str(parts[0][1])


def replace_part(path: Path, name: str, body: str) -> None:
    """Put ``body`` between the markers of this name in a file."""
    text = path.read_text("utf-8")
    part(text, name)
    path.write_text(re.sub(pattern(name), lambda parts: parts[1] + body + parts[3], text, flags=re.DOTALL), "utf-8")


def main() -> None:
    """Bring everything up to date."""
    names = choices() + "\n"
    if names != CHOICES.read_text("utf-8"):
        CHOICES.write_text(names, "utf-8")
        subprocess.run([sys.executable, __file__], check=True)  # what is imported by now has read the old names
        return
    replace_part(CONTRIBUTING, "tree", tree())
    replace_part(MOVING, "strategies", strategies())
    replace_part(TARGETS, "tasks", targets())
    replace_part(PUBLIC, "names", public_imports())
    from handful.cli import app

    replace_part(COMMANDS, "commands", commands(app))


if __name__ == "__main__":
    main()
