"""The run folder: what is in it, that it is whole, and that what was saved is what was scored."""

import csv
import json
import os
import re
import sys

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import handful
from handful.errors import BundleError, MachineError, OptionError
from handful.evaluation.scores import Scores
from handful.export.bundle import Bundle
from handful.run import saved_inputs
from handful.versions import PARTS

QUICK = dict(backbone="toy-text", budget=0, strategies="centroid,ridge")


@pytest.fixture
def run(table):
    return handful.tune(table(), **QUICK)


def cells(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_the_folder_holds_what_the_design_says(run, tmp_path):
    assert run.save(tmp_path / "run") == tmp_path / "run"
    assert {path.name for path in (tmp_path / "run").iterdir()} == set(PARTS) - {
        "trials.json"
    }  # there only where trials were made
    assert {path.name for path in tmp_path.iterdir()} == {"insects.csv", "run"}


def test_no_file_of_it_is_a_pickle(run, tmp_path):
    run.save(tmp_path / "run")
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".yaml", ".csv", ".html", ".log", ".md", ".safetensors"}
    # A pickle starts with 0x80, its protocol and a first instruction; the length of a safetensors header ends in zeros.
    assert not any(re.match(rb"\x80[\x02-\x05][^\x00]", path.read_bytes()) for path in files)


def test_the_scores_file(run, tmp_path):
    run.save(tmp_path / "run")
    found = json.loads((tmp_path / "run/scores.json").read_text(encoding="utf-8"))
    assert {
        "metric", "level", "n", "labels", "protocol", "chosen", "estimate", "arms", "seconds",
    } <= found.keys()  # fmt: skip
    assert (found["metric"], found["level"], found["n"], found["labels"]) == ("accuracy", 0.95, 20, ["ants", "bees"])
    assert found["protocol"] == "nested 5x5 stratified"
    assert found["estimate"].keys() == {"value", "low", "high"}
    assert {"read", "extract", "select", "fit"} <= found["seconds"].keys()
    for arm in found["arms"]:
        assert {
            "name", "rung", "value", "low", "high", "seconds", "versus", "difference", "verdict", "reason",
        } <= arm.keys()  # fmt: skip
        assert arm["difference"].keys() == {"value", "low", "high"}
        assert arm["verdict"] in ("chosen", "tie", "worse", "better")
    assert [arm["name"] for arm in found["arms"] if arm["verdict"] == "chosen"] == [found["chosen"]]
    assert Scores.read(tmp_path / "run/scores.json").as_dict() == run.scores.as_dict()


def test_the_findings_file(table, sentences, tmp_path):
    rows = sentences({"ants": 10, "bees": 10})
    handful.tune(table([*rows, rows[0]]), **QUICK).save(tmp_path / "run")
    (found,) = json.loads((tmp_path / "run/findings.json").read_text())
    assert found.keys() == {"kind", "rows", "scores", "message", "advice"}
    assert (found["kind"], found["rows"]) == ("duplicate", [0, 20])


def test_the_plan_says_where_each_value_came_from(run, tmp_path):
    run.save(tmp_path / "run")
    found = yaml.safe_load((tmp_path / "run/plan.yaml").read_text(encoding="utf-8"))
    assert found["source"] == {"value": str(tmp_path / "insects.csv"), "from": "argument"}
    assert found["engine"] == {"value": "inline", "from": "default"}


def test_the_answers_given_while_each_row_was_held_out(run, tmp_path):
    run.save(tmp_path / "run")
    header, *rows = cells(tmp_path / "run/predictions.csv")
    assert header == ["row", "input", "label", "predicted", "confidence"]
    assert [row[0] for row in rows] == [str(i) for i in range(20)]
    assert [row[1] for row in rows] == run.data.items
    assert [row[2] for row in rows] == list(run.data.labels)
    right = np.mean([row[2] == row[3] for row in rows])
    assert right == pytest.approx(run.scores.estimate.value)


def test_cells_that_a_spreadsheet_would_run_are_defused(table, sentences, tmp_path):
    rows = [(f"={text}", f"@{label}") for text, label in sentences({"ants": 6, "bees": 6})]
    handful.tune(table(rows), **QUICK).save(tmp_path / "run")
    for row in cells(tmp_path / "run/predictions.csv")[1:]:
        assert [cell[:2] for cell in row[1:4]] == ["'=", "'@", "'@"]


def test_the_log_tells_what_happened(table, sentences, tmp_path):
    rows = sentences({"ants": 10, "bees": 10})
    run = handful.tune(table([*rows, rows[0]]), **QUICK)
    run.save(tmp_path / "run")
    text = (tmp_path / "run/run.log").read_text(encoding="utf-8")
    for line in ('column "label" is taken as the label', "1 row repeats another one exactly", "select: ", "chosen"):
        assert line in text


def test_the_report_opens_offline(run, tmp_path):
    run.save(tmp_path / "run")
    text = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "<html" in text
    assert not any(start in text for start in ('src="http', "src='http", 'href="http', "@import", "url(http"))


