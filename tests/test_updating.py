"""Updates of a run: old rows and new ones, an honest comparison, and the version that is in use afterwards."""

import json
import shutil

import pytest

import handful
from handful.data.dataset import Dataset
from handful.errors import BundleError, DataError, MachineError, OptionError
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.plan import read_plan
from handful.run_rows import LearnedRows
from handful.updating.update import UpdateResult, update
from handful.versions import current, roll_back, versions
from handful.versions.comparison import Paired

QUICK = dict(backbone="toy-text", budget=0, strategies="centroid,ridge")
ODD = ["'=1+1 hill march", "two  blanks\tand a tab hill", "=SUM(A1) leaf", "two\nlines crumb"]


@pytest.fixture
def old(table, sentences, tmp_path):
    """A run of 20 rows in a table, some of which are written as no spreadsheet has them."""
    rows = [*((text, "ants") for text in ODD), *sentences({"ants": 6, "bees": 10})]
    handful.tune(table(rows, name="old.csv"), **QUICK, out=tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def new(table, sentences):
    """A table of six rows, none of them old."""
    return table([(f"{text} again", label) for text, label in sentences({"ants": 3, "bees": 3})], name="new.csv")


def test_new_rows_are_learned_from_beside_the_old_ones(old, new):
    found = update(old, new)
    assert (found.taken, found.folder, found.new_rows, found.run.scores.n) == (True, old, 6, 26)
    assert [(one.number, one.reason, one.rows) for one in versions(old)] == [(1, "tune", 20), (2, "update", 26)]
    assert (found.on_new.rows, found.on_old.rows) == (6, 20)
    assert found.lines[0] == "6 new rows; 26 rows in all."
    assert found.lines[1].startswith("On new rows, which neither had learned when it answered: ")
    assert found.lines[2].startswith("On old rows, held out both times: ")
    assert found.lines[-1].endswith("The old one is kept as version 1.")
    assert json.loads(json.dumps(found.as_dict()))["taken"] is True


def test_the_plan_is_that_of_the_old_run_unless_it_is_given_again(old, new, tmp_path):
    found = update(old, new, seed=3)
    plan = read_plan(old / "plan.yaml")
    assert (plan.backbone, plan.budget, plan.seed, plan.sources) == (
        "toy-text", 0.0, 3, (str(tmp_path / "old.csv"), str(new)),
    )  # fmt: skip
    assert (plan.origins["backbone"], plan.origins["seed"]) == ("argument", "update")
    assert found.run.plan.strategies == plan.strategies == read_plan(old / "versions/0001/plan.yaml").strategies


def test_an_update_of_an_update_knows_all_rows(old, new, table):
    update(old, new)
    found = update(old, table([("one more leaf", "ants"), ("one more wing", "bees")], name="newest.csv"))
    assert (found.new_rows, found.run.scores.n, found.notes) == (2, 28, ())
    assert [one.rows for one in versions(old)] == [20, 26, 28]


def test_an_item_with_another_label_keeps_the_new_one(old, new, table):
    rows = [(ODD[1], "bees"), ("a new honey", "bees")]
    found = update(old, table(rows, name="corrected.csv"))
    labels = dict(zip(found.run.data.items, found.run.data.labels, strict=True))
    assert labels[ODD[1]] == "bees"
    assert (found.new_rows, found.run.scores.n) == (1, 21)
    assert any("1 item has two labels" in note and "the later source counts" in note for note in found.run.data.notes)
    # What the old model learned is no question to judge it by.
    assert found.on_new.rows == 1
    assert update(old, new).run.scores.n == 27


def test_new_classes_and_rows_without_a_label_are_said(old, table):
    rows = [("sting stripe", "wasps"), ("jam fear", "wasps"), ("no label here", "")]
    found = update(old, table(rows * 1, name="new.csv"))
    assert found.notes == ("new class: wasps", "1 new row without a label is learned from as unlabelled items")
    assert "wasps" in found.run.model.labels


def test_rows_that_are_all_old_are_refused(old, tmp_path):
    with pytest.raises(DataError) as error:
        update(old, tmp_path / "old.csv")
    assert str(error.value) == (
        f"{tmp_path}/old.csv must hold rows that {old} has not learned from yet, got none. Name other rows."
    )
    assert len(versions(old)) == 1


def test_new_rows_may_come_from_a_program(old):
    data = Dataset(["brand new leaf", "brand new wing"], "text", ("ants", "bees"), source="corrections")
    assert update(old, data, reason="learned corrections").new_rows == 2
    assert update(old, ["another new leaf", "another new wing"], ["ants", "bees"]).new_rows == 2
    assert [one.reason for one in versions(old)] == ["tune", "learned corrections", "update"]


def test_another_folder_leaves_the_old_one_as_it_was(old, new, tmp_path):
    found = update(old, new, out=tmp_path / "other")
    assert (found.taken, found.folder, found.on_old) == (False, tmp_path / "other", None)
    assert found.lines[-1] == f"The new one is in {tmp_path}/other; nothing changed where the old one is."
    assert len(versions(old)) == 1
    assert current(tmp_path / "other").reason == "update"


# Where sources changed ----------------------------------------------------------------------------------------------


def test_a_source_that_is_gone_is_taken_from_the_run(old, new, tmp_path):
    before = handful.load(tmp_path / "old.csv")
    (tmp_path / "old.csv").unlink()
    found = update(old, new)
    assert found.notes == (
        f"{tmp_path}/old.csv, which the run learned from, is gone", "20 old rows are taken from what the run holds",
    )  # fmt: skip
    assert set(before.items) < set(found.run.data.items)
    assert (found.run.scores.n, found.on_old.rows) == (26, 20)


def test_a_source_that_changed_is_said_and_what_was_learned_counts(old, new, table, tmp_path):
    rows = list(zip(*(lambda data: (data.items, data.labels))(handful.load(tmp_path / "old.csv")), strict=True))
    table([(rows[0][0], "bees"), *rows[2:], ("added", "ants"), ("added too", "ants")], name="old.csv")
    found = update(old, new)
    assert found.notes[0] == (
        f'{tmp_path}/old.csv changed since the run was made: of its rows 1 has another label ("\'=1+1 hill march"), '
        '1 is not there any more ("two blanks and a tab hill"), 2 were added. What the run learned from counts; to '
        "learn from it as it is now, name it among the new rows"
    )
    assert found.notes[1] == "2 old rows are taken from what the run holds"
    labels = dict(zip(found.run.data.items, found.run.data.labels, strict=True))
    assert labels[rows[0][0]] == "ants"
    assert rows[1][0] in labels
    assert "added" not in labels


def test_a_table_of_labels_that_has_grown_is_named_again(old, table, tmp_path):
    """As after ten more labels on the page of ``handful label``."""
    data = handful.load(tmp_path / "old.csv")
    grown = [*zip(data.items, data.labels, strict=True), ("a leaf and a hill", "ants"), ("honey wing", "bees")]
    found = update(old, table(grown, name="old.csv"))
    assert (found.new_rows, found.run.scores.n, found.taken) == (2, 22, True)
    assert read_plan(old / "plan.yaml").sources == (str(tmp_path / "old.csv"),)


def test_a_source_that_cannot_be_read_any_more_is_as_one_that_is_gone(old, new, tmp_path):
    (tmp_path / "old.csv").write_text("nothing of use\n")
    found = update(old, new)
    assert "old.csv, which the run learned from, cannot be read as it was: " in found.notes[0]
    assert found.run.scores.n == 26


def test_what_the_run_does_not_hold_is_refused_with_a_way_out(pictures, tmp_path):
    photos, run = pictures(), tmp_path / "run"
    handful.tune(photos, backbone="toy-image", budget=0, strategies="centroid,ridge", out=run)
    more = pictures({"dark": 1, "dusk": 1, "grey": 2}, "more")  # the first one is as in the old rows
    assert update(run, more).new_rows == 3
    shutil.rmtree(photos)
    with pytest.raises(DataError) as error:
        update(run, more)
    assert str(error.value) == (
        f"{photos}, which the run learned from, is gone. The old rows of {run} cannot be found again: 11 of its 15 "
        "rows are not there as they were, and the run does not hold them. Put the source back as it was, or name the "
        f"old rows yourself: handful tune OLD_ROWS {more} --out {run}; or go on without them: handful update {run} "
        f"{more} --without-old-rows"
    )


def test_a_language_model_is_updated_compared_and_taken_back(tmp_path):
    def rows(name, *numbers):
        text = "\n".join(json.dumps({"prompt": f"Spell {i}.", "response": f"{i:b}"}) for i in numbers)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    run, told = tmp_path / "run", rows("told.jsonl", *range(10))
    handful.tune(told, backbone="toy-language", strategies="base", budget=0, out=run)
    found = update(run, rows("more.jsonl", 9, 10, 11, 12))  # the first one is as in the old rows
    assert (found.new_rows, found.run.scores.n, found.taken, found.on_new, found.on_old.rows) == (3, 13, True, None, 10)
    assert found.lines[1] == (
        "Of a language model the new rows are not asked of the old one; old rows tell the two apart."
    )
    assert roll_back(run, 1).number == 3
    with pytest.raises(DataError, match="must be a file that holds prompts and answers, got a list with labels"):
        update(run, ["a text", "another"], ["ants", "bees"])
    told.unlink()
    with pytest.raises(DataError) as error:
        update(run, tmp_path / "more.jsonl")
    assert str(error.value) == (
        f"{told}, which the run learned from, is gone. The old rows of {run} cannot be found again: 10 of its 10 rows "
        "are not there as they were, and the run does not hold them. Put the source back as it was, or name the old "
        f"rows yourself: handful tune OLD_ROWS {tmp_path}/more.jsonl --out {run}"
    )


def test_files_that_are_where_they_were_need_no_table(pictures, table, tmp_path):
    files = sorted(pictures().rglob("*.png"))
    listed = table([(str(file), file.parent.name) for file in files], ("file", "label"), "old.csv")
    handful.tune(listed, backbone="toy-image", budget=0, strategies="centroid,ridge", out=tmp_path / "run")
    listed.unlink()
    assert (
        update(tmp_path / "run", pictures({"dusk": 1, "late": 1, "grey": 1}, "more")).run.scores.n == 14
    )  # one is relabelled


def test_a_run_of_old_that_lost_its_source_is_refused(old, new, tmp_path):
    (old / "rows.json").unlink()
    assert update(old, new, out=tmp_path / "other").run.scores.n == 26
    (tmp_path / "old.csv").unlink()
    with pytest.raises(DataError, match="it was made by a version that kept nothing of its rows"):
        update(old, new)


def test_test_rows_of_the_source_stay_test_rows(table, sentences, tmp_path):
    rows = [(*row, "test" if i % 5 == 0 else "train") for i, row in enumerate(sentences({"ants": 15, "bees": 15}))]
    source = table(rows, ("text", "label", "split"), "old.csv")
    run = handful.tune(source, **QUICK, out=tmp_path / "run")
    found = update(tmp_path / "run", table([("a new leaf", "ants")], name="new.csv"))
    assert (run.scores.test_n, found.run.scores.test_n, found.run.scores.n) == (6, 6, 25)


def test_rows_of_a_group_that_the_old_model_knows_do_not_judge_it(table, sentences, tmp_path):
    rows = [(*row, f"who {i % 7}") for i, row in enumerate(sentences({"ants": 14, "bees": 14}))]
    handful.tune(table(rows, ("text", "label", "speaker"), "old.csv"), **QUICK, out=tmp_path / "run")
    more = [("new leaf", "ants", "who 1"), ("new wing", "bees", "who else"), ("new buzz", "bees", "who else")]
    found = update(tmp_path / "run", table(more, ("text", "label", "speaker"), "new.csv"))
    assert (found.new_rows, found.on_new.rows) == (3, 2)
    more = [("newer leaf", "ants", "who 1")]
    found = update(tmp_path / "run", table(more, ("text", "label", "speaker"), "newer.csv"))
    assert found.on_new is None
    assert found.lines[1] == (
        "No new row can tell the two apart: the old model was not asked, or knows them or their group."
    )


# Which one is in use ------------------------------------------------------------------------------------------------


def verdict(monkeypatch, low, high):
    """Let the comparison on new rows say this."""
    found = Paired(6, Estimate((low + high) / 2, low, high), Scale())
    monkeypatch.setattr("handful.updating.update.paired", lambda *_: found)


def test_a_new_model_that_is_worse_is_kept_beside_the_old_one(old, new, monkeypatch):
    verdict(monkeypatch, -0.9, -0.1)
    before = (old / "scores.json").read_bytes()
    found = update(old, new)
    assert (found.taken, found.verdict, found.folder) == (False, "worse", old / "versions/0002")
    assert (old / "scores.json").read_bytes() == before
    assert [one.current for one in versions(old)] == [True, False]
    assert found.lines[-1] == (
        "The new one is shown to be worse, so version 1 stays in use, and the new one is kept as version 2. To use it "
        "all the same, roll back to 2, or update with --anyway."
    )
    found = update(old, new, anyway=True)
    assert (found.taken, current(old).number) == (True, 3)
    assert found.lines[-1] == "The new one is in use, as you asked. The old one is kept as version 1."


@pytest.mark.parametrize(
    ("low", "high", "why"),
    [(0.1, 0.9, ""), (-0.1, 0.9, ": more rows are expected to help, which these do not show yet")],
)
def test_any_other_is_in_use(old, new, monkeypatch, low, high, why):
    verdict(monkeypatch, low, high)
    assert update(old, new).lines[-1] == f"The new one is in use{why}. The old one is kept as version 1."


# What is wrong ------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_run_or_is_gone(tmp_path, new):
    for place in (tmp_path / "gone", tmp_path):
        with pytest.raises(BundleError, match="must be a run folder, which has versions, but there is no scores.json"):
            update(place, new)


def test_a_model_that_is_gone(old, new):
    shutil.rmtree(old / "model")
    with pytest.raises(BundleError, match="bundle.json"):
        update(old, new)


@pytest.mark.parametrize("name", ["source", "sources", "task", "out_", "resume", "plan"])
def test_options_that_an_update_does_not_have(old, new, name):
    with pytest.raises(OptionError, match=f"^update has no option '{name}'"):
        update(old, new, **{name: "x"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "while parsing"),
        ("source: 3", "not subscriptable"),
        ("budget: {value: long, from: x}", "budget must be a time"),
    ],
)
def test_a_plan_that_nobody_wrote_so(old, new, text, why):
    (old / "plan.yaml").write_text(text)
    with pytest.raises(BundleError) as error:
        update(old, new)
    assert str(error.value).startswith(f"{old}/plan.yaml cannot be read (")
    assert why in str(error.value)
    assert str(error.value).endswith("). Restore it, or tune again with the old rows and the new ones together.")


