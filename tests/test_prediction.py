"""Whole sources answered: every row, in its order, in bounded memory, safe to open in a spreadsheet."""

import csv
import io
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import handful
from handful import prediction
from handful.answer_files import Form, write_answers
from handful.backbones.toy import ToyImage, ToyText
from handful.errors import BundleError, DataError, MachineError, OptionError
from handful.export.bundle import Bundle
from handful.features.view import View
from handful.plan import share_of
from handful.prediction import Doubts, Written, answers
from handful.tasks.classification import CLASSIFICATION


def model_of(modality="text", labels=("ants", "bees"), input=None):  # noqa: A002
    toy = {"text": ToyText, "image": ToyImage}[modality]()
    rng = np.random.default_rng(0)
    return Bundle(
        CLASSIFICATION, modality, labels, View(((toy.name, 2),)), {toy.name: toy.fingerprint}, "ridge",
        rng.normal(size=(32, len(labels))).astype(np.float32), np.zeros(len(labels), np.float32), input=input,
    )  # fmt: skip


@pytest.fixture
def answer(tmp_path):
    """Answer a source in the short form; the rows of the file without their lines, what was said, and two counts."""

    def run(source, model=None, probabilities=False, short=True, **options):
        said = []
        model = model or model_of()
        written = write_answers(
            answers(model, source, **options), "label", Form(tmp_path / "out.csv", probabilities, short), said.append
        )
        counts = (written.rows, written.missed)
        with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        numbered = rows[0][0] == "line"
        return [row[numbered:] for row in rows], said, counts

    return run


def lines(path: Path, *texts: str) -> Path:
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def test_one_row_per_input_in_input_order(tmp_path, answer, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 3)
    texts = [f"text {i} {'word ' * (i % 4)}".strip() for i in range(10)]
    found, said, counts = answer(lines(tmp_path / "new.txt", *texts))
    assert found[0] == ["input", "label", "confidence"]
    assert [row[0] for row in found[1:]] == texts
    assert [row[1] for row in found[1:]] == model_of().predict(texts)
    best = model_of().predict_proba(texts).max(1)
    assert [row[2] for row in found[1:]] == [f"{p:.4f}" for p in best]
    assert (said, counts) == ([], (10, 0))


def test_a_column_per_class(tmp_path, answer):
    model = model_of(labels=("ants", "bees", "wasps"))
    found, _, _ = answer(lines(tmp_path / "new.txt", "a b", "c d"), model, probabilities=True)
    assert found[0] == ["input", "label", "confidence", "ants", "bees", "wasps"]
    for row, proba in zip(found[1:], model.predict_proba(["a b", "c d"]), strict=True):
        assert row[3:] == [f"{p:.4f}" for p in proba]
        assert row[2] == max(row[3:])


def test_cells_that_a_spreadsheet_would_run_are_defused(tmp_path, answer):
    model = model_of(labels=("+bees", "=ants()"))
    texts = ["=1+1", "-2+1", "@x", "+3", "plain", "\tx", "5 - 3"]
    found, _, _ = answer(lines(tmp_path / "new.txt", *texts), model, probabilities=True)
    assert [row[0] for row in found[1:]] == ["'=1+1", "'-2+1", "'@x", "'+3", "plain", "'\tx", "5 - 3"]
    assert {row[1] for row in found[1:]} <= {"'=ants()", "'+bees"}
    assert found[0][3:] == ["'+bees", "'=ants()"]


def test_texts_with_commas_quotes_and_line_breaks_stay_one_cell(tmp_path, answer, table):
    texts = ['say "no", twice', "first\nsecond", "süß 日本"]
    found, _, _ = answer(table([[text] for text in texts], ["text"]))
    assert [row[0] for row in found[1:]] == texts


def test_rows_without_an_answer_keep_their_place_and_are_told(tmp_path, answer, table):
    path = table([["a b"], [" "], ["c d"], [""]], ["text"], name="new.csv")
    path.write_text("text,n\na b,1\n ,2\nc d,3\n,4\n")
    found, said, counts = answer(path, model_of(input="text"), probabilities=True)
    assert found[2] == [" ", "", "", "", ""]
    assert [bool(row[1]) for row in found[1:]] == [True, False, True, False]
    assert said == ["not answered: line 3: the text is empty", "not answered: line 5: the text is empty"]
    assert counts == (4, 2)


