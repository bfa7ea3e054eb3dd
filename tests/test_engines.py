"""Engines give results in the order of the jobs, an error says which job it came from, and numbers are the same."""

import functools
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from classified import targets_of
from engine_jobs import ends, half, half_or_wait, share_of
from handful.backbones.toy import ToyText
from handful.data.dataset import Dataset
from handful.engines import Inline, Processes, advice, engine
from handful.engines.large import cores_each
from handful.errors import DataError, MachineError, OptionError, TrainingError
from handful.features.feature_set import extract_all
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.strategies.tuned import cost
from handful.strategies.tuned.cross_fit import cross_fit
from handful.strategies.tuned.ladder import Terms, run_ladder
from handful.strategies.tuned.recipe import ItemRecipe
from handful.tasks.classification import CLASSIFICATION
from handful.training.activations import Activations
from handful.training.loop import Settings
from handful.training.objectives.classify import CrossEntropy
from small_backbones import Muted

ALIKE = 1e-3
"""How far two held-out probabilities may lie apart where a training elsewhere had another number of threads, which add
up in another order: of float32 sums of 32 numbers that is 1e-6, which ten steps of AdamW carry on and enlarge."""


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


def test_when_an_engine_pays_is_said():
    assert advice("processes", 40, 60) == (
        "40 rows within 60 s: inline is faster, for what processes starts takes 5 to 10 s; it pays for budgets of "
        "several minutes, on many cores or several machines"
    )
    assert advice("inline", 40, 60) == advice("ray", 40, 600) == ""


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


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of two nodes with one core each, to which this process is connected."""
    ray = pytest.importorskip("ray", reason="ray is an extra: pip install 'handful[ray]'")
    from ray.cluster_utils import Cluster

    small = dict(num_cpus=1, object_store_memory=80 * 2**20, include_dashboard=False)
    with pytest.MonkeyPatch.context() as patch:
        # The workers must find the functions of this file.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Cluster(initialize_head=True, head_node_args=small)
        nodes.add_node(**small)
        ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
        yield ray
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module", params=["processes", "ray"])
def elsewhere(request):
    """Each engine whose jobs run in processes of their own; these are started once for all tests."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    with engine(request.param) as found:
        yield found


def test_ray_keeps_the_contract(cluster, tmp_path):
    found = engine("ray")
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
    with engine("ray") as found:
        assert list(found.map(half, [8])) == [4]
    assert cluster.is_initialized(), "a connection that was there before is left open"


# Large jobs --------------------------------------------------------------------------------------------------------


def test_large_jobs_run_here_one_after_the_other_as_they_are_asked_for():
    done = []
    results = Inline().map_large(lambda whole, part: done.append(part), None, [1, 2])
    assert not done
    next(results)
    assert done == [1]
    before = [pool["num_threads"] for pool in threadpool_info()]
    (seen,) = Inline().map_large(lambda whole, part: [pool["num_threads"] for pool in threadpool_info()], None, [1])
    assert seen == before  # each has all cores


def test_large_jobs_run_elsewhere_in_order(elsewhere):
    found = list(elsewhere.map_large(share_of, np.ones(8), [4, 2, 1]))
    assert [value for value, _ in found] == [2, 4, 8]
    assert os.getpid() not in {process for _, process in found}
    assert list(elsewhere.map_large(share_of, np.ones(8), [])) == []


@pytest.mark.parametrize("kind", [Inline, None])
def test_an_error_of_a_large_job_carries_it_and_stays_what_it_is(kind, elsewhere):
    found = elsewhere if kind is None else kind()
    results = found.map_large(share_of, np.ones(8), [4, 3])
    assert next(results)[0] == 2
    with pytest.raises(TrainingError) as error:
        next(results)
    assert str(error.value) == "the third ran away."
    assert "while working on 3" in error.value.__notes__
    assert next(found.map_large(share_of, np.ones(8), [4]))[0] == 2  # and the engine goes on


def test_a_process_that_ends_in_the_midst_of_a_job_is_an_error_of_the_machine():
    with Processes() as found:
        with pytest.raises(MachineError) as error:
            list(found.map_large(ends, 0, [1, 2]))
        assert str(error.value) == (
            "a process that the engine started must live until its job is done, but one ended before. Perhaps memory "
            "ran out: try --engine inline, or a smaller backbone."
        )
        assert list(found.map_large(ends, 0, [1])) == [None]


# The same numbers everywhere ---------------------------------------------------------------------------------------

TEXTS = [f"{word} {i}" for i in range(12) for word in ("ants march", "bees hum")]
TRUTH = np.arange(24) % 2
FOLDS = np.arange(24) // 2 % 3
RECIPE = ItemRecipe(objective=CrossEntropy(), settings=Settings(updates=10, rate=1e-3))


@pytest.fixture(scope="module")
def kept():
    return Activations.of(ToyText(), [TEXTS], RECIPE.first(ToyText()))