@pytest.mark.parametrize("place", ["run", "run/model"])
def test_the_model_that_is_loaded_gives_equal_answers(run, tmp_path, place):
    run.save(tmp_path / "run")
    texts = [*run.data.items, "something new"]
    loaded = Bundle.load(tmp_path / place)
    assert loaded.predict_proba(texts).tobytes() == run.model.predict_proba(texts).tobytes()
    assert loaded.predict(texts) == run.model.predict(texts)


def test_saving_again_replaces_the_run_only(run, table, sentences, tmp_path):
    run.save(tmp_path / "run")
    (tmp_path / "run/answers.csv").write_text("mine")
    other = handful.tune(table(sentences({"ants": 9, "bees": 9}), name="b.csv"), **QUICK)
    other.save(tmp_path / "run")
    assert Scores.read(tmp_path / "run/scores.json").n == 18
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {*PARTS, "answers.csv", "versions"} - {"trials.json"}


def test_a_folder_of_something_else_is_left_alone(run, tmp_path):
    with pytest.raises(OptionError, match="must be new, empty or an earlier result"):
        run.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["insects.csv"]


def test_a_model_that_comes_back_changed_is_not_kept(run, tmp_path, monkeypatch):
    run.save(tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    monkeypatch.setattr(
        Bundle, "load", classmethod(lambda cls, folder: handful.Bundle(**{**vars(run.model), "coef": 0}))
    )
    with pytest.raises(BundleError, match="the model was read back differently from what was written"):
        run.save(tmp_path / "run")
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in tmp_path.iterdir()} == {"insects.csv", "run"}


@pytest.mark.parametrize("part", ["scores.json", "report.html", "README.md", "head.safetensors", "predictions.csv"])
def test_a_disk_that_fills_anywhere_leaves_nothing(run, tmp_path, monkeypatch, part):
    from pathlib import Path

    def failing(name):
        usual = getattr(Path, name)

        def act(self, *rest, **options):
            if self.name == part and (name != "open" or "w" in str(rest)):
                raise OSError(28, os.strerror(28))
            return usual(self, *rest, **options)

        return act

    for name in ("write_text", "write_bytes", "open"):
        monkeypatch.setattr(Path, name, failing(name))
    with pytest.raises(MachineError, match="was not written: the disk is full"):
        run.save(tmp_path / "run")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["insects.csv"]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="here every file name is text")
def test_names_of_files_that_are_no_text(tmp_path):
    """Copied from an old machine: bytes that are no UTF-8 in the names of the folder, the class and the file."""
    root = tmp_path / os.fsdecode(b"photos \xe4")
    for level, name in enumerate((os.fsdecode(b"d\xe4rk"), "süß 'q\" 日本")):
        (root / name).mkdir(parents=True)
        for i in range(6):
            picture = Image.new("RGB", (9, 9), (120 * level + i,) * 3)
            picture.save(root / name / os.fsdecode(b"a b\xff%d '\".png" % i))
    run = handful.tune(root, backbone="toy-image", strategies="centroid", budget=0)
    run.save(tmp_path / "run")
    assert tuple(run.scores.details["labels"]) == ("d\ufffdrk", "süß 'q\" 日本")
    assert cells(tmp_path / "run/predictions.csv")[1][1].endswith("/photos \ufffd/d\ufffdrk/a b\ufffd0 '\".png")
    assert Bundle.load(tmp_path / "run").labels == tuple(run.scores.details["labels"])


# Reading back what it says of its rows -------------------------------------------------------------------------------


def test_the_rows_are_read_back_from_the_run_and_from_its_model(run, tmp_path):
    run.save(tmp_path / "run")
    assert saved_inputs(tmp_path / "run") == saved_inputs(tmp_path / "run/model")
    assert saved_inputs(tmp_path / "run")[0] == run.data.items[0]
    assert saved_inputs(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"row,label\n0,a\n", "there is no 'input'"), (b"", ""), (b"row,input\nx,y\n", "invalid literal for int()"),
        (b"row,input\n0\n", "'NoneType' object"), (b"\xff\xfe", "'utf-8' codec can't decode"),
        (b"row,input\n0," + b"a" * 200_000, "field larger than field limit"),
    ],
)  # fmt: skip
def test_damaged_rows_are_one_sentence(tmp_path, content, why):
    file = tmp_path / "predictions.csv"
    file.write_bytes(content)
    if not content:
        assert saved_inputs(tmp_path) == {}
        return
    with pytest.raises(BundleError) as error:
        saved_inputs(tmp_path)
    assert str(error.value).startswith(f"{file} cannot be read ({why}")
    assert str(error.value).endswith("). Restore it, or delete it: then only its texts are missing.")


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"row,input\n{text}".encode()))
def test_any_bytes_as_rows(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("junk")
    (folder / "predictions.csv").write_bytes(content)
    try:
        assert all(isinstance(row, int) for row in saved_inputs(folder))
    except BundleError as error:
        assert "predictions.csv cannot be read (" in str(error)
