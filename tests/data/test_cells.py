"""Texts of others as they may be shown: no control character reaches a terminal, a file of ours, or a spreadsheet."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.cells import defuse, shown, shown_json, shown_lines

ANY = st.text(st.characters(exclude_categories=()))  # halves of characters too


def controls(text, but=""):
    return [mark for mark in text if unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") and mark not in but]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plain", "plain"), ("\x1b[2Jgone", r"\x1b[2Jgone"), ("a\nb\tc\r", r"a\nb\tc\r"), ("\x9b31m", r"\x9b31m"),
        ("\x07", r"\x07"), ("gpj.\u202eexe", r"gpj.\u202eexe"), ("caf\udce9", "caf\ufffd"), ("\ud800", "\ufffd"),
        ("می‌خواهم 👩‍🚀 ß", "می‌خواهم 👩‍🚀 ß"),
    ],
)  # fmt: skip
def test_names(name, said):
    assert shown(name) == said


@given(ANY)
def test_nothing_that_is_shown_controls_anything(text):
    assert not controls(shown(text))
    assert not controls(shown_lines(text), but="\n\t")
    assert not controls(shown_json([text]), but="\n")
    assert not controls(defuse(text), but="\n\t")


@given(ANY)
def test_what_is_shown_once_stays_as_it_is(text):
    assert shown(shown(text)) == shown(text)


def test_lines_stay_lines():
    assert shown_lines("a\r\nb\n\tc\x1b") == "a\nb\n\tc\\x1b"


@given(st.text())
def test_json_says_the_same_as_before(text):
    assert json.loads(shown_json({"a": [text]})) == {"a": [text]}


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦"])
def test_what_a_spreadsheet_might_run_begins_with_an_apostrophe(sign):
    for before in ("", " ", "\n", "\r\n", "\t", "\u00a0", "\u200b", "\ufeff", " \u200b\n ", "\u3000"):
        assert defuse(f"{before}{sign}1+1").startswith("'"), repr(before)


@pytest.mark.parametrize("cell", ["", "a=1", " a", "\n", "1-1", "'=1", "“=1”", "ß", "(=1)"])
def test_other_cells_stay_as_they_are(cell):
    assert defuse(cell) == cell


def test_a_tab_before_anything():
    assert defuse("\ta") == "'\ta"


@pytest.mark.parametrize("number", ["-0.3", "-12", "-1.5e-07"])
def test_a_number_below_zero_stays_a_number(number):
    assert defuse(number) == number


@pytest.mark.parametrize("formula", ["-1+2", "-A1", "-", "--1", "-1)", "-0x1"])
def test_what_only_begins_like_a_number_below_zero_is_defused(formula):
    assert defuse(formula) == "'" + formula
