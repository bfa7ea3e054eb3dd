"""Ways in which Python keeps things that were fitted: what comes back is what went in."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib


def pickled(what: Any) -> Any:
    """A thing after ``pickle``."""
    return pickle.loads(pickle.dumps(what))  # noqa: S301 - made here


def dumped(what: Any) -> Any:
    """A thing after ``joblib.dump`` and ``joblib.load``."""
    file = io.BytesIO()
    joblib.dump(what, file)
    file.seek(0)
    return joblib.load(file)


SENT: dict[str, Callable[[Any], Any]] = {"pickle": pickled, "joblib": dumped}
"""Way → a thing that went it."""
