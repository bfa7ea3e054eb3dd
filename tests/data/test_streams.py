"""Streams: every row in its order, a chunk at a time, failures named."""

import csv
import json
import tracemalloc

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handful.data.streams import stream
from handful.errors import DataError, HandfulError, OptionError


@pytest.fixture
def refusal(tmp_path):
    def refused(source, kind=DataError, modality="text", **options):
        with pytest.raises(kind) as error:
            list(stream(source, modality=modality, **options))
        return str(error.value).replace(str(tmp_path), "here")

    return refused


def table(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_chunks_hold_every_row_in_order(tmp_path):
    path = table(tmp_path / "a.csv", ["text"], [[f"text {i}"] for i in range(10)])
    chunks = list(stream(path, modality="text", chunk=4))
    assert [len(chunk.rows) for chunk in chunks] == [4, 4, 2]
    assert [row for chunk in chunks for row in chunk.rows] == list(range(10))
    assert [item for chunk in chunks for item in chunk.items] == [f"text {i}" for i in range(10)]
    assert chunks[2].names == ("text 8", "text 9")


def test_rows_that_fail_are_there_with_the_reason(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,one here\n2,\n3,too,many\n4,four here\n")
    (chunk,) = stream(str(path), modality="text")
    assert chunk.rows == (0, 1, 2, 3)
    assert chunk.names == ("one here", "", "line 4", "four here")
    assert chunk.failed == {1: "the text is empty", 2: "line 4 has 3 cells where the first line has 2"}
    assert chunk.readable == [0, 3]
    assert [chunk.items[i] for i in chunk.readable] == ["one here", "four here"]


def test_rows_are_counted_across_chunks_where_some_fail(tmp_path):
    path = table(tmp_path / "a.csv", ["text"], [[f"text {i}" if i % 3 else " "] for i in range(9)])
    assert {row for chunk in stream(path, modality="text", chunk=2) for row in chunk.failed} == {0, 3, 6}


def test_the_column_of_the_training_is_taken_where_it_is_there(tmp_path):
    rows = [[f"short one {i}", f"a long story {i} " * 9] for i in range(5)]
    path = table(tmp_path / "a.csv", ["title", "story"], rows)
    assert next(stream(path, modality="text", input="title")).names[0] == "short one 0"
    chunk = next(stream(path, modality="text", input="gone"))
    assert chunk.names[0].startswith("a long story")
    assert chunk.notes == ('column "story" is taken as the text; use --input to choose another',)


def test_only_the_first_chunk_has_notes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text\nnaïve\nÄrger\n".encode("latin-1"))
    chunks = list(stream(path, modality="text", chunk=1))
    assert [len(chunk.notes) for chunk in chunks] == [1, 0]
    assert chunks[0].notes[0].startswith('a.csv is read as Windows-1252, because it is not UTF-8: "naïve"')


def test_label_columns_are_not_predicted(tmp_path):
    path = table(tmp_path / "a.csv", ["topic", "what"], [["a b", "it is"], ["c d", "it was"]])
    assert next(stream(path, modality="text")).names == ("it is", "it was")
    path = table(tmp_path / "a.csv", ["topic"], [["a b"], ["c d"]])
    assert next(stream(path, modality="text")).names == ("a b", "c d")


def test_several_columns_that_could_be_meant(tmp_path, refusal):
    path = table(tmp_path / "a.csv", ["one", "two"], [["a b", "c d"], ["e f", "g h"]])
    assert refusal(path, OptionError) == (
        'the input of here/a.csv could be "one" or "two" (columns: one, two). Choose with --input.'
    )


def test_parquet_and_json_lines(tmp_path):
    frame = pd.DataFrame({"text": [f"text {i}" for i in range(5000)]})
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=1000)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    for name in ("a.parquet", "a.jsonl"):
        chunks = list(stream(tmp_path / name, modality="text"))
        assert [text for chunk in chunks for text in chunk.items] == frame.text.tolist()
        assert len(chunks) == 5


def test_json_lines_that_are_broken_or_lack_the_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "a b"}) + "\n{\n" + json.dumps({"other": 1}) + "\n" + json.dumps({"text": [1]}))
    (chunk,) = stream(path, modality="text", input="text")
    assert chunk.names == ("a b", "line 2", "line 3", "line 4")
    assert sorted(chunk.failed) == [1, 2, 3]
    assert chunk.failed[2] == "the text is empty"
    assert chunk.failed[3] == "this must be a text, got list"


