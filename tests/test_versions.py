"""Versions of a run: nothing is lost, wherever a kill comes; what is listed, compared and brought back."""

import itertools
import json
import os
import shutil
import threading

import pytest

import handful
from deaths import Death
from handful.atomic import locks, tidy
from handful.errors import BundleError, MachineError, OptionError
from handful.versions import check_versions, current, keep, keep_beside, number_of, roll_back, version, versions
from handful.versions.comparison import compare

QUICK = dict(backbone="toy-text", budget=0, strategies="centroid,ridge")
SCORES = {
    "task": "classification", "metric": "accuracy", "level": 0.95, "n": 4, "protocol": "nested 5x5 stratified",
    "chosen": "ridge", "estimate": {"value": 0.5, "low": 0.2, "high": 0.8}, "sentence": "Half.", "test": None,
    "scale": {"title": "accuracy", "percent": True, "higher_is_better": True, "unit": ""},
    "arms": [{"name": "ridge", "rung": 0, "value": 0.5, "low": 0.2, "high": 0.8, "seconds": 0.1, "verdict": "chosen",
              "reason": "It is.", "setting": None}],
    "seconds": {"read": 0.1},
}  # fmt: skip
ROWS = [("one", "ants", "ants"), ("two", "bees", "ants"), ("three", "ants", "ants"), ("four", "bees", "bees")]


def written(target, text="", rows=ROWS, **scores):
    """A run without its heavier parts; its model says which one it is."""
    (target / "scores.json").write_text(json.dumps({**SCORES, **scores}))
    lines = [f"{i},{item},{label},{answer},0.9" for i, (item, label, answer) in enumerate(rows)]
    (target / "predictions.csv").write_text("\n".join(["row,input,label,predicted,confidence", *lines]) + "\n")
    (target / "model").mkdir()
    (target / "model/weights").write_text(text)


def made(folder, text="", reason="tune", **more):
    with keep(folder, reason) as target:
        written(target, text, **more)


def models(folder):
    """Number → what the model of each version says."""
    return {one.number: (one.path / "model/weights").read_text() for one in versions(folder)}


@pytest.fixture
def run(tmp_path):
    for text in ("first", "second", "third"):
        made(tmp_path / "run", text)
    return tmp_path / "run"


# Kept and listed ----------------------------------------------------------------------------------------------------


def test_what_was_there_becomes_a_version(run):
    assert models(run) == {1: "first", 2: "second", 3: "third"}
    found = versions(run)
    assert [one.current for one in found] == [False, False, True]
    assert [one.path for one in found] == [run / "versions/0001", run / "versions/0002", run]
    assert [(one.reason, one.rows, one.chosen, one.estimate.value) for one in found] == [("tune", 4, "ridge", 0.5)] * 3
    assert found == sorted(found, key=lambda one: one.made)
    assert number_of(run) == 3
    assert current(run) == found[-1]
    assert found[0].as_dict() == {
        "number": 1, "made": found[0].made, "reason": "tune", "current": False, "rows": 4, "chosen": "ridge",
        "metric": "accuracy", "estimate": {"value": 0.5, "low": 0.2, "high": 0.8}, "size": found[0].size,
        "path": str(run / "versions/0001"),
    }  # fmt: skip


def test_files_of_the_user_stay_in_the_folder_of_the_run(run):
    (run / "notes.txt").write_text("mine")
    (run / "versions/notes.txt").write_text("mine too")
    made(run, "fourth")
    assert (run / "notes.txt").read_text() == "mine"
    assert (run / "versions/notes.txt").read_text() == "mine too"
    assert models(run) == {1: "first", 2: "second", 3: "third", 4: "fourth"}


