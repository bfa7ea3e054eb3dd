"""Pools to be labelled: folders, tables with some labels, text files, parts of huge ones; and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from handful.data.label_pool import read_label_pool, with_labelled
from handful.data.pairs import Pair
from handful.data.readers import load
from handful.errors import DataError, OptionError
from handful.seeding import generator


def read(path, **more):
    return read_label_pool(path, generator(0, "test"), **more)


def test_a_folder_of_pictures_at_any_depth(pictures):
    pool = read(pictures())
    assert (pool.modality, len(pool), pool.given) == ("image", 12, {})
    assert pool.names[0] == "dark/0.png"


def test_a_text_file_has_a_text_per_line(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n\nthree\n")
    pool = read(tmp_path / "a.txt")
    assert (pool.modality, pool.items) == ("text", ["one", "two", "three"])
    assert pool.notes == (
        f"1 item of {tmp_path / 'a.txt'} cannot be read and is skipped; the first: line 3: the text is empty",
    )


def test_labels_that_some_rows_have_are_kept(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\none,ants\ntwo,\nthree,bees\n")
    pool = read(tmp_path / "a.csv")
    assert (pool.items, pool.given) == (["one", "two", "three"], {0: "ants", 2: "bees"})


def test_columns_are_named_and_two_are_a_pair(tmp_path):
    (tmp_path / "a.csv").write_text("q,a,kind,label\none,two,x,1\nthree,four,,2\n")
    pool = read(tmp_path / "a.csv", label="kind", input="q,a")
    assert pool.items == [Pair("one", "two"), Pair("three", "four")]
    assert pool.given == {0: "x"}


def test_of_a_huge_pool_some_are_drawn_and_all_labelled_ones_kept(tmp_path):
    rows = "".join(f"text {i},{'ants' if i in (7, 90) else ''}\n" for i in range(100))
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    pool = read(tmp_path / "a.csv", most=10)
    assert (len(pool), pool.count) == (12, 100)
    assert {pool.items[i] for i in pool.given} == {"text 7", "text 90"}
    assert pool.notes[-1] == "of 100 items 12 drawn by chance are asked about"


def test_names_of_files_in_a_table(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("file\na.png\n")
    pool = read(tmp_path / "a.csv")
    assert (pool.modality, pool.items, pool.names) == ("image", [tmp_path / "a.png"], ["a.png"])


def test_rows_of_a_run_come_after_the_pool(tmp_path, table):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    pool = with_labelled(read(tmp_path / "a.txt"), load(table()))
    assert len(pool) == 22
    assert pool.given[2] == "ants"


def test_rows_of_another_kind_are_refused(tmp_path, table, pictures):
    with pytest.raises(DataError) as raised:
        with_labelled(read(pictures()), load(table()))
    assert str(raised.value) == (
        f"{tmp_path / 'photos'} must hold texts, as {tmp_path / 'insects.csv'} does, got images. "
        "Name a pool of the same kind."
    )


def test_what_is_no_pool_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as raised:
        read(tmp_path / "empty")
    assert str(raised.value) == (
        f"{tmp_path / 'empty'} holds no images and no sounds. Name a folder that does; texts are read from a table or "
        "a .txt file with one per line."
    )
    (tmp_path / "a.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"holds nothing that can be labelled\. The first cannot be read: line 1"):
        read(tmp_path / "a.txt")


def test_a_folder_of_two_kinds_is_told(tmp_path):
    for name in ("a.png", "a.wav"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match="a pool must hold items of one kind, got images and sounds"):
        read(tmp_path)


def test_columns_that_are_none_are_told(tmp_path, pictures):
    (tmp_path / "a.csv").write_text("text\none\n")
    with pytest.raises(OptionError, match='--label names no column of .*: "kind"'):
        read(tmp_path / "a.csv", label="kind")
    with pytest.raises(OptionError, match="--label names a column of a table, got .*photos, which is none"):
        read(pictures(), label="kind")


def test_marked_texts_are_recognised_and_what_some_rows_mark_is_kept(tmp_path):
    lines = [
        '{"text": "Anna sees Bert", "spans": [{"start": 0, "end": 4, "label": "person"}]}',
        '{"text": "nobody is here", "spans": []}', '{"text": "Cleo comes"}',
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    pool = read(tmp_path / "a.jsonl")
    assert (pool.task, pool.items) == ("tagging", ["Anna sees Bert", "nobody is here", "Cleo comes"])
    assert pool.given == {0: '[[0, 4, "person"]]', 1: "[]"}


def test_texts_to_mark_that_nobody_sees_at_once_are_left_out(tmp_path):
    (tmp_path / "a.txt").write_text("a short one\n" + "word " * 501)
    pool = read(tmp_path / "a.txt", task="tagging")
    assert pool.items == ["a short one"]
    assert pool.notes == (
        f"1 item of {tmp_path / 'a.txt'} cannot be read and is skipped; the first: line 2: a text to mark must have "
        "500 words at most, got 501; cut it into parts",
    )
    assert len(read(tmp_path / "a.txt")) == 2


def test_tokens_with_tags_are_not_marked_on_a_page(tmp_path):
    line = '{"tokens": ["Anna", "walks"], "tags": ["B-person", "O"]}\n'
    (tmp_path / "a.jsonl").write_text(3 * line)
    with pytest.raises(DataError) as refused:
        read(tmp_path / "a.jsonl", task="tagging")
    assert str(refused.value) == (
        f'{tmp_path / "a.jsonl"} holds tokens and tags, and marks are made in texts here. Give it columns "text" and '
        '"spans".'
    )
    data = load(tmp_path / "a.jsonl")
    (tmp_path / "b.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError) as refused:
        with_labelled(read(tmp_path / "b.txt", task="tagging"), data)
    assert str(refused.value) == (
        f"{data.source} holds tokens, and marks are made in texts here. Give texts with spans, or label without --run."
    )
