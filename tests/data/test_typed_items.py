"""Standard input: lines, tables and JSON are told apart; nothing, binary data and too much are refused."""

import io

import pytest

from handful.data import typed_items
from handful.data.streams import stream
from handful.data.typed_items import standard_input
from handful.errors import DataError


def read(content, column="text", modality="text"):
    raw = content if isinstance(content, bytes) else content.encode()
    with standard_input(io.BytesIO(raw), column, modality) as table:
        chunks = list(stream(table, modality=modality, input=column))
        again = list(stream(table, modality=modality, input=column))
    assert [chunk.names for chunk in chunks] == [chunk.names for chunk in again]
    return chunks[0]


@pytest.mark.parametrize(
    "content",
    [
        "Hello, my card was charged twice\nRefund me, please\n",
        "text\n",
        "[urgent] help\n{brackets}\n",
        "a;b\nc\n",
        "süß",
    ],
)
def test_lines_are_items(content):
    chunk = read(content, column="body")
    assert chunk.names == tuple(content.splitlines())
    assert (chunk.columns, chunk.counted) == ((), "line")
    assert chunk.places == tuple(range(1, len(chunk.names) + 1))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_is_known_by_the_column_of_the_training_or_a_usual_name(mark):
    for column, header in (("body", "id,body"), ("gone", "id,text")):
        chunk = read(f"{header}\n7,a b\n8,c d\n".replace(",", mark), column)
        assert chunk.names == ("a b", "c d")
        assert chunk.columns[0] == "id"
        assert chunk.places == (2, 3)


def test_a_table_of_the_one_column_of_the_training():
    assert read("body\na b\nc d\n", "body").names == ("a b", "c d")


@pytest.mark.parametrize(
    "content", ['{"text": "a b", "n": 1}\n{"text": "c d", "n": 2}\n', '[{"text": "a b"}, {"text": "c d"}]']
)
def test_rows_in_json(content):
    assert read(content).names == ("a b", "c d")


def test_other_encodings(capsys):
    assert read("süß\n".encode("utf-16")).names == ("süß",)
    assert read("süß\n".encode("utf-8-sig")).names == ("süß",)


def test_names_of_pictures_start_where_the_command_was_typed(pictures, monkeypatch):
    folder = pictures()
    monkeypatch.chdir(folder)
    chunk = read("dark/0.png\nlight/1.png\n", "file", "image")
    assert [str(item) for item in chunk.items] == ["dark/0.png", "light/1.png"]
    assert not chunk.failed


@pytest.mark.parametrize(
    ("content", "modality", "said"),
    [
        (b"", "text", "standard input holds nothing. Give one item per line, or a table."),
        (b" \n\n", "text", "standard input holds nothing. Give one item per line, or a table."),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image",
            "standard input must hold names of images, one per line, or a table, got bytes that are no text. Write "
            "them into a file, and name that.",
        ),
        (
            b"RIFF\0\0\0\0WAVE", "text",
            "standard input must hold texts, one per line, or a table, got bytes that are no text. Write them into a "
            "file, and name that.",
        ),
    ],
)  # fmt: skip
def test_what_is_no_items(content, modality, said):
    with pytest.raises(DataError) as error:
        read(content, modality=modality)
    assert str(error.value) == said


def test_too_much(monkeypatch):
    monkeypatch.setattr(typed_items, "TABLE_BYTES", 1 << 17)
    with pytest.raises(DataError) as error:
        read(b"a line\n" * 20_000)
    assert str(error.value) == (
        "standard input must have at most 131,072 bytes, got more. Give less of it, or write it into files."
    )


def test_no_file_of_ours_is_named_in_a_message_and_none_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(typed_items.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(DataError) as error:
        read(b"PAR1 and nothing else")
    assert str(error.value).startswith("standard input cannot be read as a Parquet file")
    read("a b\n")
    assert list(tmp_path.iterdir()) == []