def test_a_run_of_old_without_a_record_is_the_first_version(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    written(run, "old")
    assert [(one.number, one.reason) for one in versions(run)] == [(1, "tune")]
    made(run, "new", "update")
    assert models(run) == {1: "old", 2: "new"}
    assert [one.reason for one in versions(run)] == ["tune", "update"]


def test_versions_that_were_deleted_by_hand_are_gone_and_their_numbers_are_not_given_again(run):
    shutil.rmtree(run / "versions/0001")
    shutil.rmtree(run / "versions/0002")
    made(run, "fourth")
    assert models(run) == {3: "third", 4: "fourth"}
    shutil.rmtree(run / "versions")
    made(run, "fifth")
    assert models(run) == {4: "fourth", 5: "fifth"}


def test_a_number_that_lies_in_the_folder_too_is_given_anew(run):
    shutil.copy(run / "versions/0001/version.json", run / "version.json")
    assert models(run) == {1: "first", 2: "second", 3: "third"}
    made(run, "fourth")
    assert models(run) == {1: "first", 2: "second", 3: "third", 4: "fourth"}


def test_a_disk_without_links_copies(run, monkeypatch):
    def none(*_, **__):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", none)
    made(run, "fourth")
    assert models(run) == {1: "first", 2: "second", 3: "third", 4: "fourth"}


def test_a_version_may_be_put_beside_the_one_in_use(run):
    with keep_beside(run, "update") as target:
        written(target, "worse")
    assert models(run) == {1: "first", 2: "second", 3: "third", 4: "worse"}
    assert current(run).number == 3
    made(run, "fifth")
    assert models(run)[5] == "fifth"
    assert [one.reason for one in versions(run)] == ["tune", "tune", "tune", "update", "tune"]


def test_a_version_beside_a_run_of_old(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    written(run, "old")
    with keep_beside(run, "update") as target:
        written(target, "worse")
    assert models(run) == {1: "old", 2: "worse"}
    assert current(run).number == 1


def test_a_real_run_keeps_the_one_that_was_there(table, tmp_path):
    run = handful.tune(table(), **QUICK)
    for seed in (0, 1):
        run.save(tmp_path / "run", reason=("tune", "retrain")[seed])
    first, second = versions(tmp_path / "run")
    assert (first.reason, second.reason, second.current) == ("tune", "retrain", True)
    assert first.rows == second.rows == 20
    for one in (first, second):
        assert handful.predict(one.path, list(run.data.items)) == run.predict(run.data.items)
    run.save(tmp_path / "run", reason="update", beside=True)
    assert [one.current for one in versions(tmp_path / "run")] == [False, True, False]


# Brought back -------------------------------------------------------------------------------------------------------


def test_an_earlier_version_is_brought_back_and_nothing_is_lost(run):
    assert roll_back(run, 1).number == 4
    assert models(run) == {1: "first", 2: "second", 3: "third", 4: "first"}
    assert [one.reason for one in versions(run)] == ["tune", "tune", "tune", "rolled back to 1"]
    assert current(run).number == 4
    roll_back(run, 3)
    assert models(run)[5] == "third"
    (run / "model/weights").write_text("changed by hand")
    assert models(run)[3] == "third"


def test_the_version_in_use_is_not_brought_back(run):
    with pytest.raises(OptionError) as error:
        roll_back(run, 3)
    assert str(error.value) == f"version 3 of {run} is in use already. Choose an earlier one."


def test_a_version_that_is_not_there(run):
    with pytest.raises(OptionError) as error:
        roll_back(run, 7)
    assert str(error.value) == f"version must be one of 1, 2, 3 of {run}, got 7. Choose one of these."


def test_what_is_damaged_is_not_brought_back(run):
    (run / "versions/0002/scores.json").write_text("cut o")
    with pytest.raises(BundleError) as error:
        roll_back(run, 2)
    assert str(error.value) == (
        f"version 2 of {run} cannot be used: {run}/versions/0002/scores.json cannot be read as the scores of a run "
        "(Expecting value: line 1 column 1 (char 0)). Choose another."
    )
    assert [one.damage != "" for one in versions(run)] == [False, True, False]
    assert "damage" in version(run, 2).as_dict()


# What others wrote --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [versions, current, lambda folder: roll_back(folder, 1)])
def test_a_model_alone_has_no_versions(tmp_path, command):
    place = tmp_path / "exported/model"
    place.mkdir(parents=True)
    (place / "bundle.json").write_text("{}")
    with pytest.raises(BundleError) as error:
        command(place)
    assert str(error.value) == (
        f"{place} must be a run folder, which has versions, but there is no scores.json in it. Name the folder that "
        "`handful tune` wrote."
    )


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("cut o", "Expecting value: line 1 column 1 (char 0)"),
        ('{"number": 0, "made": "2026-01-01", "reason": "tune"}', "no version has the number 0"),
        ('{"number": 1e9, "made": "2026-01-01", "reason": "tune"}', "number cannot be 1000000000.0"),
        ('{"number": 1000000000, "made": "2026-01-01", "reason": "tune"}', "no version has the number 1000000000"),
        ('{"number": 1, "made": "today", "reason": "tune"}', "Invalid isoformat string: 'today'"),
        ('{"number": 1, "made": "2026-01-01", "reason": "%s"}' % ("a" * 300), "the reason cannot be"),
        (
            '{"number": 1, "made": "2026-01-01", "reason": "tune", "format": 2}',
            "its format is 2, and this version of handful reads 1",
        ),
        ('{"number": 1, "made": "2026-01-01", "reason": "tune", "more": 2}', "unexpected keyword argument 'more'"),
    ],
)
def test_a_record_that_nobody_wrote_so_is_refused(run, record, why):
    (run / "version.json").write_text(record)
    for command in (versions, check_versions, lambda folder: made(folder, "new")):
        with pytest.raises(BundleError) as error:
            command(run)
        assert str(error.value).startswith(f"{run}/version.json cannot be read (")
        assert why in str(error.value)
        assert str(error.value).endswith("Restore it, or delete it: it only says which version.")
    (run / "version.json").unlink()
    assert current(run).number == 3


