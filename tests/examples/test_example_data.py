"""The example data are what the documents say they are, small, and as their scripts write them."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def rows(name: str) -> list[dict[str, str]]:
    with (EXAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def imported(script: str):
    """A script of the examples as a module."""
    spec = importlib.util.spec_from_file_location(script, EXAMPLES / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written_again(script: str, folder: Path) -> Path:
    """Run a script of the examples as if it lay in ``folder``."""
    module = imported(script)
    module.HERE = folder
    module.main()
    return folder


def files(folder: Path, ending: str) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob(f"*{ending}"))}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def assert_the_same_pictures(drawn: dict[str, Path], there: dict[str, Path]) -> None:
    """By the same names; decoders of JPEG differ by a little."""
    assert list(drawn) == list(there)
    for name, path in drawn.items():
        assert np.abs(pixels(path).astype(int) - pixels(there[name]).astype(int)).mean() < 2


def test_the_tickets_are_sixty_in_five_topics_and_all_different():
    tickets = rows("tickets.csv")
    assert len(tickets) == 60
    counts = Counter(row["topic"] for row in tickets)
    assert set(counts) == {"billing", "login", "delivery", "bug", "cancellation"}
    assert min(counts.values()) >= 8
    new = rows("tickets_new.csv")
    assert len(new) == 60
    assert len({row["text"].casefold().strip() for row in tickets + new}) == 120


def test_the_answers_belong_to_the_new_tickets():
    answers = rows("tickets_new_answers.csv")
    assert [row["text"] for row in answers] == [row["text"] for row in rows("tickets_new.csv")]
    assert {row["topic"] for row in answers} == {row["topic"] for row in rows("tickets.csv")}
    assert list(rows("tickets_new.csv")[0]) == ["text"]


def test_the_pumps_have_vectors_and_their_script_writes_them_again(tmp_path):
    written_again("make_pumps", tmp_path)
    assert (EXAMPLES / "pumps.csv").read_text() == (tmp_path / "pumps.csv").read_text()
    assert set(Counter(row["state"] for row in rows("pumps.csv")).values()) == {10}
    for name, count in (("pumps.parquet", 30), ("pumps_new.parquet", 24)):
        there, again = (pd.read_parquet(folder / name) for folder in (EXAMPLES, tmp_path))
        assert there.shape == (count, 21)
        pd.testing.assert_frame_equal(there, again, atol=1e-3)
    assert set(pd.read_parquet(EXAMPLES / "pumps.parquet")["pump"]) == {row["pump"] for row in rows("pumps.csv")}


def test_the_dishes_are_known_by_the_names_that_were_clicked_on():
    dishes, clicks = pd.read_parquet(EXAMPLES / "dishes.parquet"), rows("clicks.csv")
    assert dishes.shape == (140, 49)
    assert dishes["dish"].is_unique
    assert {row["dish"] for row in clicks} < set(dishes["dish"])
    assert Counter(row["clicked"] for row in clicks) == {"no": 25, "yes": 15}
    assert sum(path.stat().st_size for path in EXAMPLES.glob("*.parquet")) < 200_000


def test_the_returns_have_pictures_and_messages_and_their_script_writes_them_again(tmp_path):
    written_again("make_returns", tmp_path)
    there, again = EXAMPLES / "returns", tmp_path / "returns"
    for name, count in (("returns", 40), ("returns_new", 8)):
        table = rows(f"returns/{name}.csv")
        assert len({row["photo"] for row in table}) == count
        assert (there / f"{name}.csv").read_text() == (again / f"{name}.csv").read_text()
    assert set(Counter(row["queue"] for row in rows("returns/returns.csv")).values()) == {10}
    assert_the_same_pictures(files(again, ".jpg"), files(there, ".jpg"))
    assert sum(path.stat().st_size for path in there.iterdir()) < 200_000


def test_the_digits_are_twenty_small_pictures():
    pictures = files(EXAMPLES / "digits", ".png")
    assert len(pictures) == 20
    assert set(Counter(name.split("/")[0] for name in pictures).values()) == {5}
    assert {pixels(path).shape for path in pictures.values()} == {(64, 64)}


def test_the_new_digits_are_forty_other_pictures():
    new, sorted_ones = list((EXAMPLES / "digits_new").glob("*.png")), (EXAMPLES / "digits").rglob("*.png")
    assert len(new) == 40
    assert not {path.name for path in new} & {path.name for path in sorted_ones}


@pytest.mark.parametrize("folder", ["digits", "digits_new"])
def test_the_digits_are_what_their_script_writes(folder, tmp_path):
    again = files(written_again("make_digits", tmp_path) / folder, ".png")
    there = files(EXAMPLES / folder, ".png")
    assert list(again) == list(there)
    for name, path in again.items():
        assert np.array_equal(pixels(path), pixels(there[name]))


def test_the_words_are_short_clips_of_six_speakers():
    clips = files(EXAMPLES / "words", ".flac")
    assert len(clips) == 30
    assert set(Counter(name.split("/")[0] for name in clips).values()) == {6}
    for path in clips.values():
        about = soundfile.info(path)
        assert (about.samplerate, about.channels) == (16_000, 1)
        assert 0.2 < about.duration < 1.5


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng, which speaks the words, is not installed")
def test_the_words_are_those_of_their_script(tmp_path):
    again = files(written_again("make_words", tmp_path) / "words", ".flac")
    assert list(again) == list(files(EXAMPLES / "words", ".flac"))


def test_making_words_without_a_speaker_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get install espeak-ng"):
        written_again("make_words", tmp_path)


def test_the_recordings_are_what_their_script_writes(tmp_path):
    folder = written_again("make_recordings", tmp_path) / "recordings"
    there = sorted((EXAMPLES / "recordings").iterdir())
    assert [path.name for path in sorted(folder.iterdir())] == [path.name for path in there]
    assert sum(path.stat().st_size for path in there) < 300_000
    for path in there:
        if path.suffix == ".flac":
            assert np.allclose(soundfile.read(path)[0], soundfile.read(folder / path.name)[0], atol=1 / 100)
        else:
            assert path.read_text("utf-8") == (folder / path.name).read_text("utf-8")


@pytest.mark.parametrize("folder", ["digits", "digits_new", "recordings", "words"])
def test_each_folder_is_small(folder):
    assert sum(path.stat().st_size for path in (EXAMPLES / folder).rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.slow
def test_the_parts_work_in_scikit_learns_company(capsys):
    imported("sklearn_pipeline").main("toy-text")
    said = capsys.readouterr().out
    assert "text and length: 33 columns" in said
    assert said.count("\n") == 5


@pytest.mark.integration
@pytest.mark.parametrize("script", ["python_api", "sklearn_pipeline"])
def test_the_scripts_run(script, capsys):
    imported(script).main()
    said = capsys.readouterr().out
    assert "accuracy" in said or script == "sklearn_pipeline"
    assert "['delivery']" in said


def test_the_tickets_learn_from_those_without_a_topic(tmp_path):
    import handful

    run = handful.tune(EXAMPLES / "tickets.csv", unlabelled=EXAMPLES / "tickets_new.csv", backbone="toy-text", budget=0)
    assert "self-training" in [arm.name for arm in run.scores.arms]
    assert run.plan.unlabelled == str(EXAMPLES / "tickets_new.csv")
    assert "unlabelled" in (run.save(tmp_path / "run") / "plan.yaml").read_text()


def test_the_sentences_are_as_their_script_writes_them_and_their_spans_are_names(tmp_path):
    again = written_again("make_sentences", tmp_path) / "sentences.jsonl"
    kept = (EXAMPLES / "sentences.jsonl").read_text("utf-8")
    assert again.read_text("utf-8") == kept
    sentences = [json.loads(line) for line in kept.splitlines()]
    assert len(sentences) == 50
    names = imported("make_sentences").NAMES
    for row in sentences:
        for span in row["spans"]:
            first, last = names[span["label"]]
            assert row["text"][span["start"] : span["end"]] in map("".join, itertools.product(first, last))


def test_the_cells_have_masks_that_lie_over_them_as_their_script_draws_them(tmp_path):
    there = files(EXAMPLES / "cells", ".jpg") | files(EXAMPLES / "cells_new", ".jpg")
    again = written_again("make_cells", tmp_path)
    drawn = files(again / "cells", ".jpg") | files(again / "cells_new", ".jpg")
    assert len(there) == 8
    assert_the_same_pictures(drawn, there)
    for name, path in files(EXAMPLES / "cells" / "masks", ".png").items():
        assert set(np.unique(pixels(path))) == {0, 128, 255}
        assert np.array_equal(pixels(path), pixels(again / "cells" / "masks" / name))
        assert pixels(path).shape == pixels(EXAMPLES / "cells" / "images" / f"{path.stem}.jpg").shape[:2]
    assert (
        sum(path.stat().st_size for name in ("cells", "cells_new") for path in files(EXAMPLES / name, "g").values())
        < 3e5
    )


def test_the_tiles_are_good_ones_and_a_few_bad_ones_as_their_script_draws_them(tmp_path):
    there = files(EXAMPLES / "tiles", ".jpg")
    assert Counter(name.split("/")[0] for name in there) == {"good": 16, "bad": 4}
    again = files(written_again("make_tiles", tmp_path) / "tiles", ".jpg")
    assert_the_same_pictures(again, there)


def test_the_seeds_are_trays_with_boxes_around_them_as_their_script_draws_them(tmp_path):
    there = files(EXAMPLES / "seeds", ".jpg") | files(EXAMPLES / "seeds_new", ".jpg")
    again = written_again("make_seeds", tmp_path)
    drawn = files(again / "seeds", ".jpg") | files(again / "seeds_new", ".jpg")
    assert len(there) == 13
    assert_the_same_pictures(drawn, there)
    told = json.loads((EXAMPLES / "seeds" / "boxes.json").read_text("utf-8"))
    assert told == json.loads((again / "seeds" / "boxes.json").read_text("utf-8"))
    assert Counter(told["categories"][one["category_id"]]["name"] for one in told["annotations"]).keys() == {
        "grain",
        "weed",
    }
    sizes = {one["id"]: (one["width"], one["height"]) for one in told["images"]}
    for one in told["annotations"]:
        left, top, width, height = one["bbox"]
        assert left >= 0
        assert top >= 0
        assert left + width <= sizes[one["image_id"]][0]
        assert top + height <= sizes[one["image_id"]][1]
    assert sum(path.stat().st_size for path in there.values()) < 3e5
