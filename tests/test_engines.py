"""Engines give results in the order of the jobs, and an error says which job it came from."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

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
    assert str(error.value) == (
        "engine must be one of inline, processes, ray, got 'proceses'. Did you mean 'processes'?"
    )


def test_ray_is_an_extra_and_its_absence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "handful.engines.ray", raising=False)
    with pytest.raises(OptionError) as error:
        engine("ray")
    assert str(error.value) == (
        "engine 'ray' needs the package ray, which is not installed. Run: pip install 'handful[ray]'"
    )


def test_the_plan_knows_every_engine():
    from handful.plan import ENGINES

    for name in ENGINES:
        try:
            assert hasattr(engine(name), "map")
        except OptionError as error:
            assert "pip install" in str(error)


def half_or_wait(job: tuple[int, str]) -> float:
    number, done = job
    if number == 5:
        threading.Event().wait(60)
        Path(done).touch()
    return half(number)


def test_ray_keeps_the_contract(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray", reason="ray is an extra: pip install 'handful[ray]'")
    found = engine("ray")
    # The workers must find the functions of this file.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        assert list(found.map(half, [8, 6, 4])) == [4, 3, 2]
        assert list(found.map(half, [])) == []
        results = found.map(half, [8, 3, 6])
        assert next(results) == 4
        with pytest.raises(DataError) as error:
            next(results)
        assert str(error.value) == "three cannot be halved."
        assert "while working on 3" in error.value.__notes__
        results = found.map(half_or_wait, [(number, str(tmp_path / "done")) for number in (8, 5, 5, 5)])
        assert next(results) == 4
        results.close()  # ends at once: nobody waits for the rest
        assert not (tmp_path / "done").exists()
        assert ray.is_initialized(), "a connection that was there before is left open"
    finally:
        ray.shutdown()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: nothing runs side by side")
def test_jobs_side_by_side_compute_on_one_thread_each_and_leave_the_number_as_it_was():
    np.linalg.eigh(np.eye(3))  # so that the library is loaded
    before = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    turn = threading.Barrier(2, timeout=10)

    def limited(job):
        """Two jobs that set a limit in turn: the second sees that of the first, and would restore it."""
        with threadpool_limits(1, user_api="blas"):
            turn.wait()
        turn.wait()
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    found = list(Inline().map(limited, range(2)))
    assert {number for numbers in found for number in numbers} == {1}
    assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == before
