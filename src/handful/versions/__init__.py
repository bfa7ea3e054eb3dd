"""Versions of a run: what was in its folder before, kept beside what is there now, listed, and brought back."""

from handful.versions.keeping import keep, keep_beside, roll_back
from handful.versions.record import (
    MADE_BY,
    PARTS,
    RECORD,
    VERSIONS,
    Version,
    check_versions,
    current,
    number_of,
    version,
    versions,
)  # fmt: skip

__all__ = [
    "MADE_BY", "PARTS", "RECORD", "VERSIONS", "Version", "check_versions", "current", "keep", "keep_beside",
    "number_of", "roll_back", "version", "versions",
]  # fmt: skip
