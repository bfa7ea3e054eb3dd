"""One value of a table, as text: numbers without a needless fraction, missing values as None."""

from __future__ import annotations

import datetime
import decimal
import math
import unicodedata
from typing import Any

import numpy as np


def cell_text(value: Any) -> Any:
    """Turn a scalar into its text and leave everything else as it is.

    Args:
        value: a text, a number, a truth value, a date, something missing (None, NaN, NaT), or an object such as a
            list, a picture or an array.

    Returns:
        The text (``"1"`` for 1 and for 1.0, ``"True"`` for true), None where the value is missing, or the object.
    """
    if isinstance(value, np.generic):
        value = value.item()
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
    """A file name that can be printed and written as UTF-8, whatever bytes it was made of."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
