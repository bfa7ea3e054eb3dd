"""Updates of runs of defects, masks, boxes and spans: rows are merged, the versions compared, the old one is kept."""

from __future__ import annotations

import json
import shutil

import pytest

from handful.api import tune
from handful.data.normal import as_called
from handful.data.readers import load
from handful.errors import DataError, OptionError
from handful.updating.update import update
from handful.versions import versions
from handful.versions.comparison import compare
from normal_parts import normal_pictures
from test_tune_boxes import laid as laid_boxes
from test_tune_masks import laid as laid_masks


@pytest.fixture
def own(part_runs, tmp_path):
    """Copies the run of a kind, whose sources stay where they were."""

    def copied(kind):
        return shutil.copytree(part_runs / f"run_{kind}", tmp_path / f"run_{kind}")

    return copied


def test_normal_items_join_those_that_were_learned(own, tmp_path):
    run = own("defects")
    new = normal_pictures(tmp_path / "more_good", range(2, 8))  # two of them are there already
    result = update(run, new)
    assert (result.new_rows, result.run.scores.n) == (4, 8)
    assert len(result.run.data.classes) == 1
    assert result.run.model.promise.normal == 8
    assert [one.rows for one in versions(run)] == [4, 8]
    assert result.on_new.rows == 4
    assert result.on_new.scale.title == "items called right"
    assert compare(run, 1, 2).held_out.rows == 4


@pytest.mark.parametrize(("kind", "laid"), [("masks", laid_masks), ("boxes", laid_boxes)])
def test_marked_pictures_join_those_that_were_learned(own, tmp_path, kind, laid):
    run = own(kind)
    new = laid(tmp_path / "new", 4)  # the first three are there already
    result = update(run, new)
    assert (result.new_rows, result.run.scores.n) == (1, 4)
    assert result.on_new.rows == 1
    assert result.on_old.rows == 3
    assert [one.rows for one in versions(run)] == [3, 4]


def test_spans_of_new_texts_are_asked_of_the_old_model(tmp_path):
    names, places = ("Ada", "Bobby", "Cid", "Dan"), ("Rome", "Oslo", "Lisbon", "Bern")
    rows = [json.dumps({"text": f"{name} lives in {place}",
                        "spans": [{"start": len(name) + 10, "end": len(name) + 10 + len(place), "label": "place"}]})
            for name in names for place in places]  # fmt: skip
    (tmp_path / "old.jsonl").write_text("\n".join(rows[:12]) + "\n")
    (tmp_path / "new.jsonl").write_text("\n".join(rows[10:]) + "\n")
    tune(tmp_path / "old.jsonl", backbone="toy-text", budget=0, out=tmp_path / "run")
    result = update(tmp_path / "run", tmp_path / "new.jsonl")
    assert (result.new_rows, result.run.scores.n) == (4, 16)
    assert result.on_new.rows == 4
    assert result.on_new.scale.title == "span F1"
    assert result.on_old.rows == 12


def test_nothing_new_is_said(own, part_runs):
    with pytest.raises(DataError, match="must hold rows that .* has not learned from yet, got none. Name other rows."):
        update(own("masks"), part_runs / "masks")


def test_models_of_parts_do_not_learn_on_without_their_rows(part_runs):
    with pytest.raises(OptionError) as error:
        update(part_runs / "run_boxes", part_runs / "boxes", without_old_rows=True)
    assert str(error.value) == (
        "learning on without the old rows is for models that answer items as wholes, got one of boxes. Leave it out."
    )


def test_old_pictures_that_are_gone_are_asked_for(tmp_path):
    source = laid_masks(tmp_path / "old", 3)
    tune(source, task="masks", backbone="toy-image", out=tmp_path / "run")
    shutil.rmtree(source)
    with pytest.raises(DataError, match="The old rows of .*run cannot be found again: 3 of its 3 rows are not there"):
        update(tmp_path / "run", laid_masks(tmp_path / "new", 4))


def test_normal_items_are_called_as_those_that_are_known(tmp_path):
    for name in ("good", "bad"):
        normal_pictures(tmp_path / "old" / name, range(4))
    known = load(tmp_path / "old", task="defects")

    def called(folder):
        place = normal_pictures(tmp_path / "new" / folder, range(10, 14))
        found = as_called(known, load(place, task="defects"), place)
        return set(found.labels), [note for note in found.notes if "taken for" in note]

    assert called("good_ones") == ({"good"}, [])
    assert called("Bad") == ({"bad"}, [])
    assert called("monday") == (
        {"good"},
        [f'4 items in {tmp_path / "new" / "monday"} are taken for "good" ones: no folder says else'],
    )
    normal_pictures(tmp_path / "both" / "OK", range(20, 23))
    normal_pictures(tmp_path / "both" / "crack", range(30, 32))
    assert as_called(known, load(tmp_path / "both", task="defects"), tmp_path / "both").counts == {
        "good": 3,
        "crack": 2,
    }