@pytest.mark.parametrize("kind", ["a link", "a file"])
def test_versions_that_are_no_folder_are_refused_before_any_work(tmp_path, table, kind):
    made(tmp_path / "run", "only")
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "run/versions"
    if kind == "a link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.write_text("mine")
    for command in (versions, lambda run: handful.tune(table(), out=run, **QUICK)):
        with pytest.raises(BundleError) as error:
            command(tmp_path / "run")
        assert str(error.value) == f"{place} must be a folder of earlier versions, got {kind}. Move it away."


def test_links_in_versions_are_not_followed(run, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/scores.json").write_text(json.dumps(SCORES))
    (run / "versions/0009").symlink_to(tmp_path / "secret")
    assert list(models(run)) == [1, 2, 3]
    made(run, "fourth")
    assert (run / "versions/0009").is_symlink()
    assert list(models(run)) == [1, 2, 3, 4]


def test_a_model_that_lies_elsewhere_by_a_link_is_kept_as_one(tmp_path):
    run = tmp_path / "run"
    made(run, "first")
    (run / "model").rename(tmp_path / "far")
    (run / "model").symlink_to("../far")
    made(run, "second")
    assert models(run) == {1: "first", 2: "second"}


# Compared -----------------------------------------------------------------------------------------------------------


def test_versions_are_compared_on_rows_that_both_held_out(tmp_path):
    run = tmp_path / "run"
    before = [(f"text {i}", "ab"[i % 2], "a") for i in range(40)]
    after = [(text, label, label) for text, label, _ in before[:30]] + [("text 30", "b", "b"), ("new", "a", "a")]
    made(run, rows=before)
    made(run, rows=after)
    found = compare(run, 1, 2)
    assert (found.held_out.rows, found.held_out.verdict, found.relabelled) == (30, "better", 1)
    assert found.held_out.gain.value == pytest.approx(0.5)
    assert found.sentence.startswith("Version 2 is better than version 1 on 30 rows: accuracy better by 50 points (")
    assert found.sentence.endswith(
        ") (1 with another label are left out); on rows that both held out, in the answers of their folds."
    )
    back = compare(run, 2, 1)
    assert back.held_out.verdict == "worse"
    assert back.sentence.startswith("Version 1 is worse than version 2 on 30 rows: accuracy worse by 50 points (")


def test_a_tie_is_called_one(run):
    assert compare(run, 1, 3).sentence == (
        "4 rows cannot tell version 3 from version 1: accuracy apart by 0 points (−61 to +61); on rows that both held "
        "out, in the answers of their folds."
    )


def test_rows_without_a_name_are_not_taken_for_each_other(tmp_path):
    run = tmp_path / "run"
    for _ in range(2):
        made(run, rows=[(f"row {i}", "a", "a") for i in range(9)])
    assert compare(run, 1, 2).sentence == (
        "Version 2 and version 1 have no row in common that both held out with the same label."
    )


@pytest.mark.parametrize(
    ("task", "metric", "labels", "answers", "gain"),
    [
        ("regression", "mean_absolute_error", ["1.5", "-2", "3", "4"], ["2.5", "-1", "3", "4"], 0.5),
        ("ordinal", "mean_absolute_error", ["1", "2", "3", "4"], ["2", "4", "3", "4"], 0.75),
        ("multilabel", "exact_match", ["a|b", "(none)", "a", "b"], ["a", "a", "a", "b"], 0.5),
    ],
)
def test_every_kind_of_target_is_compared(tmp_path, task, metric, labels, answers, gain):
    run, items = tmp_path / "run", ["one", "two", "three", "four"]
    made(run, rows=list(zip(items, labels, answers, strict=True)), task=task, metric=metric)
    made(run, rows=list(zip(items, labels, labels, strict=True)), task=task, metric=metric)
    assert compare(run, 1, 2).held_out.gain.value == pytest.approx(gain)


def test_answers_in_words_are_compared_by_their_loss(tmp_path):
    run = tmp_path / "run"
    for loss in ("0.9", "0.4"):
        made(run, task="generation", metric="loss")
        lines = [f"{i},ask {i},wanted,said,{float(loss) + i / 100}" for i in range(5)]
        (run / "predictions.csv").write_text("\n".join(["row,input,wanted,answer,loss", *lines]) + "\n")
    found = compare(run, 1, 2)
    assert found.held_out.gain.value == pytest.approx(0.5)
    assert found.held_out.verdict == "better"


def test_versions_of_different_tasks_are_not_compared(tmp_path):
    run = tmp_path / "run"
    made(run)
    made(run, task="regression", metric="mean_absolute_error")
    assert compare(run, 1, 2).as_dict()["sentence"] == (
        "Version 2 and version 1 do not answer the same kind of question, so nothing can be compared."
    )


def test_damaged_answers_are_named(run):
    (run / "versions/0001/predictions.csv").write_text("row,input,label,predicted\nx,one,ants,ants\n")
    with pytest.raises(BundleError, match=r"predictions.csv cannot be read \(invalid literal for int"):
        compare(run, 1, 3)


# Kills and other commands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("act", ["keep", "roll back", "beside"])
def test_wherever_a_kill_comes_no_version_is_lost(tmp_path, monkeypatch, swaps, act):
    def work(run):
        if act == "roll back":
            roll_back(run, 1)
        elif act == "beside":
            with keep_beside(run, "update") as target:
                written(target, "third")
        else:
            made(run, "third")

    old = {1: "first", 2: "second"}
    new = old | {3: "first" if act == "roll back" else "third"}
    death = Death(monkeypatch, swaps)
    for fatal in itertools.count(1):
        run = tmp_path / str(fatal) / "run"
        made(run, "first")
        made(run, "second")
        (run / "notes.txt").write_text("mine")
        died = death.at(fatal, lambda run=run: work(run))
        tidy(run.parent)
        assert models(run) in (old, new)
        assert (run / "notes.txt").read_text() == "mine"
        assert [path.name for path in run.parent.iterdir()] == ["run"]
        if not died:
            break
    assert fatal > 5
    assert models(run) == new


def test_two_commands_at_once_lose_no_version(tmp_path):
    run = tmp_path / "run"
    threads = [threading.Thread(target=made, args=(run, f"text {i}")) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(models(run)) == list(range(1, 9))
    assert sorted(models(run).values()) == [f"text {i}" for i in range(8)]


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be locked there")
def test_a_command_that_does_not_end_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    with keep(tmp_path / "run") as target:
        written(target, "slow")
        with pytest.raises(MachineError) as error:
            made(tmp_path / "run", "fast")
        assert str(error.value) == (
            f"{tmp_path}/run was not written: another command that writes there did not end in time. "
            "Try again after it."
        )
    assert models(tmp_path / "run") == {1: "slow"}


def test_a_full_disk_loses_nothing(run, monkeypatch):
    import errno

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("copy2", "copytree"):
        monkeypatch.setattr(shutil, name, full)
    with pytest.raises(MachineError) as error:
        roll_back(run, 1)
    assert str(error.value) == (f"{run} was not written: the disk is full. Free some space or choose another place.")
    assert models(run) == {1: "first", 2: "second", 3: "third"}
