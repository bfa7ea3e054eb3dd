"""Texts that end an answer, wherever the seams between its pieces are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.web.stopping import Told


def told(pieces, stops):
    found = Told(iter(pieces), stops)
    return list(found), found.stopped


def test_without_stops_every_piece_is_told_at_once():
    assert told(["a", "", "bc"], ()) == (["a", "", "bc", ""], False)


def test_a_stop_ends_the_answer_and_is_not_told():
    assert told(["one. ", "two", ". three"], ["two"]) == (["one. ", ""], True)


def test_nothing_is_asked_for_after_a_stop():
    pieces = iter(["ab", "c", "never"])
    list(Told(pieces, ["c"]))
    assert next(pieces) == "never"


def test_the_beginning_of_a_stop_is_held_back_until_it_is_none():
    assert told(["a#", "#", "b"], ["###"]) == (["a", "", "##b", ""], False)


def test_what_is_held_back_at_the_end_is_told():
    assert told(["a##"], ["###"]) == (["a", "##"], False)


@pytest.mark.parametrize(("stops", "left"), [(["abc", "b"], "xa"), (["bc", "abc"], "x"), (["c", "zz"], "xab")])
def test_of_several_stops_the_first_complete_one_counts(stops, left):
    assert "".join(told(["xabcd"], stops)[0]) == left


@given(st.lists(st.text("ab", max_size=4)), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_the_seams_change_nothing(pieces, stops):
    """Letter by letter is the plainest way: the answer ends when it first ends with a stop."""
    text, want, stopped = "", "", False
    for letter in "".join(pieces):
        text += letter
        ending = max((stop for stop in stops if text.endswith(stop)), key=len, default=None)
        if ending is not None:
            want, stopped = text.removesuffix(ending), True
            break
    else:
        want = text
    parts, found = told(pieces, stops)
    assert ("".join(parts), found) == (want, stopped)
