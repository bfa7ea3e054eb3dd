"""Write the generated parts of the documents: the tree in the README and the command reference.

A generated part stands between ``<!-- name -->`` and ``<!-- /name -->``. The tests compare what stands there
with what these functions return, so a document cannot fall behind the code.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "reference" / "cli.md"
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


def part(text: str, name: str) -> str:
    """What stands between the markers of this name.

    Raises:
        ValueError: the markers are not there exactly once.
    """
    found = re.findall(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"the markers <!-- {name} --> and <!-- /{name} --> must be there once, got {len(found)} pairs")
    return str(found[0])


def replace_part(path: Path, name: str, body: str) -> None:
    """Put ``body`` between the markers of this name in a file."""
    text = path.read_text("utf-8")
    old = f"<!-- {name} -->\n{part(text, name)}\n<!-- /{name} -->"
    path.write_text(text.replace(old, f"<!-- {name} -->\n{body}\n<!-- /{name} -->"), "utf-8")


def main() -> None:
    """Bring both documents up to date."""
    replace_part(README, "tree", tree())
    from handful.cli import app

    replace_part(COMMANDS, "commands", commands(app))


if __name__ == "__main__":
    main()
