"""Encodings: every usual one is found and said; bytes that are no text are refused."""

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import ENCODED, SENTENCES

from handful import files
from handful.data.encodings import Encoding, detect, open_text
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
    assert bool(found.notes(path)) == (name != "UTF-8")
    with open_text(path, found) as file:
        assert file.read() == TEXT


def read(path) -> tuple[str, Encoding]:
    encoding = detect(path)
    with open_text(path, encoding) as file:
        return file.read(), encoding


def table(sentences) -> str:
    return "text,label\n" + "".join(f"{sentence},{'ab'[i % 2]}\n" for i, sentence in enumerate(sentences))


@pytest.mark.parametrize(("language", "codec", "name"), ENCODED)
def test_a_few_sentences_are_read_as_they_were_written(tmp_path, language, codec, name):
    path, text = tmp_path / "a.csv", table(SENTENCES[language])
    path.write_bytes(text.encode(codec))
    content, encoding = read(path)
    assert (content, encoding.name) == (text, name)
    example = next(line for line in text.splitlines() if not line.isascii())
    assert encoding.example[:10] in example
    assert encoding.notes(path)[0].startswith(f'a.csv is read as {name}, because it is not UTF-8: "')


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_sentences_are_misread_without_a_word(tmp_path_factory, data):
    language, codec, name = data.draw(st.sampled_from(ENCODED))
    sentences = data.draw(st.lists(st.sampled_from(SENTENCES[language]), min_size=3, unique=True))
    path, text = tmp_path_factory.mktemp("table") / "a.csv", table(sentences)
    path.write_bytes(text.encode(codec))
    content, encoding = read(path)
    assert content == text or name in dict(encoding.others)


def test_a_doubtful_guess_names_the_other_and_the_command(tmp_path):
    path = tmp_path / "my rows.csv"
    path.write_bytes("text,label\nsı,a\nşu,b\n".encode("cp1254"))
    (note,) = Encoding("cp1252", "Windows-1252", "sý,a", (("Windows-1254", "sı,a"),)).notes(path)
    assert note == (
        'my rows.csv is read as Windows-1252, because it is not UTF-8: "sý,a"; this is not certain: as Windows-1254 it '
        "is \"sı,a\". If that is right, convert it: `iconv -f Windows-1254 -t UTF-8 'my rows.csv' > new.csv`"
    )
    command = note.rpartition("convert it: ")[2].strip("`")
    if shlex.split(command)[0] == "iconv":
        subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "new.csv").read_text("utf-8") == "text,label\nsı,a\nşu,b\n"


def test_letters_far_from_the_start_decide(tmp_path):
    path = tmp_path / "a.csv"
    text = "text,label\n" + "plain words,a\n" * 20_000 + table(SENTENCES["Russian"])
    path.write_bytes(text.encode("cp1251"))
    content, encoding = read(path)
    assert (content == text, encoding.name) == (True, "Windows-1251")


def test_a_sample_that_looks_like_another_encoding_than_the_whole_file(tmp_path):
    """What is guessed of the first lines must read all of them: a byte without meaning rules an encoding out."""
    path = tmp_path / "a.csv"
    content = ("Größe,a\n" * 6_000).encode("cp1252") + b"\x81\x8d,b\n"
    path.write_bytes(content)
    text, _ = read(path)
    assert text.startswith("Größe,a\n")


def test_utf_8_with_a_damaged_line_is_not_another_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nschön,a\nGröße,b\n".encode() + b"sch\xf6n,a\n" + "Käse,b\n".encode())
    assert refusal(path) == (
        f"{path} is UTF-8, but line 4 of it is not. Write that line again, or leave out what cannot be read: "
        "`iconv -f UTF-8 -t UTF-8 -c a.csv > new.csv`."
    )


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
        (
            b"PK\x03\x04",
            "is a zip file or an Excel workbook, not text. Give it a name that ends in .zip or .xlsx.",
        ),
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
