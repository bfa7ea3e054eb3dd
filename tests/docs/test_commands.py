"""What documents tell people to type is understood: commands by the real parser, Python by the compiler."""

from __future__ import annotations

import ast
import re
import shlex

import pytest
from cyclopts import CycloptsError, MissingArgumentError

import handful
from handful.cli import app

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BEFORE = r"(?:\$ )?(?:\w+=\S* )*"  # a prompt, and variables of the environment
COMMAND = re.compile(rf"^{BEFORE}(handful [a-z]+(?: .*)?)$", re.MULTILINE)
MENTION = re.compile(r"`(handful [^`]+)`")
AFTER = ("|", "||", "&&", "<", ">", ";")  # what the shell, and not handful, reads
PAST = ("CHANGELOG.md", "docs/decisions/")  # what was true when it was written


@pytest.fixture(scope="module")
def guides(documents):
    """The documents that speak of today, by name."""
    return {name: path.read_text("utf-8") for name, path in documents.items() if not name.startswith(PAST)}


def fences(text, *languages):
    return [body for language, body in FENCE.findall(text) if language in languages]


def typed(text):
    """The commands of handful that a document says to type, and those that a sentence mentions."""
    whole = [line for body in fences(text, "", "console") for line in COMMAND.findall(body)]
    return whole, [" ".join(words.split()) for words in MENTION.findall(FENCE.sub("", text))]


def refused(command, may_lack=False):
    """Why the parser refuses a command line, or None; a mention may lack what the command needs."""
    words = shlex.split(command, comments=True)[1:]
    end = min((words.index(sign) for sign in AFTER if sign in words), default=len(words))
    try:
        app.parse_args(words[:end], exit_on_error=False, print_error=False)
    except MissingArgumentError as error:
        # An option without its value is mentioned too; a command that is not there is another error.
        return None if may_lack else f"{command}: {error}"
    except CycloptsError as error:
        return f"{command}: {error}"
    return None


def test_commands_are_understood(guides):
    found = {name: typed(text) for name, text in guides.items()}
    assert sum(len(whole) for whole, _ in found.values()) > 30
    wrong = {
        name: [
            why for commands, may in ((whole, False), (said, True)) for one in commands if (why := refused(one, may))
        ]
        for name, (whole, said) in found.items()
    }
    assert {name: why for name, why in wrong.items() if why} == {}


def test_python_in_documents_is_python_and_names_what_is_public(guides):
    blocks = {(name, i): body for name, text in guides.items() for i, body in enumerate(fences(text, "python"))}
    assert blocks
    for where, body in blocks.items():
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom) and node.module == "handful":
                assert {alias.name for alias in node.names} <= set(handful.__all__), where
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "handful":
                assert node.attr in handful.__all__, where


def test_scripts_that_are_named_are_there(guides, root):
    named = {(name, file) for name, text in guides.items() for file in re.findall(r"\bbenchmarks/\w+\.py\b", text)}
    assert named
    assert {(name, file) for name, file in named if not (root / file).exists()} == set()


@pytest.mark.parametrize(
    "command",
    [
        "handful tun rows.csv",
        "handful tune rows.csv --budgte 0",
        "handful tune",
        "handful predict run new.csv --reject",
    ],
)
def test_a_command_that_is_not_understood_is_found(command):
    whole, said = typed(f"```\n$ A=1 {command}\n```\n")
    assert whole == [command]
    assert said == []
    assert refused(command)


def test_a_mention_may_lack_what_the_command_needs():
    assert typed("Ask `handful predict\n--together`.") == ([], ["handful predict --together"])
    assert refused("handful predict --together", may_lack=True) is None
    assert refused("handful predict --togehter", may_lack=True)
    assert refused("handful check runs/x new.csv --json > v.json || mail me < v.json") is None
