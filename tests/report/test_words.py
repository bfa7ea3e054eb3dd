"""Tests of numbers in words: nothing is rounded into a certainty, nothing is more exact than it was measured."""

import pytest

from handful.evaluation.intervals import Estimate
from handful.report import words


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0"),
        (0.0001, "0"),
        (0.002, "0.2"),
        (0.006, "1"),
        (0.854, "85"),
        (0.997, "99.7"),
        (0.9996, "100"),
        (1, "100"),
    ],
)
def test_a_share_is_rounded_but_never_into_a_certainty(share, shown):
    assert words.hundredths(share) == shown


def test_an_interval_decides_how_many_digits_its_estimate_deserves():
    assert words.value(Estimate(0.8512, 0.73, 0.93)) == "85%"
    assert words.value(Estimate(0.8512, 0.845, 0.857)) == "85.1%"
    assert words.span(Estimate(0.8512, 0.845, 0.857)) == "84.5–85.7%"


@pytest.mark.parametrize(("number", "shown"), [(8.0, "8"), (7.6, "7.6"), (0.4, "0.4"), (0.04, "<0.1"), (12, "12")])
def test_a_mean_count_keeps_one_digit(number, shown):
    assert words.count(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.01 s"), (0.04, "0.04 s"), (0.0951, "0.1 s"), (7.31, "7.3 s"), (125, "2 min 5 s")]
)
def test_times_are_short(seconds, shown):
    assert words.time_taken(seconds) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nested leave-one-group-out", "Each group was answered by a model fitted on all the others."),
        (
            "nested 5x5 stratified grouped",
            "Each fifth of the rows was answered by a model fitted on the rest, and this was repeated 5 times with "
            "other fifths. Rows of one group stayed together.",
        ),
        ("nested 1x5 stratified", "Each fifth of the rows was answered by a model fitted on the rest."),
        ("nested 1x3 stratified", "Each part of 3 of the rows was answered by a model fitted on the rest."),
        ("holdout", "Rows were held out like this: holdout."),
    ],
)
def test_a_protocol_becomes_a_sentence(name, shown):
    assert words.protocol(name) == shown


def test_counted_things_have_their_plural():
    assert [words.plural(n, "row") for n in (1, 2, 1200)] == ["1 row", "2 rows", "1,200 rows"]
    assert words.plural(3, "class", "classes") == "3 classes"


def test_a_text_is_cut_at_a_word_and_says_so():
    assert words.shortened("one two three four", 14) == "one two three…"
    assert words.shortened("a" * 50, 10) == "a" * 10 + "…"
    assert words.shortened("short\n text", 20) == "short text"


def test_characters_that_no_page_can_show_are_replaced():
    assert words.printable("a\x00b\x1bc\ud800d\tе\n") == "a\ufffdb\ufffdc\ufffdd\tе\n"


def test_settings_that_are_off_are_left_out():
    assert words.setting({"penalty": 0.1, "name_weight": None}) == [("penalty", "0.1")]
    assert words.setting(None) == []


def test_an_option_that_is_off_is_a_dash():
    assert (words.option(None), words.option(""), words.option(0)) == ("–", "–", "0")