def test_pictures_that_cannot_be_read_are_told_by_name(tmp_path, answer, pictures):
    folder = pictures({"dark": 3, "light": 3})
    (folder / "dark/1.png").write_bytes(b"nonsense")
    (folder / "light/0.png").write_bytes(b"")
    found, said, counts = answer(folder, model_of("image"))
    assert [row[0] for row in found[1:]] == [f"{folder}/{c}/{i}.png" for c in ("dark", "light") for i in range(3)]
    assert [i for i, row in enumerate(found[1:]) if not row[1]] == [1, 3]
    assert said == [
        f"not answered: {folder}/dark/1.png: it is not a picture in a known format. "
        "Convert it to JPEG or PNG, or remove it",
        f"not answered: {folder}/light/0.png: the file is empty (0 bytes)",
    ]
    assert counts == (6, 2)


def test_the_column_of_the_training_is_read_without_a_word(answer, table):
    rows = [[f"short {i}", f"a much longer story about number {i} " * 5] for i in range(4)]
    path = table(rows, ["title", "story"])
    found, said, _ = answer(path, model_of(input="title"))
    assert (found[1][0], said) == ("short 0", [])
    found, said, _ = answer(path, model_of(input="gone"))
    assert found[1][0].startswith("a much longer")
    assert said == ['column "story" is taken as the text; use --input to choose another']
    found, _, _ = answer(path, model_of(input="title"), input="story")
    assert found[1][0].startswith("a much longer")


def test_a_column_that_is_named_must_be_there(tmp_path, answer, table):
    path = table([["a b", "x"]], ["text", "kind"])
    with pytest.raises(OptionError) as error:
        answer(path, input="txt")
    assert str(error.value) == (
        f"column \"txt\", given as the input, is not in {path} (columns: text, kind). Did you mean 'text'?"
    )
    for source in (lines(tmp_path / "new.txt", "a b"), tmp_path):
        with pytest.raises(OptionError) as error:
            answer(source, input="text")
        assert str(error.value) == f"--input names a column of a table, but {source} is none. Leave it out."


def test_nothing_is_written_where_nothing_can_be_answered(tmp_path, answer):
    (tmp_path / "out.csv").write_text("old")
    for source, said in (
        (tmp_path / "gone.csv", f"{tmp_path}/gone.csv does not exist."),
        (lines(tmp_path / "blank.txt", " ", ""), f"{tmp_path}/blank.txt has no row that can be answered."),
        (tmp_path, f"the model reads texts, but {tmp_path} is a folder."),
    ):
        with pytest.raises(DataError) as error:
            answer(source)
        assert str(error.value).startswith(said)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blank.txt", "out.csv"]


def test_not_even_the_first_line_is_printed_where_the_source_is_missing(tmp_path, capsys):
    with pytest.raises(DataError):
        write_answers(answers(model_of(), tmp_path / "gone.csv"), "label", Form(), print)
    assert capsys.readouterr().out == ""


def test_without_a_file_rows_are_printed(tmp_path, capsys):
    path = lines(tmp_path / "new.txt", "a b", "c d")
    write_answers(answers(model_of(), path), "label", Form(), print)
    assert [row[1] for row in csv.reader(io.StringIO(capsys.readouterr().out))] == ["input", "a b", "c d"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_stop_in_the_middle_leaves_the_old_file(tmp_path, answer, monkeypatch, error):
    (tmp_path / "out.csv").write_text("old")
    path = lines(tmp_path / "new.txt", *(f"text {i}" for i in range(9)))
    monkeypatch.setattr(prediction, "CHUNK", 3)
    calls = []

    def stop(done):
        calls.append(done)
        if len(calls) == 2:
            raise error

    with pytest.raises((KeyboardInterrupt, MachineError)):
        answer(path, tick=stop)
    assert (tmp_path / "out.csv").read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new.txt", "out.csv"]


def test_every_chunk_is_reported(tmp_path, answer, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 4)
    done = []
    answer(lines(tmp_path / "new.txt", *"abcdefghij"), tick=done.append)
    assert done == [4, 4, 2]


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 64)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    model, peaks = model_of(), []
    for count in (400, 4000):
        path = lines(tmp_path / f"{count}.txt", *(f"{i} " + 300 * "x" for i in range(count)))
        tracemalloc.start()
        write_answers(answers(model, path), "label", Form(tmp_path / "out.csv"), print)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_one_picture_alone(tmp_path, answer):
    Image.new("RGB", (9, 9)).save(tmp_path / "a b's é.png")
    found, _, counts = answer(tmp_path / "a b's é.png", model_of("image"))
    assert (found[1][0], counts) == (f"{tmp_path}/a b's é.png", (1, 0))


