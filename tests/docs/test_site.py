"""The reference of the Python interface: a site from the docstrings of public names, complete and without a network."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

import handful

PUBLIC = {name: getattr(handful, name) for name in handful.__all__}
CLASSES = {name: kind for name, kind in PUBLIC.items() if inspect.isclass(kind)}
FUNCTIONS = {name: made for name, made in PUBLIC.items() if not inspect.isclass(made)}
SHAPE = re.compile(r"\([A-Z]\b[^)]*\)")  # (N,), (N, C), (B, D) …
ARRAYS = re.compile(r"NDArray|ndarray|\bMatrix\b|\bFloats\b")


def methods(kind):
    """The public methods that a class has of its own."""
    for name, member in vars(kind).items():
        made = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(made):
            yield name, made


@pytest.mark.slow
def test_the_site_has_every_public_name_and_asks_nobody(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", root / "docs" / "site.py", tmp_path / "site"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    page = (tmp_path / "site" / "handful.html").read_text("utf-8")
    assert not {name for name in PUBLIC if f'id="{name}"' not in page}
    assert not {
        f"{name}.{own}" for name, kind in CLASSES.items() for own, _ in methods(kind) if f'"{name}.{own}"' not in page
    }
    fetched = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]*)"', page)
    assert fetched == []
    assert (tmp_path / "site" / "index.html").exists()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_public_function_says_what_it_takes_and_what_it_raises(name):
    said = inspect.getdoc(FUNCTIONS[name])
    taken, _, rest = said.partition("Args:\n")[2].partition("\n\n")
    described = set(re.findall(r"^    (\w+): ", taken, re.MULTILINE))
    assert described == set(inspect.signature(FUNCTIONS[name]).parameters)
    assert "Raises:\n" in rest


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_what_gives_numbers_says_their_shape(name):
    silent = [
        own
        for own, made in methods(CLASSES[name])
        if ARRAYS.search(str(inspect.signature(made).return_annotation))
        and not SHAPE.search(inspect.getdoc(made) or "")
    ]
    assert silent == []


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_public_method_has_its_sentence(name):
    assert [own for own, made in methods(CLASSES[name]) if not inspect.getdoc(made)] == []
