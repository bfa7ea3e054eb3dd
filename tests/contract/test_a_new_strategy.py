"""A new strategy is one file: with nothing else changed it can be named, is helped with, documented and tested."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEWCOMER = '''"""The strategy ``newcomer``: pairs, a little faster."""

from __future__ import annotations

from dataclasses import dataclass

from handful.strategies.tuned.strategy import Pairs


@dataclass(eq=False, repr=False)
class Newcomer(Pairs):
    """Pairs of rows, a little faster."""

    name = "newcomer"
    learning_rate: float = 1e-3
    """The highest learning rate."""
'''
HANDFUL = "from handful.cli import main; main()"
KNOWN = """
import handful
from handful import Newcomer
from handful.inspection.advice import RULES
from handful.plan import Plan
from handful.strategies.registry import movers

assert "Newcomer" in handful.__all__
assert list(movers())[-1] == "newcomer"
assert movers()["newcomer"] is Newcomer
assert Plan().strategies[-1] == "newcomer"
assert sum("newcomer" in rule.strategies for rule in RULES) == 1
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project with one more file."""
    place = tmp_path_factory.mktemp("project")
    for folder in ("src", "docs", "tests"):
        shutil.copytree(ROOT / folder, place / folder)  # with compiled modules and times, so that nothing is compiled
    for file in ("README.md", "CONTRIBUTING.md", "pyproject.toml"):
        shutil.copy2(ROOT / file, place / file)
    (place / "src/handful/strategies/tuned/methods/newcomer.py").write_text(NEWCOMER, "utf-8")
    return place


@pytest.fixture
def python(project):
    """Run Python in the copy."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(project / "src"), "COLUMNS": "200"}
        return subprocess.run([sys.executable, *words], cwd=project, env=env, capture_output=True, text=True)

    return run


def test_the_help_names_it(python):
    asked = python("-c", HANDFUL, "tune", "--help")
    assert "newcomer" in asked.stdout, asked.stderr


def test_a_wrong_name_is_answered_with_it(python):
    asked = python("-c", HANDFUL, "tune", "rows.csv", "--strategies", "newcomers")
    assert asked.returncode == 1
    assert ", full, newcomer, shared, base, " in asked.stderr
    assert asked.stderr.endswith("got 'newcomers'. Did you mean 'newcomer'?\n")


def test_it_is_public_registered_advised_and_part_of_a_plan(python):
    asked = python("-c", KNOWN)
    assert asked.returncode == 0, asked.stderr


def test_it_is_tried_where_it_is_named(python, project):
    rows = [f"{word} {i},{label}" for i in range(6) for word, label in (("red car", "ants"), ("blue sea", "bees"))]
    (project / "rows.csv").write_text("\n".join(["text,label", *rows]), "utf-8")
    words = ("rows.csv", "--strategies", "newcomer", "--backbone", "toy-text", "--budget", "2min", "--out", "run")
    asked = python("-c", HANDFUL, "tune", *words)
    assert asked.returncode == 0, asked.stderr
    scores = json.loads((project / "run/scores.json").read_text("utf-8"))
    assert "newcomer" in {arm["name"] for arm in scores["arms"]}


def test_the_documents_that_are_made_have_it(python, project):
    asked = python("docs/generate.py")
    assert asked.returncode == 0, asked.stderr
    table = (project / "docs/how-to/moving-weights.md").read_text("utf-8")
    row = "| `newcomer` | `Newcomer` | Pairs of rows, a little faster | PairwiseCosine | 10 | 0.001 | 67% |"
    assert row in table.splitlines()
    for file in ("CONTRIBUTING.md", "docs/reference/cli.md", "src/handful/__init__.py"):
        assert "newcomer" in (project / file).read_text("utf-8"), file


def test_the_battery_of_all_strategies_is_about_it_too(python):
    battery = ("-m", "pytest", "tests/contract/test_every_mover.py", "-p", "no:cacheprovider")
    collected = python(*battery, "--collect-only").stdout.splitlines()
    about = {name: {line.replace(name, "…") for line in collected if name in line} for name in ("newcomer", "adapters")}
    assert about["newcomer"] == about["adapters"] != set()
    asked = python(*battery, "-k", "newcomer and transformer and (fit_returns or move_as_often or same_seed)")
    assert asked.returncode == 0, asked.stdout
