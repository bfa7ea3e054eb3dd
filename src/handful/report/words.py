"""Numbers as a reader wants them: shares in percent, times, rows and protocols in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale, hundredths

# What HTML cannot carry, or would let a text rearrange the page around it.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def percent(share: float) -> str:
    """``85%``."""
    return f"{hundredths(share)}%"


def span(estimate: Estimate) -> str:
    """``73–93%``, the interval of a share."""
    digits = Scale().digits(estimate.low, estimate.high)
    return f"{hundredths(estimate.low, digits)}–{hundredths(estimate.high, digits)}%"


def value(estimate: Estimate) -> str:
    """``85%``, the point estimate of a share, as exact as its interval allows."""
    return estimate.figure(Scale())


def figure(estimate: Estimate, scale: Scale) -> str:
    """The point estimate of any score, without its unit: ``85%`` or ``0.42``."""
    return estimate.figure(scale)


def figures(estimate: Estimate, scale: Scale) -> str:
    """The interval of any score, without its unit: ``73–93%`` or ``0.31 to 0.52``."""
    return span(estimate) if scale.percent else f"{scale.plain(estimate.low)} to {scale.plain(estimate.high)}"


def count(number: float) -> str:
    """A count that may be a mean over repeats: ``8``, ``7.6``, ``0.4``."""
    rounded = round(float(number), 1)
    return f"{rounded:.0f}" if rounded == int(rounded) and rounded else f"{rounded:.1f}" if rounded else "<0.1"


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``2 rows``, ``1,200 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def time_taken(seconds: float) -> str:
    """``0.04 s``, ``7.3 s``, ``2 min 5 s``."""
    if seconds < 0.095:
        return f"{max(seconds, 0.01):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def protocol(name: str) -> str:
    """The name of a protocol as a sentence on how the rows were held out; an unknown name stays as it is."""
    if "leave-one-group" in name:
        return "Each group was answered by a model fitted on all the others."
    match = re.search(r"(\d+)x(\d+)", name)
    if match is None:
        return f"Rows were held out like this: {name}."
    repeats, folds = (int(digit) for digit in match.groups())
    together = " Rows of one group stayed together." if "grouped" in name else ""
    again = f", and this was repeated {repeats} times with other fifths" if repeats > 1 else ""
    if folds != 5:
        again = again.replace("fifths", "parts")
    part = "fifth" if folds == 5 else f"part of {folds}"
    return f"Each {part} of the rows was answered by a model fitted on the rest{again}.{together}"


def setting(options: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The options of an arm as pairs of name and value, those that are off left out."""
    return [(name.replace("_", " "), option(found)) for name, found in (options or {}).items() if found is not None]


def option(option_value: Any) -> str:
    """The value of an option as a reader would write it."""
    if isinstance(option_value, float):
        return f"{option_value:g}"
    if isinstance(option_value, list | tuple):
        return ", ".join(option(part) for part in option_value)
    return "–" if option_value in (None, "") else str(option_value)


def printable(text: str) -> str:
    """A text from the data with the characters replaced that no page can show; line ends and tabs stay."""
    return _UNPRINTABLE.sub("\ufffd", text)


def shortened(text: str, length: int) -> str:
    """The start of a text up to a word end near ``length`` characters, with an ellipsis where it was cut."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    start, _, word = text[:length].rpartition(" ")
    return (start if len(start) > length * 2 // 3 else text[:length]).rstrip(" ,;:.") + "…"
