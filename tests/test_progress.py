"""Progress: nothing for what is over at once, plain lines where there is no terminal, bars where there is one."""

import io
import sys

import pytest

from handful import progress
from handful.progress import Bars


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def set_to(seconds):
        now[0] = 100.0 + seconds

    return set_to


def test_what_is_over_within_two_seconds_is_not_shown(clock, capsys):
    with Bars() as bars:
        for second in (0, 1, 1.9):
            clock(second)
            bars("looking", int(second), 2)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_a_line_every_ten_seconds(clock, capsys):
    with Bars() as bars:
        for second in range(36):
            clock(second)
            bars("looking", second, 40)
    assert capsys.readouterr() == (
        "",
        "looking: 10 of 40, about 30 s left\nlooking: 20 of 40, about 20 s left\nlooking: 30 of 40, about 10 s left\n",
    )


def test_without_a_terminal_what_is_done_is_not_told(clock, capsys):
    with Bars() as bars:
        bars("looking", 0, 4)
        clock(60)
        bars("looking", 4, 4)
    assert capsys.readouterr().err == ""


def test_without_a_total_only_what_is_done(clock, capsys):
    with Bars() as bars:
        for second in (0, 11):
            clock(second)
            bars("answering", 50 * second, 0)
    assert capsys.readouterr().err == "answering: 550\n"


def test_every_stage_has_its_own_clock(clock, capsys):
    with Bars() as bars:
        bars("looking", 0, 10)
        clock(9)
        bars("comparing", 0, 10)
        clock(12)
        bars("looking", 5, 10)
        bars("comparing", 5, 10)
    assert capsys.readouterr().err == "looking: 5 of 10, about 12 s left\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_bar_that_is_gone_at_the_end(clock, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Bars() as bars:
        for second in range(5):
            clock(second)
            bars("looking", second, 4)
        bars("answering", 1, 0)
    shown = screen.getvalue()
    assert "looking" in shown and "4/4" in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the line is cleared


def test_a_bar_stops_when_the_work_fails(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyboardInterrupt), Bars() as bars:
        bars("looking", 0, 4)
        clock(3)
        bars("looking", 1, 4)
        raise KeyboardInterrupt
    assert bars._bars is not None
    assert bars._bars.finished is False
    assert not bars._bars.live.is_started
