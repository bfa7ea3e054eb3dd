"""Every module of the package, parsed once; one test per rule asks for all of them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"


@dataclass(frozen=True)
class Module:
    name: str
    """Dotted, for example handful.data.readers; a package has the name of its folder."""
    path: Path
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    @property
    def parts(self) -> list[str]:
        """The names below handful, for example ["data", "readers"]; empty for handful itself."""
        return self.name.split(".")[1:]

    def imports(self, *, for_types: bool = True) -> set[str]:
        """Dotted names of everything imported anywhere in the module, at the top or inside a function.

        ``from a import b`` counts as ``a.b``, since b may be a module; an import by a constant name counts too.
        Without ``for_types``, what only a type checker imports does not count.
        """
        found: set[str] = set()
        for node in ast.walk(self.tree) if for_types else running(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{self._base(node)}.{alias.name}" for alias in node.names}
        for name, call in self.calls():
            if name.endswith(("import_module", "__import__")) and call.args:
                found.add(constant_start(call.args[0]))
        return found - {""}

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Every call with the dotted name of what is called, short names of imports written out."""
        known = self._written_out()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                first, dot, rest = dotted(node.func).partition(".")
                yield known.get(first, first) + dot + rest, node

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))

    def classes(self) -> Iterator[ast.ClassDef]:
        return (n for n in ast.walk(self.tree) if isinstance(n, ast.ClassDef))

    def _written_out(self) -> dict[str, str]:
        """The names that imports bind → what they stand for: np → numpy, T → torchvision.transforms."""
        known = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                known |= {alias.asname: alias.name for alias in node.names if alias.asname}
            elif isinstance(node, ast.ImportFrom):
                known |= {alias.asname or alias.name: f"{self._base(node)}.{alias.name}" for alias in node.names}
        return known

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.path.name == "__init__.py" else self.name.split(".")[:-1]
        kept = package[: len(package) - node.level + 1]
        return ".".join([*kept, *([node.module] if node.module else [])])


def running(node: ast.AST) -> Iterator[ast.AST]:
    """What is below a node, without what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and dotted(child.test) == "TYPE_CHECKING"):
            yield child
            yield from running(child)


def constant_start(node: ast.expr) -> str:
    """The text of a constant, or how an f-string starts; empty for anything else."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value.rstrip(".") if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def dotted(node: ast.expr) -> str:
    """``np.random.default_rng`` from its syntax tree; what is not a chain of names counts as ``?``."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def parse(name: str, path: Path) -> Module:
    text = path.read_text("utf-8")
    return Module(name, path, text, ast.parse(text))


@cache
def all_modules() -> tuple[Module, ...]:
    found = []
    for path in sorted((SOURCE / "handful").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found.append(parse(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return tuple(found)


@pytest.fixture
def modules() -> tuple[Module, ...]:
    return all_modules()


@pytest.fixture
def problems() -> Callable[[Callable[[Module], list[str]]], list[str]]:
    """What a rule finds wrong with any of the modules, each with its name."""

    def problems_of(rule: Callable[[Module], list[str]]) -> list[str]:
        return [f"{module.name}: {problem}" for module in all_modules() for problem in rule(module)]

    return problems_of


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Module]:
    """Parse a text as if it were a module of the package, so that a rule can be shown to bite."""

    def write(text: str, name: str = "handful.data.example") -> Module:
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return parse(name, path)

    return write