@pytest.mark.parametrize("text", ["[", '{"format": 2, "rows": []}', '{"format": 1, "rows": [[0, 1, "x", null]]}'])
def test_a_record_of_rows_that_nobody_wrote_so(old, new, text):
    (old / "rows.json").write_text(text)
    with pytest.raises(
        BundleError, match=r"rows.json cannot be read \(.*Restore it, or delete it: sources are then read"
    ):
        update(old, new)


def test_rows_that_cannot_be_opened_have_no_name(tmp_path):
    data = Dataset([tmp_path / "gone.png", tmp_path / "gone too.png"], "image", ("a", "b"))
    assert [row.item for row in LearnedRows.of(data).rows] == ["", ""]


def test_a_full_disk_leaves_the_old_version(old, new, monkeypatch):
    import errno
    import os

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("handful.run.write_json", full)
    with pytest.raises(MachineError) as error:
        update(old, new)
    assert str(error.value) == f"{old} was not written: the disk is full. Free some space or choose another place."
    assert [one.number for one in versions(old)] == [1]


def test_a_pool_that_is_gone_is_not_missed(table, sentences, new, tmp_path):
    pool = table([(f"{text} in the pool",) for text, _ in sentences({"ants": 12})], ("text",), "pool.csv")
    handful.tune(table(), **QUICK, unlabelled=pool, out=tmp_path / "run")
    pool.unlink()
    assert update(tmp_path / "run", new).run.plan.unlabelled is None


def test_it_is_public():
    assert handful.update is update
    assert UpdateResult.__doc__


def test_files_with_their_labels_are_items_and_no_sources(pictures, tmp_path):
    handful.tune(pictures(), backbone="toy-image", budget=0, strategies="ridge", out=tmp_path / "run")
    files = sorted((pictures({"dark": 1, "light": 1, "grey": 3}, "more") / "grey").iterdir())
    found = update(tmp_path / "run", files, ["grey"] * 3)
    assert (found.new_rows, found.run.model.labels) == (3, ("dark", "grey", "light"))