# Doubts ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tuned(sentences):
    import handful

    rows = sentences({"ants": 15, "bees": 15})
    texts, labels = zip(*rows, strict=True)
    run = handful.tune(list(texts), labels=list(labels), backbone="toy-text", budget=0, strategies="centroid,ridge")
    return run.model


def test_strange_rows_are_refused(tmp_path, answer, tuned):
    source = lines(tmp_path / "new.txt", "ants on a hill number 3", "quarterly invoice overdue payment")
    found, _, counts = answer(source, tuned, doubts=Doubts(reject=0.05))
    assert found[0] == ["input", "label", "confidence", "refused"]
    assert found[1][1::2] == ["ants", ""]
    assert found[2][1:] == ["", "", "yes"]
    assert counts == (2, 0)


STRANGE = [f"quarterly {i} invoice overdue payment {i % 7} number" for i in range(40)]
USUAL = [f"{'ants on a hill' if i % 2 else 'honey of bees'} number {i}" for i in range(40)]


def counted(model, source, doubts=Doubts(), out=None):  # noqa: B008 - frozen
    found = answers(model, source, doubts=doubts)
    return write_answers(found, "label", Form(out), print)


def test_refused_rows_are_not_counted_as_answered(tmp_path, tuned, capsys):
    written = counted(tuned, lines(tmp_path / "new.txt", *STRANGE), Doubts(reject=0.05))
    assert written.sentence == "0 of 40 rows answered, 40 refused as too unlike the training rows"
    assert written.warning == (
        "40 of 40 rows look stranger than 95% of the training rows: the model has learned from nothing like them, and "
        "what it answers to them is a guess."
    )


def test_a_batch_that_is_mostly_strange_is_said_unasked(tmp_path, tuned, capsys):
    written = counted(tuned, lines(tmp_path / "new.txt", *STRANGE))
    assert written.sentence == "40 of 40 rows answered"
    assert written.warning.endswith("to them is a guess; --reject 5% refuses such rows.")
    usual = counted(tuned, lines(tmp_path / "usual.txt", *USUAL))
    assert (usual.sentence, usual.warning) == ("40 of 40 rows answered", "")


def test_one_strange_row_may_be_chance_and_so_few_training_rows_call_nothing_strange(tmp_path, capsys):
    assert Written(rows=1, strange=1, level=0.05).warning == ""
    assert Written(rows=2, strange=2, level=0.05).warning.startswith("2 of 2 rows")
    assert Written(rows=40, strange=20, level=0.05).warning == ""
    ten = Written(rows=40, strange=40, level=1 / 11)
    assert "stranger than 91% of the training rows" in ten.warning
    assert "--reject 10% refuses" in ten.warning
    assert counted(model_of(), lines(tmp_path / "new.txt", *STRANGE)).warning == ""


def test_every_answer_knows_how_unlike_the_training_rows_its_row_is(tmp_path, tuned, table):
    source = table([[text] for text in (STRANGE[0], "", USUAL[1])], ["text"])
    source.write_text(f"text,n\n{STRANGE[0]},1\n,2\n{USUAL[1]},3\n")
    strange, failed, usual = next(answers(tuned, source)).rarity
    assert strange <= 0.05 < usual
    assert failed == 1
    asked = next(answers(tuned, source, doubts=Doubts(reject=0.05))).refused
    assert asked.tolist() == [True, False, False]
    assert next(answers(model_of(), source)).rarity is None


