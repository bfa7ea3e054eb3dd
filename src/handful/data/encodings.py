"""Which encoding a text file is written in, decided by reading all of it once in bounded memory."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from handful.errors import DataError, MachineError
from handful.files import TABLE_BYTES, open_ordinary

_PIECE = 1 << 16

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
    (b"PK\x03\x04", "is a zip file or an Excel workbook, not text. Save the table as CSV"),
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

    @property
    def usual(self) -> bool:
        """Whether it is UTF-8, which nobody needs to be told."""
        return self.name == "UTF-8"


def detect(path: Path) -> Encoding:
    """Find the encoding of a text file.

    A byte-order mark decides; then UTF-8 where the whole file is valid, UTF-16 where every second byte is
    mostly zero, and otherwise Windows-1252, or Latin-1 where a byte has no meaning in it.

    Args:
        path: the file; it is read once from start to end.

    Returns:
        An encoding in which every byte of the file can be decoded.

    Raises:
        DataError: the file is empty, too large, no ordinary file, not text, or broken UTF-16 or UTF-32.
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
    if _decodes(path, "cp1252"):
        return Encoding("cp1252", "Windows-1252")
    return Encoding("latin-1", "Latin-1")


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
