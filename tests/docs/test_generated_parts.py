"""The generated parts of the documents equal what the code says today; `make docs` brings them up to date."""

from __future__ import annotations

from typing import Annotated

import pytest
from cyclopts import App, Parameter


def test_the_tree_of_modules_is_the_tree(generate):
    assert generate.part(generate.CONTRIBUTING.read_text("utf-8"), "tree") == generate.tree(), "run `make docs`"


def test_the_command_reference_is_what_help_prints(generate):
    from handful.cli import app

    written = generate.part(generate.COMMANDS.read_text("utf-8"), "commands")
    assert written == generate.commands(app), "run `make docs`"


def test_the_tables_of_the_guides_are_made_of_the_classes(generate):
    assert generate.part(generate.MOVING.read_text("utf-8"), "strategies") == generate.strategies(), "run `make docs`"
    assert generate.part(generate.TARGETS.read_text("utf-8"), "tasks") == generate.targets(), "run `make docs`"


def test_what_is_known_without_importing_it_is_what_the_classes_say(generate):
    assert generate.CHOICES.read_text("utf-8") == generate.choices() + "\n", "run `make docs`"


def test_type_checkers_are_told_every_public_name(generate):
    assert generate.part(generate.PUBLIC.read_text("utf-8"), "names") == generate.public_imports(), "run `make docs`"


def test_a_tree_shows_every_module_with_its_sentence(generate, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    package = tmp_path / "pack"
    (package / "low").mkdir(parents=True)
    (package / "__init__.py").write_text('"""All of it."""')
    (package / "low" / "__init__.py").write_text('"""The low part."""')
    (package / "low" / "one.py").write_text('"""One.\n\nMore.\n"""')
    (package / "top.py").write_text('"""The top."""')
    (package / "no_package").mkdir()
    assert generate.tree(package).splitlines() == [
        "```",
        "pack/           All of it.",
        "├── low/        The low part.",
        "│   └── one.py  One.",
        "└── top.py      The top.",
        "```",
    ]


def test_every_command_has_a_section(generate):
    app = App(name="handful", help="Learn from little.")
    below = App(name="models", help="What is there.")
    app.command(below)

    @app.command
    def tune(source: str, *, seed: Annotated[int, Parameter(help="Where dice start.")] = 0) -> None:
        """Tune."""

    @below.command
    def get(name: str) -> None:
        """Get one."""

    page = generate.commands(app)
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    assert titles == ["## `handful`", "## `handful models`", "## `handful models get`", "## `handful tune`"]
    assert "Where dice start." in page
    assert "\x1b" not in page


def test_a_part_is_replaced_and_nothing_else(generate, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\nolder\n<!-- /x -->\nb\n")
    generate.replace_part(page, "x", "new\n\nnewer")
    assert page.read_text() == "a\n<!-- x -->\nnew\n\nnewer\n<!-- /x -->\nb\n"
    assert generate.part(page.read_text(), "x") == "new\n\nnewer"


def test_a_part_of_a_module_stands_between_comments(generate, tmp_path):
    module = tmp_path / "module.py"
    module.write_text("if y:\n    # <!-- x -->\n    old\n    # <!-- /x -->\n")
    generate.replace_part(module, "x", "    new")
    assert module.read_text() == "if y:\n    # <!-- x -->\n    new\n    # <!-- /x -->\n"


@pytest.mark.parametrize("text", ["", "<!-- x -->\na\n", "<!-- x -->\na\n<!-- /x -->\n<!-- x -->\na\n<!-- /x -->\n"])
def test_markers_must_be_there_once(generate, text):
    with pytest.raises(ValueError, match="must be there once"):
        generate.part(text, "x")
