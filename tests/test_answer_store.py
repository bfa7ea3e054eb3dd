"""The answer store: what was accepted stays, whoever writes beside it, however it ends; what is none is told."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from handful.answer_store import (
    LABEL,
    SKIP,
    UNSURE,
    Answer,
    AnswerStore,
    StoredItem,
    agreed_labels,
    csv_text,
    export_table,
    relative,
)
from handful.data.dataset import item_hash
from handful.data.pairs import Pair
from handful.data.readers import load
from handful.data.spans import labels_in_spans
from handful.errors import DataError, MachineError, OptionError


@pytest.fixture
def store(tmp_path):
    with AnswerStore(tmp_path / "labels.sqlite") as opened:
        yield opened


def said(store: AnswerStore, text: str, label: str | None, act: str = LABEL, **more) -> Answer:
    item = StoredItem.of(text, "text")
    answer = Answer(item.item, act, label, **more)
    store.add([answer], [item])
    return answer


def test_what_was_accepted_is_there_when_the_file_is_opened_again(tmp_path):
    with AnswerStore(tmp_path / "new" / "labels.sqlite") as store:
        answer = said(store, "a hill", "ants", guess="bees", confidence=0.75, model="3", person="Ada", asked="control")
        store.add_class("ants")
        store.set_fact("task", "classification")
    with AnswerStore(tmp_path / "new" / "labels.sqlite") as store:
        assert store.log() == [answer]
        assert store.labels() == {item_hash("a hill"): "ants"}
        assert store.items()[item_hash("a hill")].text == "a hill"
        assert store.classes() == ["ants"]
        assert (store.fact("task"), store.fact("none")) == ("classification", None)


def test_the_same_answer_sent_twice_is_kept_once(store):
    answer = said(store, "a", "ants")
    assert store.add([answer]) == [False]
    assert store.add([Answer(answer.item, LABEL, "bees", id=answer.id)]) == [False]
    assert [one.label for one in store.log()] == ["ants"]


def test_all_or_none_of_several_answers_are_accepted(store):
    known = StoredItem.of("a", "text")
    with pytest.raises(MachineError, match="FOREIGN KEY"):
        store.add([Answer(known.item, LABEL, "ants"), Answer("f" * 64, LABEL, "ants")], [known])
    assert store.log() == []
    assert store.items() == {}


def test_the_last_word_of_each_person_stands_and_undo_takes_back_only_ones_own(store):
    said(store, "a", "ants", person="Ada")
    said(store, "a", "bees", person="Bo")
    last = said(store, "a", "wasps", person="Ada")
    assert [(one.person, one.label) for one in store.standing()] == [("Bo", "bees"), ("Ada", "wasps")]
    assert store.undo("Ada") == [last]
    assert {one.person: one.label for one in store.standing()} == {"Ada": "ants", "Bo": "bees"}
    assert [one.label for one in store.undo("Ada", "first try")] == ["ants"]
    assert [one.label for one in store.undo("Ada", "first try")] == ["ants"]  # sent again, done once
    assert store.undo("Ada") == []
    assert [one.label for one in store.standing()] == ["bees"]


def test_skipped_and_unsure_items_have_no_label(store):
    said(store, "a", None, SKIP)
    said(store, "b", "ants")
    said(store, "b", None, UNSURE)
    assert store.labels() == {}


def test_most_people_decide_and_where_they_do_not_the_last_word():
    def of(*labels):
        return [Answer("i", LABEL, label, person=str(i), time=i) for i, label in enumerate(labels)]

    assert agreed_labels(of("a", "b", "a")) == {"i": "a"}
    assert agreed_labels(of("a", "b")) == {"i": "b"}
    assert agreed_labels(of("b", "a")) == {"i": "a"}
    assert agreed_labels(of("a", "b", "b", "a")) == {"i": "a"}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer("i", "erase"), "an act must be one of label, skip, unsure, undo, got 'erase'. Correct it."),
        (
            Answer("i", SKIP, asked="luck"),
            "asked must be one of typical, informative, control, searched, alike, second look, correction, given, "
            "got 'luck'. Correct it.",
        ),
        (
            Answer("i", LABEL, " "),
            "the label of an answer must be a text for a label, and for nothing else, got ' ' for label. Correct it.",
        ),
        (
            Answer("i", SKIP, "ants"),
            "the label of an answer must be a text for a label, and for nothing else, got 'ants' for skip. Correct it.",
        ),
    ],
)
def test_what_is_no_answer_is_refused(store, answer, text):
    with pytest.raises(DataError) as raised:
        store.add([answer])
    assert str(raised.value) == text


def test_an_item_that_is_neither_text_nor_file_is_refused():
    with pytest.raises(OptionError) as raised:
        StoredItem.of((1, 2), "sound")
    assert str(raised.value) == (
        "an item must be a text, two texts or the path of a file, got tuple. Save it as a file."
    )


def test_bytes_are_kept_by_their_content_and_nothing_of_their_name_but_the_ending(store):
    one = store.keep_bytes(b"bytes", "../../etc/a.PNG", "image")
    two = store.keep_bytes(b"bytes", "b.png", "image")
    assert one == two
    place = Path(one.file)
    assert place.parent == store.kept
    assert (item_hash(place), place.read_bytes()) == (one.item, b"bytes")
    assert [path.name for path in store.kept.iterdir()] == [f"{one.item}.png"]
    with pytest.raises(DataError, match=r"^an image must|^a image must have a name with an ending that is known"):
        store.keep_bytes(b"bytes", "a.sh", "image")


def test_a_file_that_moved_is_found_where_it_is_now(store, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"same")
        store.keep([StoredItem.of(tmp_path / name, "image")])
    assert [item.file for item in store.items().values()] == [str(tmp_path / "b.png")]


# Several at once, and deaths -----------------------------------------------------------------------------------------


def test_threads_and_connections_write_side_by_side(tmp_path):
    file = tmp_path / "labels.sqlite"
    shared = AnswerStore(file)

    def work(n: int) -> None:
        with AnswerStore(file) as own:
            for i in range(10):
                said(own, f"{n} {i}", "ants", person=str(n))
                said(shared, f"{n} {i}", "bees", person="shared")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shared.log()) == 80
    shared.close()


WRITER = """
import sys
from handful.answer_store import Answer, AnswerStore, StoredItem
store = AnswerStore(sys.argv[1])
for i in range(10_000):
    item = StoredItem.of(f"text {i}", "text")
    store.add([Answer(item.item, "label", "ants")], [item])
    sys.stdout.write(f"{item.item}\\n")
    sys.stdout.flush()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kill_loses_nothing_that_was_accepted(tmp_path):
    file = tmp_path / "labels.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
        told = [writer.stdout.readline().strip() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().split("\n")[:-1]  # whole lines
    with AnswerStore(file) as store:
        assert set(told) <= set(store.labels())
        assert len(store.log()) - len(told) in (0, 1)


# What is wrong with a file -------------------------------------------------------------------------------------------


def test_another_kind_of_file_is_left_alone(tmp_path):
    file = tmp_path / "labels.sqlite"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    before = file.read_bytes()
    with pytest.raises(DataError) as raised:
        AnswerStore(file)
    assert str(raised.value) == (
        f"{file} must be a store of answers of version 1 or older, got another kind of file. Choose another place."
    )
    assert file.read_bytes() == before


def test_a_newer_store_is_told(tmp_path):
    file = tmp_path / "labels.sqlite"
    AnswerStore(file).close()
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA user_version = 7")
    other.close()
    with pytest.raises(DataError, match=r"of version 1 or older, got version 7 of one\. Update handful\.$"):
        AnswerStore(file)


def test_a_store_that_declares_something_else_is_told(tmp_path):
    file = tmp_path / "labels.sqlite"
    AnswerStore(file).close()
    with sqlite3.connect(file) as other:
        other.execute("CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END")
    other.close()
    with pytest.raises(DataError, match="its tables are not those that handful makes"):
        AnswerStore(file)


def test_a_damaged_file_is_told_and_what_to_do(tmp_path):
    file = tmp_path / "labels.sqlite"
    with AnswerStore(file) as store:
        for i in range(50):
            said(store, f"text {i}" * 20, "ants")
    content = bytearray(file.read_bytes())
    content[4096 : 4096 * 4] = b"\xff" * (4096 * 3)
    file.write_bytes(content)
    with pytest.raises(DataError) as raised:
        AnswerStore(file)
    assert str(raised.value).startswith(f"{file} must be a whole store of answers, got a damaged one (")
    assert str(raised.value).endswith("the CSV file that was written beside it holds the labels.")


def test_a_text_file_of_that_name_is_told(tmp_path):
    file = tmp_path / "labels.sqlite"
    file.write_text("text,label\n" * 500)
    with pytest.raises(DataError, match="got a damaged one"):
        AnswerStore(file)


def test_a_folder_of_that_name_is_told(tmp_path):
    with pytest.raises(DataError, match="must be an ordinary file, got a folder"):
        AnswerStore(tmp_path)


def test_a_full_disk_is_told_and_nothing_is_lost(store):
    said(store, "a", "ants")
    store._connection.execute("PRAGMA max_page_count = 12")
    with pytest.raises(MachineError, match=r"cannot be written: database or disk is full\. Free some space"):
        for i in range(500):
            said(store, f"long {i}" * 100, "ants")
    count = len(store.log())
    store._connection.execute("PRAGMA max_page_count = 100000")
    said(store, "b", "bees")
    assert len(store.log()) == count + 1


def test_a_program_that_does_not_let_go_is_told(tmp_path):
    file = tmp_path / "labels.sqlite"
    with AnswerStore(file) as first, AnswerStore(file, patience=0.01) as second:
        first._connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(MachineError, match="another program is writing to it and does not end"):
            said(second, "a", "ants")
        first._connection.execute("ROLLBACK")
        said(second, "a", "ants")


# What tune reads -----------------------------------------------------------------------------------------------------


def test_texts_are_read_back_by_the_reader_of_tune(store, tmp_path):
    texts = ['a "hill", and\na march', "=1+1", "héllo", "ants | bees"]
    for i, text in enumerate(texts):
        said(store, text, ("ants", "bees")[i % 2])
    assert export_table(store, tmp_path / "labels.csv") == 4
    data = load(tmp_path / "labels.csv")
    assert (list(data.items), data.labels, data.target) == (texts, ("ants", "bees") * 2, "label")


def test_pairs_are_read_back_by_the_reader_of_tune(store, tmp_path):
    for i in range(6):
        item = StoredItem.of(Pair(f"first {i}", f"second {i}"), "text")
        store.add([Answer(item.item, LABEL, ("same", "other")[i % 2])], [item])
    export_table(store, tmp_path / "labels.csv")
    data = load(tmp_path / "labels.csv")
    assert data.pairs
    assert data.items[0].second == "second 0"


def test_files_are_named_from_the_folder_of_the_table_and_several_labels_are_joined(store, tmp_path):
    for i in range(4):
        place = tmp_path / "photos" / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(bytes([i]))
        item = StoredItem.of(place, "image")
        store.add([Answer(item.item, LABEL, ("ants", "ants|bees", "(none)", "bees")[i])], [item])
    export_table(store, tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open() as table:
        assert next(csv.reader(table)) == ["file", "label"]
    data = load(tmp_path / "labels.csv", task="multilabel")
    assert list(data.items) == [tmp_path / "photos" / f"{i}.png" for i in range(4)]
    assert data.labels == ("ants", "ants|bees", "(none)", "bees")


def test_a_file_elsewhere_is_named_by_its_whole_path(tmp_path):
    assert relative(str(tmp_path / "a" / "b.png"), tmp_path / "a") == "b.png"
    assert relative(str(tmp_path / "ab" / "b.png"), tmp_path / "a") == str(tmp_path / "ab" / "b.png")


def test_an_empty_store_is_an_empty_table(tmp_path):
    assert csv_text({}, {}, tmp_path) == ("text,label\n", 0)


def test_marked_texts_are_read_back_by_the_reader_of_tune(store, tmp_path):
    texts = ["Anna sees Bert", "nobody 🙂 is here", "then Cleo comes"]
    for text, label in zip(texts, ('[[0, 4, "person"], [10, 14, "person"]]', "[]", '[[5, 9, "person"]]'), strict=True):
        said(store, text, label)
    assert export_table(store, tmp_path / "labels.jsonl") == 3
    data = load(tmp_path / "labels.jsonl")
    assert (data.task, list(data.items)) == ("tagging", texts)
    spans = [labels_in_spans(cell) for cell in data.labels]
    assert spans == [[(0, 4, "person"), (10, 14, "person")], [], [(5, 9, "person")]]
