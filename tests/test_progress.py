"""Progress: nothing for what is over at once, plain lines where there is no terminal, bars where there is one."""

import io
import re
import sys
import threading
from pathlib import Path

import pytest

from handful import budget, progress
from handful.progress import Bars


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand; nobody looks at it on the side."""
    monkeypatch.setattr(Bars, "_watch", lambda bars: None)
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


def test_without_a_terminal_a_line_after_two_seconds_and_then_every_ten(clock, capsys):
    with Bars() as bars:
        for second in range(36):
            clock(second)
            bars("looking", second, 40)
    assert capsys.readouterr() == (
        "",
        "looking: 2 of 40, about 38 s left\nlooking: 12 of 40, about 28 s left\nlooking: 22 of 40, about 18 s left\n"
        "looking: 32 of 40, about 8 s left\n",
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


def test_a_stage_is_named_as_soon_as_nothing_was_told_for_two_seconds(clock, capsys):
    with Bars() as bars:
        for second, stage in enumerate(["reading", "looking", "looking", "comparing", "comparing", "fitting"]):
            clock(second)
            bars(stage, second, 10)
    assert capsys.readouterr().err == "looking: 2 of 10, about 4 s left\ncomparing: 4 of 10, about 2 s left\n"


def test_what_nobody_counts_is_told_too(clock, capsys):
    with Bars() as bars:
        bars.now("start")
        for second in range(16):
            clock(second)
            bars.beat()
        bars.now("a thing of our own")
        clock(18)
        bars.beat()
    told = "loading the program's own libraries"
    assert capsys.readouterr().err == f"{told}: 2 s so far\n{told}: 12 s so far\na thing of our own\n"


def test_after_the_last_step_the_stage_around_it_goes_on(clock, capsys):
    with Bars() as bars:
        bars.now("extract")
        bars("looking", 0, 4)
        clock(3)
        bars("looking", 4, 4)
        clock(4.9)
        bars.beat()
        clock(5)
        bars.beat()
    assert capsys.readouterr().err == "looking at the items: 5 s so far\n"


def test_a_step_that_takes_long_is_told_while_it_lasts(clock, capsys):
    with Bars() as bars:
        bars("answering", 7, 0)
        clock(2)
        bars.beat()
        clock(11)
        bars.beat()
        clock(12)
        bars.beat()
    bars.beat()
    assert capsys.readouterr().err == "answering: 7\nanswering: 7\n"


def test_a_hidden_bar_comes_back_when_something_is_reported(clock, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Bars() as bars:
        bars("answering", 1, 0)
        clock(3)
        bars("answering", 2, 0)
        bars.hide()
        hidden = screen.getvalue()
        assert hidden.endswith("\x1b[2K")
        clock(9)
        bars.beat()
        assert screen.getvalue() == hidden
        bars("answering", 3, 0)
    assert "answering" in screen.getvalue()[len(hidden) :]


def test_someone_looks_while_the_work_goes_on(monkeypatch):
    looked = threading.Event()
    monkeypatch.setattr(Bars, "beat", lambda bars: looked.set())
    with Bars():
        assert looked.wait(60)


def test_every_stage_of_a_run_has_words():
    from handful import tune_items

    stages = set(re.findall(r'\.stage\("(\w+)"\)', Path(tune_items.__file__).read_text("utf-8")))
    assert stages <= progress.WORDS.keys()


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


def test_every_stage_of_a_runs_time_is_told_in_words():
    assert set(progress.WORDS) == set(budget.STAGES) - {"other"}
    source = Path(budget.__file__).parent
    named = {
        name for file in source.rglob("*.py") for name in re.findall(r'\.stage\("([^"]+)"\)', file.read_text("utf-8"))
    }
    assert named <= set(budget.STAGES)
