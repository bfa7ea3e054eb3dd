"""Lines that fit a terminal: broken between words, commands whole, nothing lost."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.cli.printing import broken

LINE = "accuracy 88%, between 78% and 96% (95 % interval, 60 rows held out); contrastive is taken"


@given(st.text("ab -.`\n", max_size=200), st.integers(20, 80))
def test_nothing_is_lost(text, width):
    assert broken(text, width).split() == text.split()


@pytest.mark.parametrize("width", [20, 40, 60])
def test_lines_are_as_long_as_words_allow(width):
    lines = broken(LINE, width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines == textwrap.wrap(LINE, width)


def test_a_command_stays_in_one_piece_for_whoever_copies_it():
    hint = "use it: handful predict 'runs/a long name of a run' NEW"
    assert broken(hint, 30).splitlines() == ["use it:", "handful predict 'runs/a long name of a run' NEW"]
    said = "the weights are not here, so run `handful models get minilm-l6` where the index is in reach"
    assert "`handful models get minilm-l6`" in broken(said, 30).splitlines()


def test_a_handful_of_words_is_no_command():
    lines = broken("a model from a handful of examples, and be told the truth about it", 30).splitlines()
    assert max(map(len, lines)) <= 30


def test_what_fits_stays_as_it_is():
    table = "arm      accuracy   verdict\nridge       88%    chosen"
    assert broken(table, 60) == table


def test_what_does_not_fit_of_a_row_of_a_table_hangs_below_it():
    row = "minilm-l6      text      91 MB   Apache-2.0   six layers of 384 numbers"
    lines = broken(row, 30).splitlines()
    assert lines == ["minilm-l6      text      91 MB", "    Apache-2.0   six layers of", "    384 numbers"]


def test_an_indent_is_kept():
    assert broken("  - one two three four", 12) == "  - one two\n  three four"
