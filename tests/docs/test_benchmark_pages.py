"""The pages of the benchmarks: every file of rows has a page that names it, and a table is what its command prints."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PEERS = {"cleanlab", "setfit"}  # other tools, in an environment of their own: see benchmarks/README.md
PAGES = {path.stem: path.read_text("utf-8") for path in (ROOT / "benchmarks" / "tables").glob("*.md")}
BLOCKS = [(page, name) for page, text in sorted(PAGES.items()) for name in re.findall(r"<!-- table (\w+) -->", text)]


@pytest.fixture
def module(monkeypatch):
    """The modules of benchmarks/ by name; where one needs a peer that is not here, the test is skipped."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def get(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in PEERS:
                raise
            pytest.skip(f"{error.name} is not installed")

    return get


@pytest.fixture
def living(module):
    return module("living")


@pytest.fixture
def history(module):
    return module("history")


@pytest.mark.parametrize(("page", "name"), BLOCKS, ids=[name for _, name in BLOCKS])
def test_a_table_is_what_its_command_prints(page, name, module, living, monkeypatch, capsys):
    script = {table.name: table.script for table in living.TABLES}.get(name, name)
    rows = f"{name}.csv"
    made = module(script)
    monkeypatch.setattr(made, "panels", lambda *args: None, raising=False)  # pictures stay as they are
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--table", "--out", str(living.RESULTS / rows)])
    made.main()
    printed = [line.rstrip() for line in capsys.readouterr().out.rstrip("\n").splitlines()]
    assert living.block(PAGES[page], name).splitlines() == printed


def test_every_file_of_rows_has_a_page_and_says_what_it_measures(living):
    there = {path.name for path in living.RESULTS.iterdir() if path.suffix in {".csv", ".json"}} - {"history.csv"}
    assert there == {table.rows for table in living.TABLES} == set(living.stamps())


def test_what_tables_measure_is_there(living):
    gone = {path for table in living.TABLES for path in living.paths(table) if not (ROOT / path).exists()}
    assert not gone


def test_quick_tables_can_be_replaced_on_their_pages(living):
    quick = [table for table in living.TABLES if table.quick]
    assert quick
    for table in quick:
        page, _ = living.stamps()[table.rows]
        assert living.block(page.read_text("utf-8"), table.name), table.rows


def test_every_page_is_linked_from_the_conclusions(documents):
    conclusions = documents["benchmarks/README.md"].read_text("utf-8")
    assert not {page for page in PAGES if f"(tables/{page}.md)" not in conclusions}
    assert len(conclusions.splitlines()) <= 150


def test_a_table_is_out_of_date_where_its_code_changed(living, monkeypatch):
    table = living.TABLES[0]
    asked = []

    def git(*words):
        asked.append(words)
        return "3"

    monkeypatch.setattr(living, "git", git)
    monkeypatch.setattr(living, "TABLES", (table,))
    line = list(living.report())[-1]
    assert line.startswith(table.rows)
    assert line.endswith("3 commits: out of date")
    assert asked[0][-len(living.paths(table)) :] == tuple(living.paths(table))


@pytest.mark.parametrize(
    ("answer", "said"), [("0", "nothing"), ("1", "1 commit: out of date"), ("", "cannot be told: git does not know")]
)
def test_what_git_answers_is_said(living, monkeypatch, answer, said):
    monkeypatch.setattr(living, "git", lambda *words: answer)
    assert all(said in line for line in list(living.report())[1:])


def test_a_table_of_code_that_is_not_committed_is_not_renewed(living, monkeypatch):
    monkeypatch.setattr(living, "git", lambda *words: " M benchmarks/x.py" if words[0] == "status" else "")
    with pytest.raises(SystemExit, match=r"accuracy\.csv: commit the changes of .* first: the page names a commit"):
        living.renew(living.TABLES[0])


def test_a_table_and_its_stamp_are_replaced_and_nothing_else(living):
    old = living.Stamp("0.1.0", "2026-01-02", "abc1234").line("x.csv")
    other = living.Stamp("0.1.0", "2026-01-02", "abc1234").line("y.csv")
    page = f"# X\n\n{old}\n{other}\n\n<!-- table x -->\n```\nold\n```\n<!-- /table x -->\nend\n"
    new = living.Stamp("0.2.0", "2026-02-03", "def5678")
    after = living.stamped(living.replaced(page, "x", "a\nb"), "x.csv", new)
    assert after == page.replace(old, new.line("x.csv")).replace("\nold\n", "\na\nb\n")
    assert living.block(after, "x") == "a\nb"
    assert living.block(after, "y") is None


def test_a_version_counts_once_all_pinned_draws_are_measured(history):
    pin = history.Pin("x.csv", "texts", ("a", "b"), (), 2, ("ours", "theirs"))
    rows = [
        {"set": name, "draw": str(draw), "ours": str(0.5 + 0.1 * draw), "theirs": "0.4"}
        for name in "ab"
        for draw in range(3)  # the third is not pinned
    ]
    assert history.accuracies(pin, rows) == {"ours": "55.0", "theirs": "40.0"}
    assert history.accuracies(pin, rows[:4]) == {}
    assert history.accuracies(pin, [{**row, "theirs": ""} for row in rows]) == {}


def test_arms_are_methods_where_a_file_has_a_line_per_arm(history):
    pin = history.Pin("x.csv", "texts", ("a",), ("8",), 1, ("frozen", "lora"))
    rows = [
        {"set": "a", "per_class": "8", "draw": "0", "arm": arm, "accuracy": accuracy}
        for arm, accuracy in (("frozen", "0.5"), ("lora", "0.75"), ("bias", "0.1"))
    ]
    assert history.accuracies(pin, rows) == {"frozen": "50.0", "lora": "75.0"}


def test_only_commits_that_changed_a_figure_are_lines(history, monkeypatch):
    pin = history.Pin("x.csv", "texts", ("a",), (), 1, ("ours",))
    files = {"c1": "0.5", "c2": "0.5", "c3": "0.6"}

    def git(*words):
        if words[0] == "log":
            return "\n".join(f"{commit} 2026-01-0{commit[1]}" for commit in files)
        return f"set,draw,ours\na,0,{files[words[1].partition(':')[0]]}"

    monkeypatch.setattr(history, "git", git)
    found = [(line["commit"], line["date"], line["accuracy"]) for line in history.history(pin)]
    assert found == [("c1", "2026-01-01", "50.0"), ("c3", "2026-01-03", "60.0")]
