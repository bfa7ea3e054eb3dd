"""Shards come in order, memory holds only what is under way, and an end of a worker or of the command costs one."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest

from engine_jobs import killed_once, name_of, share_of
from handful.engines import engine
from handful.engines.large import DIED
from handful.engines.shards import TRIES, in_shards
from handful.errors import MachineError, TrainingError


class Slow:
    """Workers whose shards are done when the test says so; their own end is an ``EOFError``."""

    ahead, lost = 3, (EOFError,)

    def __init__(self) -> None:
        self.handed, self.renewed = [], 0

    def submit(self, job):
        self.handed.append((job, Future()))
        return self.handed[-1][1]

    def done(self, *numbers) -> None:
        for number in numbers:
            job, future = self.handed[number]
            future.set_result(10 * job)

    def renew(self) -> None:
        self.renewed += 1


def test_no_more_shards_are_read_than_are_under_way():
    read, workers = [], Slow()

    def jobs():
        for number in range(100):
            read.append(number)
            if number == 2:
                workers.done(0)
            yield number

    results = in_shards(workers, jobs())
    assert next(results) == (0, 0)
    assert read == [0, 1, 2]


def test_what_is_done_out_of_turn_is_told_at_once_and_given_in_turn():
    workers, finished = Slow(), []

    def jobs():
        yield 1
        yield 2
        workers.done(1)  # the second
        yield 3

    def told(job, result):
        finished.append(job)
        if finished == [2]:
            workers.done(0)

    results = in_shards(workers, jobs(), finished=told)
    assert next(results) == (1, 10)
    assert finished == [2, 1]
    workers.done(2)
    assert list(results) == [(2, 20), (3, 30)]
    assert finished == [2, 1, 3]


def test_what_is_known_is_not_handed_out():
    workers = Slow()

    def jobs():
        yield from (1, 2)
        workers.done(0)

    known = {1: 5}
    assert list(in_shards(workers, jobs(), known.get)) == [(1, 5), (2, 20)]
    assert [job for job, _ in workers.handed] == [2]


def test_what_was_under_way_is_handed_out_again_but_for_what_is_done():
    workers = Slow()

    def jobs():
        yield from (1, 2, 3)

    results = in_shards(workers, jobs())
    first, second = Future(), Future()
    queue = [first, second]

    def submit(job):
        workers.handed.append((job, queue.pop(0) if queue else Future()))
        made = workers.handed[-1][1]
        if len(workers.handed) == 3:
            second.set_result(20)
            first.set_exception(EOFError())
        if len(workers.handed) > 3:
            made.set_result(10 * job)
        return made

    workers.submit = submit
    assert next(results) == (1, 10)
    assert workers.renewed == 1
    assert list(results) == [(2, 20), (3, 30)]
    assert [job for job, _ in workers.handed] == [1, 2, 3, 1, 3]


def test_a_shard_that_ends_every_worker_is_given_up():
    workers = Slow()

    def submit(job):
        workers.handed.append(job)
        made = Future()
        made.set_exception(EOFError())
        return made

    workers.submit = submit
    with pytest.raises(MachineError) as error:
        list(in_shards(workers, [7]))
    assert str(error.value) == DIED
    assert workers.handed == [7] * TRIES


def test_an_error_of_a_shard_says_which_it_was():
    with engine("inline").workers(share_of, np.ones(4)) as workers:
        results = in_shards(workers, [1, 3])
        next(results)
        with pytest.raises(TrainingError) as error:
            next(results)
    assert str(error.value) == "the third ran away."
    assert error.value.__notes__ == ["while working on 3"]


@pytest.mark.parametrize("name", ["inline", pytest.param("processes", marks=pytest.mark.slow)])
def test_workers_keep_what_they_read(name):
    with engine(name).workers(name_of, "whole") as workers:
        results = list(in_shards(workers, range(9)))
    assert [job for job, _ in results] == list(range(9))
    assert {whole for _, (whole, _, _) in results} == {"whole"}
    of_process = {}
    for _, (_, place, process) in results:
        of_process.setdefault(process, set()).add(place)
    assert all(len(places) == 1 for places in of_process.values()), "it was given once to each"


@pytest.mark.slow
def test_a_process_that_is_killed_costs_what_was_under_way(tmp_path):
    finished = []
    with engine("processes").workers(killed_once, str(tmp_path / "killed")) as workers:
        results = list(in_shards(workers, range(8), finished=lambda job, _: finished.append(job)))
    assert results == [(number, number * 2) for number in range(8)]
    assert sorted(finished) == list(range(8))
    assert (tmp_path / "killed").exists()
