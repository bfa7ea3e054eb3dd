"""Every tutorial is gone through as its reader would: its commands and its Python, in order, beside the examples."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"[\d−]")
STAYS = ("handful serve", "handful chat", "handful label")  # they answer until they are stopped: understood, not run


class Step(NamedTuple):
    """Something to type, and what the page says comes of it."""

    language: str
    """console or python."""
    typed: str
    """A command line, or a block of Python."""
    shown: list[str]
    """Lines of its output; … stands for those that are left out."""


def steps(text):
    """What a tutorial says to type, in order."""
    found = []
    for language, body in FENCE.findall(text):
        if language == "python":
            found.append(Step(language, body, []))
        elif language == "console":
            for command in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                typed, *shown = command.splitlines()
                found.append(Step(language, typed, shown))
        else:
            found[-1].shown.extend(body.splitlines())
    return found


def beginning(line):
    """The words of a line before its first figure: what does not hang on a processor's rounding."""
    return FIGURE.split(" ".join(line.split()))[0]


def missing(shown, printed):
    """The lines that a page shows and that nothing printed begins like."""
    there = [" ".join(line.split()) for line in printed.splitlines()]
    return [line for line in shown if line != "…" and not any(one.startswith(beginning(line)) for one in there)]


@pytest.fixture
def follow(handful, tmp_path, capsys):
    """Go through a tutorial in an empty folder beside the examples; ``more`` is added to commands that tune."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")

    def shell(command, more):
        if command.startswith(STAYS):
            return ""
        words = shlex.split(command)
        if words[0] != "handful":
            done = subprocess.run(command, shell=True, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), command
            return done.stdout
        ended = handful(*words[1:], *(more if words[1] == "tune" else ()))
        assert ended.code == 0, f"{command}: {ended.err}"
        return ended.out + ended.err

    def go(name, *more):
        names = {"__name__": "tutorial"}
        taken = steps((TUTORIALS / f"{name}.md").read_text("utf-8"))
        for step in taken:
            if step.language == "console":
                yield step, shell(step.typed, more)
            else:
                capsys.readouterr()
                exec(compile(step.typed, name, "exec"), names)
                yield step, capsys.readouterr().out

    return go


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("name", ["tickets", "photographs", "data-scientist"])
def test_a_tutorial_can_be_followed_and_shows_what_is_printed(name, follow):
    differs = {}
    for step, printed in follow(name):
        if not step.typed.startswith(STAYS) and (lines := missing(step.shown, printed)):
            differs[step.typed] = lines, printed
    assert differs == {}


@pytest.mark.slow
def test_the_tutorial_of_language_models_can_be_followed(follow):
    taken = [step.typed for step, _ in follow("instructions", "--backbone", "toy-language")]
    assert sum(typed.startswith("handful tune") for typed in taken) >= 2


def test_every_tutorial_is_followed_and_linked(root):
    names = {path.stem for path in TUTORIALS.glob("*.md")}
    assert names == {"tickets", "photographs", "data-scientist", "instructions"}
    contents = (root / "docs" / "README.md").read_text("utf-8")
    assert {name for name in names if f"(tutorials/{name}.md)" not in contents} == set()


def test_steps_are_found_with_what_they_show():
    text = "```console\n$ a b\none\n…\n$ c\n```\nwords\n```python\nx = 1\n```\n```text\n2\n```\n"
    assert steps(text) == [
        Step("console", "a b", ["one", "…"]),
        Step("console", "c", []),
        Step("python", "x = 1\n", ["2"]),
    ]


@pytest.mark.parametrize(
    ("shown", "lacks"),
    [
        (["Right on about 82 of 100 new items."], []),
        (["…", "   Right on  about 9"], []),
        (["Right at 82 of 100"], ["Right at 82 of 100"]),
        (["nothing"], ["nothing"]),
    ],
)
def test_a_line_that_is_not_printed_is_found(shown, lacks):
    assert missing(shown, "one\nRight on about 83 of 100 new items.\n") == lacks