def test_sets_hold_the_answer_first(tmp_path, answer, tuned):
    source = lines(tmp_path / "new.txt", "ants on a hill number 3", "honey of bees", "quarterly invoice")
    found, _, _ = answer(source, tuned, probabilities=True, doubts=Doubts(reject=0.05, level=0.9))
    assert found[0] == ["input", "label", "confidence", "refused", "set", "ants", "bees"]
    assert [row[4].split("|")[0] for row in found[1:]] == ["ants", "bees", ""]
    assert all(row[5] for row in found[1:])


def test_no_column_is_added_unasked(tmp_path, answer, tuned):
    assert answer(lines(tmp_path / "new.txt", "ants"), tuned)[0][0] == ["input", "label", "confidence"]


@pytest.mark.parametrize(
    ("doubts", "text"),
    [
        (Doubts(reject=0.01), "the share to reject must lie between 3.2% and 100%, got 1.0%"),
        (Doubts(level=0.99), "the level of sets must lie between 0% and 96.8%, got 99.0%"),
    ],
)
def test_what_so_few_rows_cannot_say_is_refused_before_anything_is_read(tmp_path, tuned, doubts, text):
    with pytest.raises(OptionError, match=f"^{text}"):
        next(answers(tuned, lines(tmp_path / "new.txt", "ants"), doubts=doubts))


def test_doubts_need_a_model_that_knows_its_rows(tmp_path):
    for doubts in (Doubts(reject=0.05), Doubts(level=0.9)):
        with pytest.raises(BundleError, match="^the model keeps nothing of its training rows"):
            next(answers(model_of(), lines(tmp_path / "new.txt", "ants"), doubts=doubts))


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), (" 12.5 % ", 0.125), ("0.05", 0.05), ("99.9%", 0.999)])
def test_shares(text, share):
    assert share_of(text, "--reject") == pytest.approx(share)


@pytest.mark.parametrize("text", ["5", "0", "100%", "-1%", "five", "", "5%%", "nan", "inf"])
def test_what_is_no_share(text):
    with pytest.raises(OptionError) as caught:
        share_of(text, "--reject")
    assert str(caught.value) == (
        f"--reject must be a share between 0 and 1, such as 5% or 0.05, got {text!r}. Correct it."
    )


def test_items_answered_together_say_how_frequent_classes_are(tmp_path):
    labels = ["ants", "bees"] * 12
    texts = [f"{'hill march' if i % 2 == 0 else 'hive buzz'} row {i}" for i in range(24)]
    model = handful.tune(handful.load(texts, labels=labels), backbone="toy-text", budget=0).model
    (tmp_path / "new.txt").write_text("\n".join(f"hill march {i}" for i in range(40)))
    put_right, count = prediction.put_together(model, tmp_path / "new.txt")
    assert count == 40
    ants = list(model.labels).index("ants")
    shift = put_right.intercept - model.intercept
    assert shift[ants] > 0 > shift[1 - ants]
    assert put_right.predict_proba(["row"])[0, ants] > model.predict_proba(["row"])[0, ants]
    (tmp_path / "few.txt").write_text("hill march\nhive")
    same, count = prediction.put_together(model, tmp_path / "few.txt")
    assert (count, same.intercept.tolist()) == (2, model.intercept.tolist())


def test_numbers_are_not_answered_together(tmp_path):
    texts = [f"row {i} {'ants' * (i % 4)}" for i in range(24)]
    data = handful.load(texts, labels=[i % 4 + 0.5 for i in range(24)], task="regression")
    model = handful.tune(data, backbone="toy-text", budget=0).model
    (tmp_path / "new.txt").write_text("one\n")
    with pytest.raises(OptionError) as error:
        prediction.put_together(model, tmp_path / "new.txt")
    assert str(error.value) == (
        "--together is for classes that shut each other out: regression has no classes whose frequency the items could "
        "tell. Leave it out."
    )
