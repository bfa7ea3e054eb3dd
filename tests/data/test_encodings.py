"""Encodings: every usual one is found and said; bytes that are no text are refused."""

import pytest

from handful import files
from handful.data.encodings import detect, open_text
from handful.errors import DataError, MachineError

TEXT = "text,label\nKäse für Zoë – „gut“,süß\n"


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_text_comes_back_from_every_encoding(tmp_path, codec, name):
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode(codec))
    found = detect(path)
    assert found.name == name
    assert found.usual == (name == "UTF-8")
    with open_text(path, found) as file:
        assert file.read() == TEXT


def test_big_endian_marks(tmp_path):
    path = tmp_path / "a.csv"
    for mark, codec in ((b"\xfe\xff", "utf-16-be"), (b"\x00\x00\xfe\xff", "utf-32-be")):
        path.write_bytes(mark + TEXT.encode(codec))
        with open_text(path, detect(path)) as file:
            assert file.read() == TEXT


def test_bytes_without_meaning_in_windows_1252_are_latin_1(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text\nna\xefve \x81\n")
    assert detect(path).name == "Latin-1"


def test_the_whole_file_counts_not_only_its_start(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a" * (3 << 20) + b"\xe9\n")
    assert detect(path).name == "Windows-1252"


def test_a_character_across_two_pieces_is_no_error(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a" * ((1 << 16) - 1) + "é".encode())
    assert detect(path).name == "UTF-8"


def test_line_ends_are_kept(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\r\nb\rc\n")
    with open_text(path, detect(path)) as file:
        assert list(file) == ["a\r\n", "b\r", "c\n"]


def refusal(path):
    with pytest.raises(DataError) as error:
        detect(path)
    return str(error.value)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    assert refusal(path) == f"{path} is empty (0 bytes). Give a file with rows."


def test_broken_utf_16_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfea\x00b")
    assert refusal(path) == f"{path} begins like UTF-16 but cannot be decoded. Save it again as UTF-8."


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "is a zip file or an Excel workbook, not text. Save the table as CSV."),
        (b"\xd0\xcf\x11\xe0", "is an old Excel workbook, not text. Save the table as CSV."),
        (b"PAR1", "is a Parquet file, not text. Give it a name that ends in .parquet."),
        (b"\x1f\x8b", "is compressed, not text. Unpack it."),
        (b"%PDF", "is a PDF file, not text. Copy its table into a CSV file."),
    ],
)
def test_other_files_in_disguise_are_named(tmp_path, start, what):
    path = tmp_path / "a.csv"
    path.write_bytes(start + b"\x00\x01\x02")
    assert refusal(path) == f"{path} {what}"


def test_a_forbidden_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text")
    encoding = detect(path)

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)
    for attempt in (lambda: detect(path), lambda: open_text(path, encoding)):
        with pytest.raises(MachineError) as error:
            attempt()
        assert str(error.value) == f"{path} cannot be opened: Permission denied. Check its permissions."
