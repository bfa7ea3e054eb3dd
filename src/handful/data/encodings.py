"""Which encoding a text file is written in, decided by reading all of it in bounded memory; what is assumed is said."""

from __future__ import annotations

import codecs
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from handful.data.cells import shown
from handful.errors import DataError, MachineError
from handful.files import TABLE_BYTES, open_ordinary

_PIECE = 1 << 16

# Bytes of lines with other letters than A to Z by which an encoding is guessed: some hundred sentences.
_ENOUGH = 1 << 15

# Characters of a note's example.
_EXAMPLE = 40

# One character beyond ASCII in UTF-8. Other encodings hardly ever put bytes in this order.
_OF_UTF_8 = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
    rb"|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)

# Where this share of the bytes beyond ASCII is UTF-8, a file is UTF-8 with damaged places.
_MOSTLY = 0.8

# UTF-32 comes before UTF-16: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)

# How files of another kind begin, whatever they are called → what they are and what to do.
_NOT_TEXT = (
    (
        b"PK\x03\x04",
        "is a zip file or an Excel workbook, not text. Give it a name that ends in .zip or .xlsx",
    ),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook, not text. Save the table as CSV"),
    (b"PAR1", "is a Parquet file, not text. Give it a name that ends in .parquet"),
    (b"\x1f\x8b", "is compressed, not text. Unpack it"),
    (b"%PDF", "is a PDF file, not text. Copy its table into a CSV file"),
    (bytes(4), "begins with zero bytes, not with text. Copy it again"),
)


@dataclass(frozen=True)
class Encoding:
    """How the bytes of one file become characters."""

    codec: str
    """The name Python knows it by."""
    name: str
    """The name a person knows it by."""
    example: str = ""
    """What a line says in it, where it was guessed."""
    others: tuple[tuple[str, str], ...] = ()
    """Name of an encoding that it may be instead → what the same line says then."""

    def notes(self, path: Path) -> tuple[str, ...]:
        """What to tell the user about it, in one sentence; nothing of UTF-8."""
        if self.name == "UTF-8":
            return ()
        note = f"{path.name} is read as {self.name}, because it is not UTF-8"
        if self.example:
            note += f': "{self.example}"'
        if self.others:
            name, example = self.others[0]
            command = f"iconv -f {name} -t UTF-8 {shlex.quote(path.name)} > new{path.suffix}"
            note += f'; this is not certain: as {name} it is "{example}". If that is right, convert it: `{command}`'
        return (note,)


def detect(path: Path) -> Encoding:
    """Find the encoding of a text file.

    A byte-order mark decides; then UTF-8 where the whole file is valid, UTF-16 where every second byte is mostly zero,
    and otherwise what the lines with other letters than A to Z most likely say. Where these say nothing clearly,
    Windows-1252, or Latin-1 where a byte has no meaning in it.

    Args:
        path: the file; it is read from start to end.

    Returns:
        An encoding in which every byte of the file can be decoded.

    Raises:
        DataError: the file is empty, too large, no ordinary file, not text, or broken UTF-8, UTF-16 or UTF-32.
        MachineError: the file cannot be opened.
    """
    start = next(_pieces(path), b"")
    if not start:
        raise DataError(f"{path} is empty (0 bytes). Give a file with rows.")
    for signature, what in _NOT_TEXT:
        if start.startswith(signature):
            raise DataError(f"{path} {what}.")
    for mark, codec, name in _MARKS:
        if start.startswith(mark):
            if not _decodes(path, codec):
                raise DataError(f"{path} begins like {name} but cannot be decoded. Save it again as UTF-8.")
            return Encoding(codec, name)
    guess = _zeros(start)
    if guess and _decodes(path, guess):
        return Encoding(guess, "UTF-16")
    if _decodes(path, "utf-8"):
        return Encoding("utf-8", "UTF-8")
    return _guessed(path)


