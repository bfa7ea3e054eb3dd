"""Engines give results in the order of the jobs, and an error says which job it came from."""

import threading

import pytest

from handful.engines import Inline, Processes, engine
from handful.errors import DataError, OptionError


def half(number: int) -> float:
    if number == 3:
        raise DataError("three cannot be halved.")
    return number / 2


@pytest.mark.parametrize("kind", [Inline, Processes])
def test_results_come_in_the_order_of_the_jobs(kind):
    assert list(kind().map(half, [8, 6, 4])) == [4, 3, 2]
    assert list(kind().map(half, [])) == []


@pytest.mark.parametrize("kind", [Inline, Processes])
def test_an_error_carries_its_job_and_stays_what_it_is(kind):
    results = kind().map(half, [8, 3, 6])
    assert next(results) == 4
    with pytest.raises(DataError) as error:
        next(results)
    assert str(error.value) == "three cannot be halved."
    assert "while working on 3" in error.value.__notes__


def test_jobs_that_wait_are_dropped_after_an_error():
    done, gate = [], threading.Event()

    def work(number):
        if number == 0:
            raise DataError("the first fails.")
        gate.wait(10)
        done.append(number)

    with pytest.raises(DataError):
        list(Inline().map(work, range(200)))
    gate.set()
    assert len(done) < 200


def test_engines_by_name():
    assert isinstance(engine("inline"), Inline)
    assert isinstance(engine("processes"), Processes)
    with pytest.raises(OptionError) as error:
        engine("proceses")
    assert str(error.value) == "engine must be one of inline, processes, got 'proceses'. Did you mean 'processes'?"
