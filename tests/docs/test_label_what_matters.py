"""The page on which labels to ask for is gone through as its reader would, beside the examples."""

from __future__ import annotations

import re

import pytest

from handful.choices import ASKING


@pytest.fixture
def page(root):
    return (root / "docs" / "how-to" / "label-what-matters.md").read_text("utf-8")


@pytest.mark.integration
def test_its_python_can_be_typed_in_order(page, root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    names = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102 - what the page says to type
    printed = capsys.readouterr().out
    assert printed.startswith(("Go on: 20 more labels are worth", "You can stop: 20 more labels are worth"))
    assert "labels fit the others least" in printed
    assert len(names["rows"]) == len(names["labels"]) == 40


def test_it_names_every_way_of_asking(page):
    assert {name for name in ASKING[1:] if f"`{name}`" not in page} == set()