def case(found):
    """Rung 0 of texts that a frozen head cannot tell apart and moved weights can, with an engine."""
    texts = [f"{'ants' if i % 2 else 'bees'} {i}" for i in range(32)]
    labels = [text.split()[0] for text in texts]
    data, sight = extract_all(Dataset(texts, "text", labels), {"muted": Muted()})
    terms = SearchTerms(("centroid", "logistic"), 0.0, 0, found)
    return data, run_frozen(CLASSIFICATION.read(labels), data, replace(sight, names={}), terms)


def ascended(found, **terms):
    """A run_frozen on these texts with an engine."""
    data, frozen = case(Inline())
    return run_ladder(data, Muted(), frozen, Terms(("contrastive",), named=True, budget=600.0, engine=found, **terms))


@functools.cache
def ascended_here(trials=0):
    return ascended(Inline(), trials=trials)


def test_heads_are_the_same_everywhere(elsewhere):
    (_, here), (_, there) = case(Inline()), case(elsewhere)
    np.testing.assert_array_equal(there.whole, here.whole)


def test_trainings_of_folds_are_the_same_everywhere(elsewhere, kept):
    """Bit for bit with as many threads; with all of them, but for rounding."""
    told = []
    there = cross_fit(
        targets_of(TRUTH), kept, FOLDS, RECIPE, engine=elsewhere, progress=lambda fold, update: told.append(fold)
    )
    threads = cores_each(os.cpu_count() or 1, 3) if elsewhere.same_machine else 1  # three folds; on two nodes
    with threadpool_limits(threads):
        same = cross_fit(targets_of(TRUTH), kept, FOLDS, RECIPE)
    here = cross_fit(targets_of(TRUTH), kept, FOLDS, RECIPE)
    np.testing.assert_array_equal(there.outputs, same.outputs)
    np.testing.assert_allclose(there.outputs, here.outputs, atol=ALIKE)
    assert (there.moved, there.train, there.held) == (same.moved, same.train, same.held)
    for own, other in zip(same.curves, there.curves, strict=True):
        assert [update.loss for update in own] == [update.loss for update in other]
    assert told == [0] * 10 + [1] * 10 + [2] * 10  # told fold by fold


def test_a_climb_is_the_same_everywhere_but_for_rounding(elsewhere):
    here, there = ascended_here(), ascended(elsewhere)
    assert here.chosen.name == there.chosen.name == "contrastive"
    np.testing.assert_allclose(there.rungs[0].outputs, here.rungs[0].outputs, atol=ALIKE)
    for name, moved in here.final.delta.items():
        np.testing.assert_allclose(there.final.delta[name].numpy(), moved.numpy(), atol=ALIKE)


def test_settings_are_raced_everywhere_alike(elsewhere):
    here, there = ascended_here(trials=2), ascended(elsewhere, trials=2)
    assert [trial.folds for trial in there.trials] == [trial.folds for trial in here.trials]
    np.testing.assert_allclose([t.loss for t in there.trials], [t.loss for t in here.trials], atol=ALIKE)


def test_a_training_that_runs_away_elsewhere_is_the_same_error(elsewhere, kept):
    wild = replace(RECIPE, settings=replace(RECIPE.settings, rate=1e12))
    said = []
    for found in (Inline(), elsewhere):
        with pytest.raises(TrainingError) as error:
            cross_fit(targets_of(TRUTH), kept, FOLDS, wild, engine=found)
        said.append(str(error.value).split(", got")[0])
    assert said == ["the loss must stay a finite number"] * 2


def test_folds_that_nobody_asks_for_any_more_are_not_waited_for(elsewhere, kept):
    asked = []

    def no(done, losses):
        asked.append(done)
        return False

    assert cross_fit(targets_of(TRUTH), kept, FOLDS, RECIPE, go_on=no, engine=elsewhere) is None
    assert asked == [2]
    assert cross_fit(targets_of(TRUTH), kept, FOLDS, RECIPE, engine=elsewhere) is not None


def test_the_budget_counts_elsewhere_as_well(elsewhere, monkeypatch):
    monkeypatch.setattr(cost, "_measured", lambda *_: 1000.0)
    (note,) = ascended(elsewhere).notes
    assert "was left out: " in note


def test_a_climb_elsewhere_goes_on_where_it_was_interrupted(elsewhere, tmp_path, monkeypatch):
    whole = ascended(elsewhere)
    state = tmp_path / "state"

    def say(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ascended(elsewhere, checkpoints=state, say=say)
    assert (state / "decisions.json").exists()
    # Ray may be on other machines, which cannot write here: there, a training is repeated.
    assert (state / "contrastive-0.safetensors").exists() == elsewhere.same_machine
    monkeypatch.setattr(cost, "_measured", lambda *_: 1000.0)  # too much now, but it was decided
    again = ascended(elsewhere, checkpoints=state)
    np.testing.assert_allclose(again.rungs[0].outputs, whole.rungs[0].outputs, atol=ALIKE)


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