def test_a_text_file_is_a_text_per_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b'one, two\r\n\r\n "three"\nfour')
    (chunk,) = stream(path, modality="text")
    assert chunk.names == ("one, two", "", ' "three"', "four")
    assert chunk.failed == {1: "the text is empty"}
    path.write_bytes("Ä\n".encode("utf-16"))
    (chunk,) = stream(path, modality="text")
    assert chunk.names == ("Ä",)
    assert chunk.notes == ("a.txt is read as UTF-16, because it is not UTF-8",)


def test_a_folder_is_read_at_any_depth_in_sorted_order(tmp_path):
    for name in ("b.jpg", "a/z.jpg", "a/x/y.jpg", "c.wav", "d.txt", ".hidden.jpg", "a b's é.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty.jpg").touch()
    chunks = list(stream(tmp_path, modality="image", chunk=2))
    assert [name.removeprefix(f"{tmp_path}/") for chunk in chunks for name in chunk.names] == [
        "a/x/y.jpg", "a/z.jpg", "a b's é.jpg", "b.jpg", "empty.jpg",
    ]  # fmt: skip
    assert chunks[0].items[0] == tmp_path / "a/x/y.jpg"
    assert chunks[2].failed == {4: "the file is empty (0 bytes)"}


def test_a_single_file(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    (chunk,) = stream(path, modality="image")
    assert (chunk.items, chunk.names) == ([path], (str(path),))


def test_names_of_files_in_a_table(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.jpg").write_bytes(b"x")
    path = table(tmp_path / "a.csv", ["file", "text"], [["pictures/a.jpg", "x y"], ["pictures/b.jpg", "z w"]])
    (chunk,) = stream(path, modality="image")
    assert chunk.names == ("pictures/a.jpg", "pictures/b.jpg")
    assert chunk.items[0] == tmp_path / "pictures/a.jpg"
    assert chunk.failed == {1: "the file does not exist"}


def test_sources_that_do_not_fit_the_model(tmp_path, refusal):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.doc").write_bytes(b"x")
    assert refusal(tmp_path / "a.jpg") == (
        "the model reads texts, but here/a.jpg is one image. Give a table "
        "(.csv, .tsv, .tab, .jsonl, .ndjson, .json, .parquet, .pq, .xlsx, .xlsm) or a .txt file with one text per line."
    )
    assert refusal(tmp_path / "a.doc", modality="sound") == (
        "the model reads sounds, but here/a.doc is a file with the suffix '.doc'. "
        "Give a sound, a folder of sounds or a table with their names."
    )
    assert refusal(tmp_path).startswith("the model reads texts, but here is a folder. Give a table (")
    assert refusal(tmp_path, modality="sound") == (
        "here holds no sounds. Give a sound, a folder of sounds or a table with their names."
    )
    assert refusal(tmp_path / "b.jpg", modality="image") == "here/b.jpg does not exist. Did you mean 'a.jpg'?"
    assert refusal(table(tmp_path / "t.csv", ["text"], [["a b"]]), modality="image") == (
        "here/t.csv has no column with names of images (columns: text). Add one, or name it with --input."
    )
    assert refusal(table(tmp_path / "t.csv", ["text"], [])) == (
        "here/t.csv holds no rows. Add rows below the names of the columns."
    )


def test_options_that_cannot_be(tmp_path, refusal):
    assert refusal(tmp_path, OptionError, modality="images") == (
        "modality must be text, image, sound, vectors or image+text, got 'images'. Did you mean 'image'?"
    )
    assert refusal(tmp_path, OptionError, modality="image", chunk=0) == (
        "chunk must be at least 1 row, got 0. Choose more."
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt", ".parquet"])
def test_memory_does_not_grow_with_the_rows(tmp_path, suffix):
    def peak(rows):
        path = tmp_path / f"{rows}{suffix}"
        texts = [f"a text of some forty characters, row {i}" for i in range(rows)]
        if suffix == ".parquet":
            pd.DataFrame({"text": texts}).to_parquet(path, row_group_size=1000)
        elif suffix == ".jsonl":
            path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
        else:
            path.write_text("\n".join(["text", *(f'"{text}"' for text in texts)]))
        del texts
        tracemalloc.start()
        seen = sum(len(chunk.rows) for chunk in stream(path, modality="text", chunk=100))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seen == rows + (suffix == ".txt")
        return most

    peak(1000)
    assert peak(16_000) < 1.2 * peak(4000)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from([".csv", ".jsonl", ".parquet", ".txt"]), st.integers(1, 5))
def test_arbitrary_bytes_are_streamed_or_refused(tmp_path, content, suffix, size):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(content)
    try:
        rows = [row for chunk in stream(path, modality="text", chunk=size) for row in chunk.rows]
    except HandfulError as error:
        assert str(error)
    else:
        assert rows == list(range(len(rows)))


def lines(path, *records):
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def said(chunk):
    return [[(turn.role, turn.content) for turn in item] for item in chunk.items]


def test_what_is_asked_may_be_messages_and_an_answer_at_their_end_is_left_out(tmp_path):
    user, system = {"role": "user", "content": "how much?"}, {"role": "system", "content": "be brief"}
    answer = {"role": "assistant", "content": "Three."}
    path = lines(
        tmp_path / "a.jsonl",
        {"messages": [system, user]},
        {"messages": [user, answer]},
        {"messages": [user, answer, {"role": "user", "content": "and now?"}]},
        {"messages": [answer]},
        {"messages": []},
        {"messages": json.dumps([user])},
    )
    (chunk,) = stream(path, modality="language")
    assert said(chunk.__class__(chunk.rows, chunk.names, [chunk.items[i] for i in chunk.readable])) == [
        [("system", "be brief"), ("user", "how much?")],
        [("user", "how much?")],
        [("user", "how much?"), ("assistant", "Three."), ("user", "and now?")],
        [("user", "how much?")],
    ]
    assert chunk.names == ("how much?", "how much?", "and now?", "line 4", "line 5", "how much?")
    assert chunk.failed[3] == '"messages" must end with a message of the user, got none at all'
    assert 4 in chunk.failed


@pytest.mark.parametrize(
    ("record", "asked"),
    [
        ({"prompt": "hi", "response": "ho"}, "hi"),
        ({"prompt": "hi", "kind": "x"}, "hi"),
        ({"instruction": "sum up", "input": "a text", "output": "x"}, "sum up\n\na text"),
        ({"instruction": "sum up", "input": "", "output": "x"}, "sum up"),
        ({"prompt": [{"role": "user", "content": "hi"}]}, "hi"),
        ({"text": "a question of some length"}, "a question of some length"),
    ],
)
def test_prompts_are_found_by_the_names_of_their_columns(tmp_path, record, asked):
    (chunk,) = stream(lines(tmp_path / "a.jsonl", record), modality="language")
    assert said(chunk) == [[("user", asked)]]


def test_a_column_that_is_named_and_a_line_of_a_file_ask_too(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"prompt": "hi", "other": "which one?"})
    assert said(next(stream(path, modality="language", input="other"))) == [[("user", "which one?")]]
    text = tmp_path / "a.txt"
    text.write_text("one\n\n[1, 2]\n")
    (chunk,) = stream(text, modality="language")
    assert [chunk.items[i][0].content for i in chunk.readable] == ["one", "[1, 2]"]
    assert chunk.failed == {1: "the text is empty"}
