"""Learning on without the old rows: what a model keeps of them stands for them, exactly as far as it can."""

import copy
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import handful as library
from handful.budget import Budget
from handful.data.dataset import item_hash
from handful.data.kept import KeptItem
from handful.errors import DataError, OptionError
from handful.export.bundle import Bundle
from handful.export.reference import MOST
from handful.plan import Plan
from handful.run_rows import LearnedRows
from handful.updating.kept_rows import kept_rows, learn_on
from handful.updating.update import update
from handful.versions import versions
from handful.versions.forgetting import forgetting

QUICK = dict(backbone="toy-text", budget=0, strategies="ridge,logistic")


@pytest.fixture
def run(table, sentences, tmp_path):
    """A run of 20 rows whose table is gone."""
    file = table(sentences({"ants": 10, "bees": 10}), name="old.csv")
    library.tune(file, **QUICK, out=tmp_path / "run")
    file.unlink()
    return tmp_path / "run"


@pytest.fixture
def new(table, sentences):
    """Rows of a class that the run does not know, and a few of one that it knows."""
    return table(sentences({"wasps": 8}) + [(f"{text} again", y) for text, y in sentences({"ants": 2})], name="new.csv")


def test_a_kept_item_is_known_by_its_content_and_called_as_it_was():
    item = KeptItem("hill march", "a" * 64)
    assert (item, item_hash(item)) == ("hill march", "a" * 64)
    for again in (copy.deepcopy(item), pickle.loads(pickle.dumps(item))):  # noqa: S301 - our own
        assert (str(again), again.digest) == ("hill march", "a" * 64)


def test_new_classes_are_learned_and_the_old_ones_stay_known(run, new):
    found = update(run, new, without_old_rows=True)
    assert found.run.model.labels == ("ants", "bees", "wasps")
    assert found.run.scores.n == 30
    assert library.predict(run, ["sting stripe", "hive buzz", "hill march"]) == ["wasps", "bees", "ants"]
    assert [one.reason for one in versions(run)] == ["tune", "update"]
    assert any("The 20 old rows are gone" in note for note in found.run.notes)
    assert found.on_old is not None
    assert found.on_old.rows == 20
    assert (run / "report.html").is_file()


def test_what_is_kept_gives_the_head_that_all_rows_give(run, new, sentences):
    model = Bundle.load(run)
    memory = kept_rows(run, model)
    fresh = library.load(new)
    rows = library.load([*map(str, memory.data.items), *fresh.items], labels=[*memory.data.labels, *fresh.labels])
    origin = [0] * len(memory.data) + [1] * len(fresh)
    plan = Plan.resolve(QUICK)
    known = learn_on(rows, origin, memory, model, plan, Budget(0), lambda *_: None)
    # The same with every row at hand, in full precision, and in another order.
    order = np.random.default_rng(0).permutation(len(rows))
    joint = library.tune([rows.items[i] for i in order], [rows.labels[i] for i in order], **QUICK)
    items = ["sting stripe 1", "hive honey", "march leaf 7", "fear jam"]
    if joint.model.view == known.model.view:
        assert np.allclose(known.model.outputs(items), joint.model.outputs(items), atol=0.05)
    assert known.predict(items) == joint.predict(items)


def test_step_after_step_keeps_all_rows_that_came(run, table, sentences):
    for number in range(3):
        rows = [(f"{text} step {number}", f"kind {number}") for text, _ in sentences({f"kind{number}": 5})]
        update(run, table(rows, name=f"new{number}.csv"), without_old_rows=True)
    model = Bundle.load(run)
    assert len(model.labels) == 5
    assert len(model.reference.rows) == 35
    assert len({row.row for row in LearnedRows.read(run).rows}) == 35


def test_rows_that_it_knows_already_count_once(run, table, sentences):
    known = sentences({"ants": 10})[:3]
    found = update(run, table([*known, ("a new leaf of hill", "ants")], name="new.csv"), without_old_rows=True)
    assert (found.new_rows, found.run.scores.n) == (1, 21)


def test_of_more_rows_than_are_kept_an_even_part_stands_for_all(table, sentences, tmp_path):
    rows = sentences({"ants": MOST // 2 + 20, "bees": MOST // 2 + 20})
    library.tune(table(rows, name="many.csv"), **{**QUICK, "strategies": "centroid"}, out=tmp_path / "run")
    found = update(tmp_path / "run", ["one sting", "two stings"], ["wasps"] * 2, without_old_rows=True)
    assert found.run.scores.n == MOST + 2
    assert any(f"It keeps {MOST} of {MOST + 40} rows." in note for note in found.run.notes)


def test_pictures_whose_files_are_gone(pictures, tmp_path):
    folder = pictures()
    library.tune(folder, backbone="toy-image", budget=0, strategies="ridge", out=tmp_path / "run")
    shutil.rmtree(folder)
    more = pictures({"dark": 1, "light": 1, "bright": 4}, "more")
    with pytest.raises(DataError, match=r"go on without them: handful update .*run .*more --without-old-rows"):
        update(tmp_path / "run", more)
    found = update(tmp_path / "run", more, without_old_rows=True)
    assert found.run.model.labels == ("bright", "dark", "light")
    page = (tmp_path / "run/report.html").read_text()
    assert "Traceback" not in page
    assert Path(found.folder) == tmp_path / "run"


def test_models_whose_weights_moved_are_refused(run):
    model = Bundle.load(run)
    model.moved = object()
    with pytest.raises(OptionError) as error:
        kept_rows(run, model)
    assert str(error.value) == (
        "learning on without the old rows is for frozen models of whole items: weights of this one moved, and what "
        "they see in rows that they know tells nothing of others. Tune with --budget 0."
    )


def test_the_command(handful, run, new):
    ended = handful("update", run, new, "--without-old-rows")
    assert ended.code == 0, ended.err
    assert "new class: wasps" in ended.err


def test_how_the_rows_of_each_step_fare_now_is_told(handful, run, table, sentences):
    for number in range(2):
        rows = [(f"{text} step {number}", f"kind {number}") for text, _ in sentences({f"kind{number}": 5})]
        update(run, table(rows, name=f"new{number}.csv"), without_old_rows=True)
    steps = forgetting(run)
    assert [(step.number, step.rows) for step in steps] == [(1, 20), (2, 5)]
    ended = handful("versions", run, "--forgetting")
    assert ended.code == 0, ended.err
    assert [line.partition(":")[0] for line in ended.out.splitlines()] == ["rows of version 1", "rows of version 2"]
    told = json.loads(handful("versions", run, "--forgetting", "--json").out)
    assert [step["rows"] for step in told] == [20, 5]


def test_of_one_version_nothing_can_be_forgotten(handful, run):
    assert handful("versions", run, "--forgetting").err == (
        f"handful: forgetting is told of a run with several versions, got one in {run}. Update it first.\n"
    )
    assert "must be given one at a time" in handful("versions", run, "--forgetting", "--roll-back", "1").err
