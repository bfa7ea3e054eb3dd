"""The command that opens a page to label: what it refuses, that it goes on where it was killed, and what it leaves."""

from __future__ import annotations

import signal

import pytest

from handful.answer_store import AnswerStore
from handful.cli import labelling
from handful.data.readers import load
from label_servers import Server
from labelled_pools import answer, kind_of_text, texts


@pytest.fixture
def pool(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(texts()))
    return file


def test_labels_survive_a_kill_and_the_same_command_goes_on(pool, tmp_path, signals):
    first = Server(pool, "--classes", "ants,bees,wasps", cwd=tmp_path)
    try:
        assert first.said == (
            f"24 items of {pool}, 0 labelled: {first.address}, for this machine only. Labels go to texts-labels.csv. "
            "Ctrl-C stops it.\n"
        )
        for item in first.get("/next?count=6")["items"]:
            first.post("/answers", {"answers": [answer(item["item"], kind_of_text(item["text"]))]})
    finally:
        first.end(signal.SIGKILL)
    second = Server(pool, cwd=tmp_path)
    try:
        assert "24 items" in second.said and ", 6 labelled:" in second.said
        assert [one["name"] for one in second.get("/state")["classes"]] == ["ants", "bees", "wasps"]
        [item] = second.get("/next?count=1")["items"]
        second.post("/answers", {"answers": [answer(item["item"], kind_of_text(item["text"]))]})
        assert second.end(signal.SIGINT) == 130
    finally:
        second.process.kill()
    data = load(tmp_path / "texts-labels.csv")
    assert [kind_of_text(text) for text in data.items] == list(data.labels)
    assert len(data) == 7


def test_the_table_of_somebody_else_is_not_written_over(handful, pool, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("text,label\na,b\n")
    ended = handful("label", pool, "--out", mine)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"handful: --out {mine} must be new, or a table that `handful label` wrote, got another file. Choose another "
        "name; labels that it holds are read where it is the pool.\n"
    )
    assert mine.read_text() == "text,label\na,b\n"


def test_a_table_with_another_ending_is_refused(handful, pool):
    ended = handful("label", pool, "--out", "labels.txt")
    assert (ended.code, ended.err) == (
        1, "handful: --out must be a table that ends with .csv or .jsonl, got labels.txt. Rename it.\n",
    )  # fmt: skip
    for task, out, wanted in (("tagging", "labels.csv", ".jsonl"), ("multilabel", "labels.jsonl", ".csv")):
        ended = handful("label", pool, "--task", task, "--out", out)
        assert ended.err == f"handful: --out must be a table that ends with {wanted}, got {out}. Rename it.\n"


def test_labels_that_no_page_asks_for_are_refused(handful, pool):
    ended = handful("label", pool, "--task", "masks")
    assert (ended.code, ended.err) == (
        1,
        "handful: --task must be one of classification, multilabel, ordinal, regression, tagging for labels on a page, "
        "got masks. Choose one.\n",
    )


def test_a_pool_that_is_not_there(handful):
    ended = handful("label", "nowhere.csv")
    assert (ended.code, ended.err) == (1, "handful: nowhere.csv does not exist. Check the path.\n")


def test_another_host_needs_a_token(handful, pool):
    ended = handful("label", pool, "--host", "0.0.0.0")
    assert ended.code == 1
    assert "lets others reach this server, which then needs a token, got none" in ended.err


def test_another_task_than_that_of_the_answers_is_refused(handful, pool, tmp_path):
    with AnswerStore(tmp_path / "texts-labels.sqlite") as store:
        store.set_fact("task", "multilabel")
    ended = handful("label", pool, "--task", "regression", "--port", 0)
    assert ended.code == 1
    assert ended.err == (
        "handful: --task must be multilabel, as texts-labels.sqlite holds answers for it, got regression. Give "
        "that, or choose another --out.\n"
    )


def test_what_is_no_task_is_refused(handful, pool):
    ended = handful("label", pool, "--task", "guessing")
    assert ended.code == 1
    assert "task must be one of" in ended.err


def test_what_a_run_learned_from_is_labelled_already(handful, table, pool, tmp_path):
    assert handful("tune", table(), "--backbone", "toy-text", "--budget", 0).code == 0
    items, task = labelling._read(str(pool), None, (None, None), str(tmp_path / "runs" / "insects"), 0)
    assert (len(items), len(items.given), task) == (44, 20, "classification")


def test_labels_of_a_pool_that_cannot_be_taken_are_asked_for_again(tmp_path):
    marks = tmp_path / "marks.jsonl"
    marks.write_text(
        '{"text": "Ann in Rome", "spans": [[0, 3, "person"]]}\n{"text": "Bo in Ulm", "spans": [[0, 99, "person"]]}\n'
        '{"text": "Cy in Bern", "spans": "nonsense"}\n{"text": "Di in Oslo", "spans": [[0, 2, null]]}\n'
    )
    server = Server(marks, cwd=tmp_path)
    try:
        assert ", 1 labelled:" in server.said
        assert (
            '3 labels that the pool came with cannot be taken and are asked for again; the first, of "Bo in Ulm": a '
            "mark must lie within its text of 9 characters, got 0 to 99. Mark it again."
        ) in server.get("/state")["notes"]
    finally:
        server.end(signal.SIGKILL)


def test_a_start_that_failed_decides_nothing(handful, tmp_path):
    notes = tmp_path / "notes.csv"
    notes.write_text("text,label\nant hill,one\nbee hive,1|2\nwasp sting,\n")
    store = tmp_path / "notes-labels.sqlite"
    ended = handful("label", notes, "--task", "classification", "--classes", "x" * 101, "--port", 0)
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        'handful: --classes: a class must have 1 to 100 characters, all of which can be seen, and no "|", got '
        f"'{'x' * 100}'. Choose another name."
    )
    with AnswerStore(store) as opened:
        assert opened.fact("task") is None


def test_rows_of_numbers_are_not_labelled_on_a_page(handful, tmp_path):
    table = tmp_path / "pumps.csv"
    table.write_text("pump_id,a,b\nP1,1.5,2\nP2,2.5,3\n")
    ended = handful("label", table, "--port", 0)
    assert ended.code == 1
    assert ended.err == (
        f"handful: {table} must hold texts, pictures or sounds to be labelled, got IDs and numbers, which nobody can "
        f'see a class in. Write the labels of known items into a table with column "pump_id", and learn with `handful '
        f"tune labels.csv --features {table}`; --input pump_id labels the IDs as texts.\n"
    )
