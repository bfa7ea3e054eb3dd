"""What a version of a run is: its record, read from its folder and checked, since anybody may have written it."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handful.atomic import tidy
from handful.data.cells import shown, shown_json
from handful.errors import BundleError, OptionError
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.evaluation.scores import Scores
from handful.readback import checked, read_json, shortened
from handful.run_folder import SCORES, no_run

PARTS = (
    SCORES, "findings.json", "trials.json", "plan.yaml", "predictions.csv", "model", "report.html", "run.log",
    "rows.json", "version.json",
)  # fmt: skip
"""What a run folder holds, and each of its versions too; the first shows that a folder is one."""

RECORD = PARTS[-1]
"""The file that says which version it is, and how it came about."""
VERSIONS = "versions"
"""The folder in a run folder that holds the other versions, each under its number: ``versions/0003``."""

MADE_BY = ("tune", "update", "retrain", "learned corrections")
"""How a version comes about, beside ``rolled back to 3``."""

_FORMAT = 1

# The name of the folder of a version.
_NUMBERED = re.compile(r"[0-9]{4}|[1-9][0-9]{4,5}")
# No run has more versions than this: a record that says so was written by nobody who counts.
_MOST = 999_999
# The longest reason that a record may give.
_LONGEST = 200


@dataclass(frozen=True)
class Record:
    """What a run folder says of its version: the content of ``version.json``."""

    number: int
    """Which version it is, from 1."""
    made: str
    """When it was made, as an ISO time with its zone."""
    reason: str
    """How it came about: ``tune``, ``update``, ``retrain``, ``learned corrections``, ``rolled back to 3``."""
    format: int = _FORMAT
    """The version of this format."""

    @classmethod
    def now(cls, number: int, reason: str) -> Record:
        """The record of what is being made."""
        return cls(number, datetime.now(UTC).isoformat(timespec="seconds"), reason)

    @classmethod
    def read(cls, file: Path) -> Record:
        """Read back what ``write`` wrote.

        Raises:
            BundleError: the file is damaged, or of a newer version.
        """
        return read_json(file, cls._from_dict, lambda why: _damaged(file, why))

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> Record:
        record = checked(cls(**raw))
        if record.format != _FORMAT:
            raise ValueError(f"its format is {record.format}, and this version of handful reads {_FORMAT}")
        if not 0 < record.number <= _MOST:
            raise ValueError(f"no version has the number {record.number}")
        if len(record.reason) > _LONGEST:
            raise ValueError(f"the reason cannot be {shortened(record.reason)}")
        datetime.fromisoformat(record.made)
        return record

    def write(self, folder: Path) -> None:
        """Write it into a run folder."""
        (folder / RECORD).write_text(shown_json(asdict(self)) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Version:
    """One version of a run."""

    number: int
    """Which one, from 1; numbers grow with time and are never given twice."""
    made: str
    """When it was made, as an ISO time."""
    reason: str
    """How it came about, as in ``Record``."""
    path: Path
    """Its folder: that of the run for the one in use, else one in ``versions/``."""
    current: bool
    """Whether it is the one in use."""
    size: int
    """What it takes on the disk, in bytes."""
    rows: int | None = None
    """How many rows were held out in turn; None where its scores cannot be read."""
    chosen: str | None = None
    """The arm that became the model."""
    metric: str | None = None
    """What ``estimate`` is in."""
    estimate: Estimate | None = None
    """The score with its interval, as in ``scores.json``."""
    scale: Scale | None = None
    """How ``estimate`` is told."""
    damage: str = ""
    """What is wrong with its scores, in a few words; empty where nothing is."""

    def as_dict(self) -> dict[str, Any]:
        """The version as ``handful versions --json`` prints it."""
        told = {"number": self.number, "made": self.made, "reason": self.reason, "current": self.current}
        scored = {"rows": self.rows, "chosen": self.chosen, "metric": self.metric}
        estimate = None if self.estimate is None else self.estimate.as_dict()
        damage = {"damage": self.damage} if self.damage else {}
        return {**told, **scored, "estimate": estimate, "size": self.size, "path": str(self.path), **damage}


def versions(folder: str | Path) -> list[Version]:
    """All versions of a run, oldest first; what was deleted by hand is not among them.

    Args:
        folder: a run folder.

    Raises:
        BundleError: it is no run folder, or the record of a version is damaged.
    """
    place = run_of(folder)
    others = [_version(path, number) for number, path in kept(place).items()]
    return sorted([*others, current(place)], key=lambda version: version.number)


def current(folder: str | Path) -> Version:
    """The version of a run that is in use.

    Raises:
        BundleError: it is no run folder, or the record of its version is damaged.
    """
    place = run_of(folder)
    return _version(place, number_of(place), current=True)


def version(folder: str | Path, number: int) -> Version:
    """One version of a run.

    Raises:
        BundleError: it is no run folder, or the record of a version is damaged.
        OptionError: there is no such version.
    """
    by_number = {one.number: one for one in versions(folder)}
    if number not in by_number:
        there = ", ".join(map(str, by_number))
        raise OptionError(f"version must be one of {there} of {shown(str(folder))}, got {number}. Choose one of these.")
    return by_number[number]


def check_versions(folder: Path) -> None:
    """Refuse a run folder into which no further version can be put, before any work is done; nothing is changed.

    Raises:
        BundleError: its versions or their records are not what handful wrote.
    """
    if (folder / SCORES).is_file():
        kept(folder)
        number_of(folder)


def number_of(folder: str | Path) -> int:
    """Which version of a run is in use; 0 where there is no run.

    Raises:
        BundleError: the record of its version is damaged.
    """
    place = Path(folder)
    if not (place / SCORES).is_file():
        return 0
    others = kept(place)
    said = Record.read(place / RECORD).number if (place / RECORD).is_file() else 0
    return said if said and said not in others else max(others, default=0) + 1


def run_of(folder: str | Path) -> Path:
    """A folder that is a run.

    Raises:
        BundleError: it is none.
    """
    place = Path(folder)
    tidy(Path(os.path.realpath(place)).parent)
    if not (place / SCORES).is_file():
        raise no_run(folder, "a run folder, which has versions", SCORES)
    return place


def _version(path: Path, number: int, current: bool = False) -> Version:
    size = sum(_size(path / part) for part in PARTS)
    damage, record, scores = "", None, None
    try:
        record = Record.read(path / RECORD) if (path / RECORD).is_file() else None
        scores = Scores.read(path / SCORES)
    except BundleError as error:
        if current and record is None:
            raise
        damage = str(error).partition(". ")[0]
    found = Version(
        number, "" if record is None else record.made, MADE_BY[0] if record is None else record.reason, path, current,
        size, damage=damage,
    )  # fmt: skip
    if scores is None:
        return found
    return replace(
        found, made=found.made or made_at(path), rows=scores.n, chosen=scores.chosen, metric=scores.metric,
        estimate=scores.estimate, scale=scores.scale,
    )  # fmt: skip


def kept(place: Path) -> dict[int, Path]:
    """Number → folder of every version but the one in use.

    Raises:
        BundleError: ``versions`` is a link or a file.
    """
    folder = place / VERSIONS
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        got = "a link" if folder.is_symlink() else "a file"
        raise BundleError(f"{shown(str(folder))} must be a folder of earlier versions, got {got}. Move it away.")
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    real = [path for path in inside if _NUMBERED.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
    return {number: path for path in real if (number := int(path.name)) > 0}


def next_number(place: Path) -> int:
    """The number of the next version; 1 where there is no run."""
    return 1 + max([*kept(place), number_of(place)])


def named(number: int) -> str:
    """The name of the folder of a version."""
    return f"{number:04d}"


def made_at(path: Path) -> str:
    """When a run was made that does not say so."""
    return datetime.fromtimestamp((path / SCORES).stat().st_mtime, UTC).isoformat(timespec="seconds")


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_symlink() or not path.exists():
        return 0
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    return sum(file.stat().st_size for file in files)


def _damaged(file: Path, why: str) -> BundleError:
    return BundleError(
        f"{shown(str(file))} cannot be read ({why}). Restore it, or delete it: it only says which version."
    )
