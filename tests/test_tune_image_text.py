"""Rows with a picture and a text through a whole run: compared with each alone, saved, shown; what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import handful as library
from handful.errors import DataError, OptionError

TOYS = "toy-image,toy-text"
QUICK = {"budget": 0, "backbone": TOYS}
WORDS = {"ants": "hill march leaf crumb", "bees": "hive buzz wing honey"}
HEADER = ("photo", "story", "kind", "shade", "animal")


def rows_of(count: int, seed: int) -> list[tuple]:
    """Pictures, dark at the left or at the top, with texts about ants or bees, and what is wanted of them."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(count):
        shade, animal = ("left", "top")[i % 2], list(WORDS)[i // 2 % 2]
        pixels = np.full((16, 16, 3), 200.0)
        pixels[(slice(None), slice(8)) if shade == "left" else slice(8)] = 60
        pixels = np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
        rows.append((pixels, " ".join(rng.choice(WORDS[animal].split(), 3)), f"{shade} {animal}", shade, animal))
    return rows


def write(folder: Path, name: str, rows: list[tuple]) -> Path:
    (folder / "photos").mkdir(exist_ok=True)
    cells = []
    for i, (pixels, *rest) in enumerate(rows):
        Image.fromarray(pixels).save(folder / "photos" / f"{name}{i}.png")
        cells.append((f"photos/{name}{i}.png", *rest))
    pd.DataFrame(cells, columns=HEADER).to_csv(folder / f"{name}.csv", index=False)
    return folder / f"{name}.csv"


def pairs(rows: list[tuple]) -> list[tuple]:
    return [(picture, text) for picture, text, *_ in rows]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run of a table whose kind both columns tell, and a table of new rows beside it."""
    folder = tmp_path_factory.mktemp("pairs")
    write(folder, "new", rows_of(8, 1))
    table = write(folder, "t", rows_of(40, 0))
    library.tune(table, input="photo,story", label="kind", out=folder / "run", **QUICK)
    return folder


def test_both_are_better_than_each_alone_where_both_tell(place):
    scores = json.loads((place / "run" / "scores.json").read_text())
    arms = [arm["name"] for arm in scores["arms"]]
    assert arms[-4:-1] == ["image alone", "text alone", "image and text"]
    inputs = scores["inputs"]
    assert inputs["reads"] == "image and text"
    assert inputs["gain"]["low"] > 0.1
    assert inputs["sentence"].startswith(f"Image and text together answer better than the {inputs['best']}; accuracy ")
    assert inputs["sentence"].endswith(" The model reads both.")


@pytest.mark.parametrize(("label", "best"), [("shade", "image alone"), ("animal", "text alone")])
def test_one_alone_is_as_good_where_the_other_says_nothing(place, label, best):
    run = library.tune(place / "t.csv", input=["story", "photo"], label=label, **QUICK)
    inputs = run.scores.inputs
    assert (inputs.best, inputs.reads) == (best, best)
    assert inputs.gain.holds_zero
    as_good = (
        f"The {best} is as good as image and text together: these rows cannot tell them apart; accuracy differs by "
    )
    assert inputs.sentence.startswith(as_good)
    assert inputs.sentence in str(run.scores)
    assert inputs.sentence.endswith(
        f" The model reads the {best}: name that column alone, and it asks for nothing else."
    )
    assert run.model.view.backbones == (f"toy-{best.split()[0]}",)


def test_the_result_is_told_in_the_terminal_and_answers_are_written(place, handful, tmp_path):
    ended = handful("report", place / "run")
    assert "Image and text together answer better than the " in ended.out
    ended = handful("predict", place / "run", place / "new.csv", "--out", "answers.csv")
    assert ended.code == 0, ended.err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "answers.csv").read_text())))
    assert list(rows[0])[:3] == ["line", "photo", "story"]
    assert [row["predicted kind"] for row in rows] == [row[2] for row in rows_of(8, 1)]


def test_rows_that_cannot_be_read_are_told_and_others_answered(place, handful, tmp_path):
    frame = pd.read_csv(place / "new.csv")[["photo", "story"]]
    frame.loc[1, "photo"], frame.loc[2, "story"] = "gone.png", ""
    frame.to_csv(place / "holes.csv", index=False)
    ended = handful("predict", place / "run", place / "holes.csv")
    rows = list(csv.reader(io.StringIO(ended.out)))
    assert len(rows[2][-2]) == 0 and len(rows[3][-2]) > 0
    assert "its picture gone.png cannot be used: the file does not exist" in ended.err


def test_a_model_answers_pairs_frames_and_columns(place):
    model, rows = library.Bundle.load(place / "run"), rows_of(8, 1)
    wanted = [row[2] for row in rows]
    frame = pd.DataFrame({"story": [row[1] for row in rows], "photo": [row[0] for row in rows]})
    assert model.predict(pairs(rows)) == model.predict(frame) == wanted
    assert library.predict(place / "run", place / "new.csv", input=["story", "photo"]) == wanted
    assert model.predict_proba(pairs(rows)).shape == (8, 4)
    assert (model.modality, model.input) == ("image+text", "photo,story")
    with pytest.raises(DataError) as error:
        model.predict(["a text"])
    assert str(error.value) == (
        "item 0 cannot be read: this must be a picture with its text, as (picture, text), got str."
    )


def test_a_copy_answers_alike(place, tmp_path):
    model = library.Bundle.load(place / "run")
    model.save(tmp_path / "copy")
    some = pairs(rows_of(8, 1))
    assert np.array_equal(library.Bundle.load(tmp_path / "copy").outputs(some), model.outputs(some))


def test_report_and_predictions_show_both(place, tmp_path):
    rows = rows_of(40, 0)
    labels = [row[2] for row in rows]
    labels[5] = labels[0]  # a mistake, to be shown
    run = library.tune(pairs(rows), labels, out=tmp_path / "run", **QUICK)
    page = (tmp_path / "run" / "report.html").read_text()
    assert f'dir="auto">{rows[5][1]}<' in page
    assert "data:image/jpeg;base64," in page
    assert run.scores.inputs.sentence in page
    assert "(Path(&#34;new.jpg&#34;), &#34;its text&#34;)" in page
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert 'model.predict([(Path("new.jpg"), "its text")])' in card
    told = list(csv.DictReader(io.StringIO((place / "run" / "predictions.csv").read_text())))
    assert told[0]["input"] == f"{place / 'photos' / 't0.png'} | {rows[0][1]}"


def test_what_one_alone_was_seen_in_is_not_looked_at_again(place, monkeypatch):
    from handful.backbones.toy import ToyImage

    rows = rows_of(24, 3)
    library.tune([row[0] for row in rows], [row[3] for row in rows], budget=0, backbone="toy-image")

    def prepare(self, items):
        raise AssertionError("pictures are looked at again")

    monkeypatch.setattr(ToyImage, "prepare", prepare)
    monkeypatch.setattr("handful.export.specimens.by_part", lambda *args: ())
    library.tune(pairs(rows), [row[2] for row in rows], **QUICK)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([["ring", "acid"] if i % 3 else ["acid"] if i % 2 else ["ring"] for i in range(24)], "multilabel"),
        ([1 + i % 4 for i in range(24)], "ordinal"),
        ([0.5 + 2.0 * (i % 4) for i in range(24)], "regression"),
    ],
)
def test_every_kind_of_target_of_heads_can_be_learned(values, task, tmp_path):
    some = pairs(rows_of(24, 0))
    run = library.tune(some, values, task=task, out=tmp_path / "run", **QUICK)
    assert run.scores.inputs.sentence in (tmp_path / "run" / "report.html").read_text()
    assert len(library.Bundle.load(tmp_path / "run").predict(some[:2])) == 2


def test_several_targets_and_groups(place, handful, tmp_path):
    ended = handful(
        "tune", place / "t.csv", "--input", "photo,story", "--label", "shade,animal", "--backbone", TOYS, "--budget",
        "0", "--out", "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "2 targets of the same pictures with texts" in (tmp_path / "run" / "report.html").read_text()
    ended = handful("predict", "run", place / "new.csv")
    assert ended.code == 0, ended.err


def test_rows_without_a_label_are_learned_from_too(place):
    rows = rows_of(40, 0)
    labels = [row[2] if i < 24 else "" for i, row in enumerate(rows)]
    run = library.tune(pairs(rows), labels, **QUICK)
    assert len(run.data.unlabelled) == 16
    assert "self-training" in [arm.name for arm in run.scores.arms]
    pool = write(place, "pool", rows_of(20, 5))
    run = library.tune(place / "t.csv", input="photo,story", label="kind", unlabelled=pool, **QUICK)
    assert "self-training" in [arm.name for arm in run.scores.arms]
    assert run.scores.inputs is not None


def test_a_backbone_that_counts_may_read_the_texts():
    rows = rows_of(24, 0)
    run = library.tune(pairs(rows), [row[2] for row in rows], budget=0, backbone="char-ngrams,toy-image")
    assert run.scores.inputs.best == "text alone"
    assert len(run.predict(pairs(rows[:3]))) == 3


def test_a_test_split_is_scored(place):
    rows = rows_of(40, 0)
    split = ["test" if i >= 28 else "train" for i in range(40)]
    run = library.tune(pairs(rows), [row[2] for row in rows], split=split, **QUICK)
    assert run.scores.test_n == 12


def test_inspection_finds_copies_of_pairs_and_not_of_one_side(place, handful):
    rng = np.random.default_rng(4)
    photos = [np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(20)]
    photos = [np.clip(photo + rng.normal(0, 9, photo.shape), 0, 255).astype(np.uint8) for photo in photos]
    rows = [
        (photo, f"a {word} thing for sale, number {i}")
        for i, (photo, word) in enumerate(zip(photos, "ab" * 10, strict=True))
    ]
    smaller = np.asarray(Image.fromarray(photos[2]).resize((56, 56)))
    rows += [(photos[0], rows[0][1].upper()), (photos[1], "quite another text"), (smaller, f"{rows[2][1]}!")]
    found = library.inspect(rows, ["a", "b"] * 10 + ["a", "b", "a"], backbone=TOYS)
    copies = {finding.kind: finding.rows for finding in found if "duplicate" in finding.kind}
    assert copies == {"duplicate": (0, 20), "near_duplicate": (2, 22)}
    ended = handful("inspect", place / "t.csv", "--input", "photo,story", "--label", "kind", "--backbone", TOYS)
    assert ended.code == 0, ended.err
    assert "40 rows of images with texts in 4 classes" in ended.out
    assert "cannot be told apart" not in ended.out  # by one of the two alone they could not
    assert "characters per text: " in ended.out and "pixels of the shorter side: 16 to 16" in ended.out


def test_a_model_is_checked_with_new_rows(place, handful):
    ended = handful("check", place / "run", place / "new.csv")
    assert "measured 100%" in ended.out, ended.err


def test_a_run_is_updated_with_new_rows(place, handful, tmp_path):
    ended = handful("update", place / "run", place / "new.csv", "--out", "more", "--anyway")
    assert ended.code == 0, ended.err
    assert len(library.Bundle.load(tmp_path / "more").known_rows().rows) == 48


REFUSED = {
    "explain": (
        "explain hides parts of one text, picture or sound, got a model of images with texts. Tune with one of the two "
        "columns to see what its answers hang on."
    ),
    "serve": (
        "serve reads one text, picture or sound at a time, got a model of images with texts ({run}). Answer tables of "
        "both with `handful predict`, or in Python with handful.Bundle.load(run).predict(pairs)."
    ),
    "export": (
        "--format onnx is for models of texts, pictures and sounds, got one of images with texts. Export without it, "
        "for handful."
    ),
}


@pytest.mark.parametrize(
    ("command", "rest"),
    [("explain", ["new.csv"]), ("serve", ["--port", "0"]), ("export", ["--format", "onnx", "--out", "copy"])],
)
def test_what_a_model_of_both_cannot_do(place, handful, command, rest):
    ended = handful(command, place / "run", *rest)
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == "handful: " + REFUSED[command].format(run=place / "run")


def test_no_graph_is_made_of_both(place, tmp_path):
    from handful.export.onnx.exporting import ExportOptions, KnownRows, export_onnx

    with pytest.raises(OptionError) as error:
        export_onnx(library.Bundle.load(place / "run"), tmp_path / "copy", KnownRows(), ExportOptions())
    assert str(error.value) == (
        "a model of images with texts must be answered by handful, got a wish for ONNX, whose folders prepare one "
        "text, picture or sound. Export without --format."
    )


def test_what_is_not_answered_from_a_table(place, handful):
    ended = handful("predict", place / "run", "a loose foot")
    assert ended.err == (
        "handful: a loose foot does not exist, and no text is an item for a model of images with texts. Name a file, a "
        "folder or a table.\n"
    )
    ended = handful("predict", place / "run", place / "photos")
    assert ended.err.splitlines()[-1].startswith(
        f"handful: the model reads images with texts, but {place / 'photos'} is no table. Give a table ("
    )


def refused(*args, **options) -> str:
    with pytest.raises(OptionError) as error:
        library.tune(*args, **{**QUICK, **options})
    return str(error.value)


def test_options_that_rows_with_both_cannot_follow(place):
    table, named = place / "t.csv", {"input": "photo,story", "label": "kind"}
    assert refused(table, **named, strategies="lora") == (
        f"strategies lora move the weights of one backbone, got images with texts from {table}, which two read. Leave "
        "them out, or learn from one of the two columns."
    )
    assert refused(table, **named, carry_items=True) == (
        f"--carry-items is for items of one input, got images with texts from {table}. Leave it out: the model is "
        "tested on public items when it is loaded."
    )
    assert refused(table, **named, related=str(table)) == (
        "--with is for labelled texts, pictures and sounds, got images with texts. Leave it out."
    )
    rows = rows_of(24, 0)
    assert refused(pairs(rows), ["good"] * 20 + ["bad"] * 4, task="defects") == (
        "defects are found in pictures, sounds and texts, got images with texts in the list. Learn classes with --task "
        "classification."
    )
    assert refused(table, **named, backbone="toy-image,toy-sound") == (
        "backbone 'toy-sound' must read images or texts and say which, since items are images with texts, got one for "
        "sound. Choose one of efficientnet-lite0, efficientnet-lite2, minilm-l6, bge-small-en, or a base that `handful "
        "adapt` wrote."
    )
    assert "got a folder or hub id, which does not say what it reads" in refused(table, **named, backbone=str(place))


def test_one_of_the_two_is_labelled_and_adapted_to_at_a_time(place, handful):
    ended = handful("label", place / "t.csv", "--input", "photo,story", "--port", "0")
    assert ended.err.splitlines()[-1] == (
        f"handful: label asks about one text, picture or sound at a time, got images with texts in {place / 't.csv'}. "
        "Name one of the two columns with --input."
    )
    ended = handful("adapt", place / "t.csv", "--input", "photo,story", "--out", "base")
    assert ended.code == 1
    assert "must hold one text per item, got pairs of texts. Name one column." in ended.err


def test_a_site_reads_one_of_the_two(place):
    from handful.data.columns import Wanted
    from handful.web.federated.taking_part import Given, _read

    given = Given(str(place / "t.csv"), "north", place / "site", Wanted("photo,story", "kind"))
    with pytest.raises(OptionError) as error:
        _read(given, None, print)
    assert str(error.value) == (
        f"sites fit together on one input, got images with texts in {place / 't.csv'}. Name one of the two columns "
        "with --input."
    )
