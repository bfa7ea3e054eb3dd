"""The exceptions a caller can meet, drawn as a tree and split by what the caller can do about them.

    HandfulError             anything handful reports on purpose: one clear sentence and what to do
    ├── DataError            change the rows, files or labels
    ├── OptionError          change an option or an argument
    ├── WeightsError         get the weights of a backbone (again)
    ├── TrainingError        a training ran away: another rate, or stay frozen
    ├── BundleError          the saved model cannot be used as it is: save it again, or update handful
    └── MachineError         the machine is in the way: disk space, permissions, a missing package

Every message says which thing, must be what, got what, and what to do. The command line prints it as it
is and exits with 1; it never shows a traceback for these.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class HandfulError(Exception):
    """Base of every error that handful raises on purpose; each of its arguments is told on a line of its own."""

    def __str__(self) -> str:
        """What is wrong and what to do."""
        return "\n".join(map(str, self.args))


class DataError(HandfulError, ValueError):
    """The rows, files or labels cannot be used as they are."""


class OptionError(HandfulError, ValueError):
    """An option or an argument has a value that cannot work."""


class WeightsError(HandfulError):
    """The weights of a backbone are missing, cut off or not the ones expected."""


class TrainingError(HandfulError):
    """A training ran away: its loss is no finite number any more."""


class BundleError(HandfulError):
    """A saved model is damaged, changed by hand, or written by a newer version."""


class MachineError(HandfulError):
    """The machine is in the way: disk space, permissions, a missing optional package."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Say which valid name was probably meant.

    Args:
        name: what the user wrote.
        known: the valid names.

    Returns:
        ``" Did you mean 'x'?"`` with a leading blank, or an empty string when nothing is near.
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def advised(said: str, advice: str) -> str:
    """A reason and then what to do; a reason that says so itself is left as it is.

    Args:
        said: the end of a sentence, perhaps with its own advice in a sentence after it.
        advice: one sentence.
    """
    return f"{said}." if re.search(r"\. [A-Z]", said) else f"{said}. {advice}"