def _guessed(path: Path) -> Encoding:
    """The encoding that lines beyond ASCII most likely are in, of those in which the whole file can be decoded."""
    from handful.data.guessed_encoding import guesses

    sample = _beyond_ascii(path)
    _check_damage(path, sample)
    likely = [guess for guess in guesses(sample) if _decodes(path, guess.codec)]
    names = {guess.codec: guess.name for guess in likely}
    if not any(guess.good for guess in likely):
        usual = ("cp1252", "Windows-1252") if _decodes(path, "cp1252") else ("latin-1", "Latin-1")
        names = {usual[0]: usual[1], **names}
    examples = _examples(sample, list(names))
    first, *others = names
    different = tuple((names[codec], examples[codec]) for codec in others if examples[codec] != examples[first])
    return Encoding(first, names[first], examples[first], different)


def _beyond_ascii(path: Path) -> bytes:
    """The first lines with bytes beyond ASCII; of a line that is longer than a piece, what stands in one piece."""
    lines: list[bytes] = []
    size, rest = 0, b""
    for piece in _pieces(path):
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) >= _PIECE:
            whole, rest = [*whole, rest], b""
        for line in whole:
            if not line.isascii():
                lines.append(line.rstrip(b"\r"))
                size += len(line)
        if size >= _ENOUGH:
            break
    else:
        lines += [] if rest.isascii() else [rest]
    return b"\n".join(lines)


def _check_damage(path: Path, sample: bytes) -> None:
    """Refuse UTF-8 with bytes that are none: in another encoding all its letters would be wrong.

    Raises:
        DataError: it is that.
    """
    other = sum(byte > 0x7F for byte in sample)
    of_utf_8 = sum(map(len, _OF_UTF_8.findall(sample)))
    if of_utf_8 < other and of_utf_8 >= _MOSTLY * other:
        raise DataError(
            f"{path} is UTF-8, but line {_damaged_line(path)} of it is not. Write that line again, or leave out what "
            f"cannot be read: `iconv -f UTF-8 -t UTF-8 -c {shlex.quote(path.name)} > new{path.suffix}`."
        )


def _damaged_line(path: Path) -> int:
    """The number of the first line that is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    number = 1
    for piece in _pieces(path):
        try:
            number += decoder.decode(piece).count("\n")
        except UnicodeDecodeError as error:
            return number + error.object[: error.start].count(b"\n")
    return number


def _examples(sample: bytes, codecs: list[str]) -> dict[str, str]:
    """What one line of a sample says in each encoding: the first line of which they say different things, if any."""
    texts = {codec: sample.decode(codec, "replace").splitlines() for codec in codecs}
    lines = list(zip(*texts.values(), strict=False))
    line = next((i for i, said in enumerate(lines) if len(set(said)) > 1), 0)
    chosen = texts[codecs[0]][line]
    at = next((i for i, letter in enumerate(chosen) if not letter.isascii()), 0)
    start = max(0, at - _EXAMPLE // 2)
    return {codec: shown(text[line][start : start + _EXAMPLE].strip(' "')) for codec, text in texts.items()}


def open_text(path: Path, encoding: Encoding) -> IO[str]:
    """Open a text file with its line ends kept, as the csv module wants it.

    Raises:
        DataError: it is too large, or no ordinary file.
        MachineError: the file cannot be opened.
    """
    try:
        return io.TextIOWrapper(open_ordinary(path, TABLE_BYTES), encoding.codec, newline="")
    except OSError as error:
        raise _cannot_open(path, error) from error


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with open_ordinary(path, TABLE_BYTES) as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise _cannot_open(path, error) from error


def _decodes(path: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for piece in _pieces(path):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _zeros(start: bytes) -> str:
    """The UTF-16 without a mark that the place of the zero bytes points to, or an empty string."""
    half = len(start) // 2
    if half < 2:
        return ""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.1 * half:
        return "utf-16-be"
    return ""


def _cannot_open(path: Path, error: OSError) -> MachineError:
    return MachineError(f"{path} cannot be opened: {error.strerror or error}. Check its permissions.")
