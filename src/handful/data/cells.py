"""One value of a table, as text: numbers without a needless fraction, missing values as None."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import sys
import unicodedata
from typing import Any

# Halves of characters, which stand for the bytes of a file name that is no text.
_HALF = re.compile("[\ud800-\udfff]")

# What moves the cursor, rings, ends lines or turns the direction of writing, instead of being seen.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# How a spreadsheet knows a formula (OWASP, CSV injection).
_FORMULA = tuple("=+-@")


def cell_text(value: Any) -> Any:
    """Turn a scalar into its text and leave everything else as it is.

    Args:
        value: a text, a number, a truth value, a date, something missing (None, NaN, NaT), or an object such as a
            list, a picture or an array.

    Returns:
        The text (``"1"`` for 1 and for 1.0, ``"True"`` for true), None where the value is missing, or the object.
    """
    value = scalar(value)
    if isinstance(value, str):
        return value if _is_whole(value) else value.encode("utf-8", "replace").decode()
    if value is None:
        return None
    if isinstance(value, bool | int | decimal.Decimal):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else str(value)
    if type(value).__name__ in ("NaTType", "NAType"):  # pandas: a missing date, a missing value
        return None
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return str(value)
    return value


def scalar(value: Any) -> Any:
    """The number or text of a numpy scalar, or of an array or tensor without axes; everything else as it is."""
    numpy = sys.modules.get("numpy")  # loaded where one of its numbers can be; not loaded to ask for help
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    # An array or a tensor, whoever made it.
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def is_missing(value: Any) -> bool:
    """Whether there is nothing to see: None, or a text without one visible character."""
    return value is None or (isinstance(value, str) and is_blank(value))


def is_blank(text: str) -> bool:
    """Whether a text has no visible character; zero-width marks and control characters are not visible."""
    if "!" <= text[:1] <= "~":  # nearly every text, at once
        return False
    return not any(mark.isprintable() and not mark.isspace() for mark in text)


def label_text(value: Any) -> str:
    """The class name of a label: its text without outer white space, in Unicode normal form C.

    Two spellings of one accented letter look alike and would otherwise be two classes.

    Returns:
        The name; empty where the label is missing.
    """
    found = cell_text(value)
    return "" if is_missing(found) else unicodedata.normalize("NFC", str(found).strip())


def _is_whole(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON can hold halves of characters, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(name: str) -> str:
    """A name on one line that can be printed and written as UTF-8, whatever it is made of.

    Escape sequences and other control characters are written out, the escape character as ``x1b`` after a backslash:
    as they are, they could make a terminal show something else than what is there.
    """
    return _CONTROL.sub(_written_out, _HALF.sub("\ufffd", name))


def shown_lines(text: str) -> str:
    """The same for a text of several lines: their ends, and tabs, stay as they are."""
    plain = _HALF.sub("\ufffd", text.replace("\r\n", "\n"))
    return _CONTROL.sub(lambda mark: mark[0] if mark[0] in "\n\t" else _written_out(mark), plain)


def shown_json(value: object) -> str:
    """Indented JSON with non-Latin letters as they are, and control characters as JSON writes them."""
    plain = _HALF.sub("\ufffd", json.dumps(value, indent=1, ensure_ascii=False))
    return _CONTROL.sub(lambda mark: mark[0] if mark[0] == "\n" else f"\\u{ord(mark[0]):04x}", plain)


_NUMBER = re.compile(r"-[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def defuse(cell: str) -> str:
    """A cell that can be shown, and that no spreadsheet runs: one that looks like a formula begins with an apostrophe.

    Spreadsheets may leave out blanks and marks without width before it, and take wide signs for narrow ones. A number
    below zero is none: it runs nothing, and an apostrophe would make a text of it.
    """
    plain = shown_lines(cell)
    if _NUMBER.fullmatch(plain):
        return plain
    first = next((mark for mark in plain if mark.isprintable() and not mark.isspace()), "")
    runs = plain.startswith("\t") or unicodedata.normalize("NFKC", first).startswith(_FORMULA)
    return "'" + plain if runs else plain


def _written_out(mark: re.Match[str]) -> str:
    return mark[0].encode("unicode_escape").decode()
