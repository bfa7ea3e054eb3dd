"""What notebooks and consoles show: short lines, small tables that are escaped, and how far things are."""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import handful
from handful import notebook_progress
from handful.data.dataset import Dataset
from handful.inspection.findings import Finding, Findings
from handful.progress import silent

EVIL = '<script>alert("x")</script> & \x1b[31m'
ESCAPED = "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; "


class Balanced(HTMLParser):
    """Counts tags, and refuses those that are closed by another."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.cells.append(data)


@pytest.fixture(scope="module")
def run():
    texts = [f"{'ants hill' if i % 2 else 'bees hive'} number {i}" for i in range(12)]
    return handful.tune(texts, ["ants" if i % 2 else EVIL for i in range(12)], backbone="toy-text", budget=0)


@pytest.fixture
def finding():
    return Finding("conflict", (1, 2), f"2 rows {EVIL}", "Look at them.")


def test_reprs_are_short_and_hold_no_arrays(run):
    for thing, lines in ((run, 5), (run.scores, 1), (run.data, 1), (run.model, 1)):
        assert len(repr(thing).splitlines()) == lines
        assert len(repr(thing)) < 700
        assert "array(" not in repr(thing)
        assert "\x1b" not in repr(thing)


def test_a_repr_says_what_it_is(run):
    data = replace(run.data, labels=("a",) * 5 + ("b",) * 7, source="a.csv")
    assert repr(data) == "Dataset(12 texts from a.csv, classification: b 7, a 5)"
    many = Dataset([str(i) for i in range(14)], "text", tuple("abcdefg" * 2))
    assert repr(many) == "Dataset(14 texts from items, classification: a 2, b 2, c 2, d 2, e 2, …)"
    assert repr(Dataset(["x"], "text", ("1.5",), task="regression")) == "Dataset(1 texts from items, regression)"
    assert repr(Dataset([], "image")) == "Dataset(0 images from items)"
    assert repr(run.scores).startswith("Scores(accuracy 100%, 76% to 100%; ")
    assert repr(run.model) == (f"Bundle(text classification, 2 classes; {run.model.head} on {run.model.view.name})")
    assert repr(run).splitlines()[1] == f"  {run.scores.sentence}"


def test_findings_are_told_one_a_line(finding):
    assert repr(Findings()) == "no findings"
    assert repr(Findings((finding, finding))).count("\n") == 2
    assert repr(finding).startswith("Finding(conflict: 2 rows <script>")
    assert len(repr(replace(finding, message="x" * 500))) < 120
    assert Findings((finding,)) == (finding,)
    assert {Findings((finding,)): 1}


def test_pages_are_escaped_and_every_tag_is_closed(run, finding):
    things = (run, run.scores, run.data, finding, Findings((finding,)), Findings(), replace(run, findings=(finding,)))
    for thing in things:
        page = thing._repr_html_()
        assert "script" not in Balanced(page).tags
        assert "\x1b" not in page
        assert len(page) < 20_000
    assert ESCAPED in run.data._repr_html_()
    assert ESCAPED in finding._repr_html_()
    assert "Nothing was found." in Findings()._repr_html_()


def test_a_page_names_no_colour_but_that_of_the_text(run):
    page = run._repr_html_()
    assert "color:#" not in page
    assert "background" not in page


def test_the_page_of_scores_has_what_the_terminal_has(run):
    cells = Balanced(run.scores._repr_html_()).cells
    for arm in run.scores.arms:
        assert arm.name in cells
        assert arm.verdict in cells
    assert run.scores.sentence.partition(";")[0] in run.scores._repr_html_()


def test_a_dataset_of_many_classes_shows_the_first_twenty():
    many = Dataset([str(i) for i in range(60)], "text", tuple(f"class {i % 30}" for i in range(60)))
    page = many._repr_html_()
    assert page.count("<tr>") == 21
    assert "and 10 more" in page


class Page:
    """A notebook, as far as progress needs one."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, line, *, raw, display_id):
        assert raw
        assert display_id
        self.lines.append(line["text/plain"])
        return self

    def update(self, line, *, raw):
        assert raw
        self.lines[-1] = line["text/plain"]


@pytest.fixture
def notebook(monkeypatch):
    page = Page()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = page.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(notebook_progress.time, "monotonic", lambda: next(clock))
    return page


def test_a_notebook_has_one_line_that_is_written_anew(notebook):
    say = notebook_progress.notebook_progress()
    say("looking", 1, 4)
    say("looking", 4, 4)
    assert notebook.lines == ["looking: 4 of 4"]
    say("answering \x1b", 30, 0)
    assert len(notebook.lines) == 1
    assert notebook.lines[0].startswith("answering")
    assert notebook.lines[0].endswith(": 30")
    assert "\x1b" not in notebook.lines[0]


def test_what_is_over_at_once_is_not_told(notebook, monkeypatch):
    monkeypatch.setattr(notebook_progress.time, "monotonic", lambda: 7.0)
    notebook_progress.Line()("looking", 4, 4)
    assert notebook.lines == []


def test_tune_and_inspect_tell_a_notebook_how_far_they_are(notebook):
    texts = [f"{'ants hill' if i % 2 else 'bees hive'} number {i}" for i in range(12)]
    handful.inspect(texts, ["ants", "bees"] * 6, backbone="toy-text")
    handful.tune(texts, ["ants", "bees"] * 6, backbone="toy-text", budget=0)
    assert len(notebook.lines) == 2
    assert notebook.lines[-1].startswith("comparing heads: ")


@pytest.mark.parametrize("shell", [None, types.SimpleNamespace()], ids=["no shell", "a terminal"])
def test_elsewhere_nobody_is_told(monkeypatch, shell):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert notebook_progress.notebook_progress() is silent
    monkeypatch.delitem(sys.modules, "IPython")
    assert notebook_progress.notebook_progress() is silent
