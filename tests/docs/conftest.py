"""The documents and text files of the repository, and the script that writes their generated parts."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tests", "docs", "examples", "benchmarks", ".ci")
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".yaml",
    ".yml",
    ".html",
    ".jinja",
    ".svg",
    "",
}


def text_files() -> Iterator[Path]:
    """The text files of the project: those in its folders and those next to them, not what is built or hidden."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT and path.name[0] != ".")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            built = any(part == "__pycache__" or part.endswith(".egg-info") for part in path.parts)
            if path.is_file() and path.suffix in TEXT and not built:
                yield path


@pytest.fixture(scope="session")
def texts() -> dict[str, Path]:
    """Every text file of the project, by its path from the root."""
    return {path.relative_to(ROOT).as_posix(): path for path in sorted(text_files())}


@pytest.fixture(scope="session")
def documents(texts: dict[str, Path]) -> dict[str, Path]:
    """Every document of the project, by its path from the root."""
    return {name: path for name, path in texts.items() if path.suffix == ".md"}


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
