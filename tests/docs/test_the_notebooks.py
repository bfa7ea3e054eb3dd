"""The notebooks: every cell runs, in order, and what is shown of it is what it gives, up to its first figure."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def last_value(source: str, names: dict[str, Any]) -> Any:
    """Run a cell, and give what its last line is worth; None where that is a statement."""
    tree = ast.parse(source)
    names["_"] = None
    if isinstance(last := tree.body[-1], ast.Expr):
        tree.body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], last.value), last)
    exec(compile(ast.fix_missing_locations(tree), "cell", "exec"), names)
    return names["_"]


def words_of(text: str) -> str:
    """The beginning of what is shown, up to its first figure."""
    return re.split(r"\d", text.strip(), maxsplit=1)[0]


def test_there_are_two():
    assert [notebook.stem for notebook in NOTEBOOKS] == ["pictures", "texts"]


@pytest.mark.integration
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_every_cell_runs_and_gives_what_is_shown(notebook, monkeypatch):
    monkeypatch.chdir(FOLDER)
    names: dict[str, Any] = {}
    cells = [cell for cell in json.loads(notebook.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5
    for cell in cells:
        value = last_value("".join(cell["source"]), names)
        shown = ["".join(output["data"]["text/plain"]) for output in cell["outputs"] if "data" in output]
        assert (value is not None) == bool(shown)
        if shown and "PIL" not in shown[0]:
            assert words_of(repr(value)) == words_of(shown[0])
