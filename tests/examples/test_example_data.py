"""The example data are what the documents say they are, small, and as their scripts write them."""

from __future__ import annotations

import csv
import importlib.util
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def rows(name: str) -> list[dict[str, str]]:
    with (EXAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written_again(script: str, folder: Path) -> Path:
    """Run a script of the examples as if it lay in ``folder``."""
    spec = importlib.util.spec_from_file_location(script, EXAMPLES / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.HERE = folder
    module.main()
    return folder


def files(folder: Path, ending: str) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob(f"*{ending}"))}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


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


@pytest.mark.parametrize("folder", ["digits", "digits_new", "words"])
def test_each_folder_is_small(folder):
    assert sum(path.stat().st_size for path in (EXAMPLES / folder).rglob("*") if path.is_file()) < 1_000_000


@pytest.mark.integration
@pytest.mark.parametrize("script", ["python_api", "sklearn_pipeline"])
def test_the_scripts_run(script, capsys):
    spec = importlib.util.spec_from_file_location(script, EXAMPLES / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()
    assert "accuracy" in capsys.readouterr().out or script == "sklearn_pipeline"


def test_the_tickets_learn_from_those_without_a_topic(tmp_path):
    import handful

    run = handful.tune(EXAMPLES / "tickets.csv", unlabelled=EXAMPLES / "tickets_new.csv", backbone="toy-text", budget=0)
    assert "self-training" in [arm.name for arm in run.scores.arms]
    assert run.plan.unlabelled == str(EXAMPLES / "tickets_new.csv")
    assert "unlabelled" in (run.save(tmp_path / "run") / "plan.yaml").read_text()
