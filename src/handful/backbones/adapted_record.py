"""The record of an adapted base: which backbone it began from and what moved; checked before anything is built."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from handful.errors import HandfulError, WeightsError
from handful.readback import checked, damage_is, parsed

FORMAT = 1
"""Version of the files of a base; a reader refuses every other."""

RECORD, WEIGHTS = "adapted.json", "adapted.safetensors"
PARTS = (RECORD, WEIGHTS)
"""What a base holds; the first shows that a folder is one."""

ORIGINAL = "original"
"""The folder in a base that travels with a model, with a copy of the files of its original."""

TUNER = "blocks"
"""The only way weights of a base have moved: whole blocks, saved as they became."""

# More blocks than any model has, and longer than any path.
_DEEPEST, _LONGEST = 10_000, 1_024
# How the names of shared folders of other machines begin on Windows; a base of a stranger asks none.
_SHARES = ("//", "\\\\", "/\\", "\\/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHA = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"[\x20-\x7e]{1,200}")


@dataclass(frozen=True)
class Record:
    """What a base says of itself."""

    modality: str
    """text, image or sound."""
    original: str
    """The backbone that it began from: a name of the catalogue, a folder by its whole path, or a hub id."""
    fingerprint: str
    """Of the original."""
    tuner: str
    """How the weights moved, which says how they are put in their place."""
    first: int
    """How many blocks at the bottom stayed as they were."""
    objective: str
    """What was minimised."""
    updates: int
    """How many times the weights were moved."""
    items: int
    """How many items they learned from."""
    seed: int
    """What fixed every random choice."""
    weights: str
    """SHA-256 of the file of what moved."""
    format: int = FORMAT
    """Version of the layout."""
    written_by: str = ""
    """The version of handful."""

    def text(self) -> str:
        """The record as JSON, signed with the hash of all entries."""
        entries: dict[str, Any] = {**asdict(self), "written_by": f"handful {version('handful')}"}
        return json.dumps({**entries, "sha256": _digest(entries)}, indent=1, ensure_ascii=False) + "\n"


def is_base(folder: Path) -> bool:
    """Whether a folder is an adapted base."""
    try:
        return (folder / RECORD).is_file()
    except (OSError, ValueError):  # a name that no folder can have
        return False


def original_of(name: str) -> str:
    """The backbone that decides what one costs and reads: the original of an adapted base, any other one itself."""
    folder = Path(name).expanduser()
    if not is_base(folder):
        return name
    try:
        return read(folder).original
    except HandfulError:  # said in full by whoever loads it
        return name


def read(folder: Path) -> Record:
    """The record of a base, unchanged since it was written, with every entry of the kind that it must be.

    Raises:
        WeightsError: it is damaged, changed or of another format.
    """
    file = folder / RECORD
    with damage_is(lambda why: WeightsError(f"{file} cannot be read ({why}). {ADVICE}")):
        entries = parsed(file)
        signature, has = entries.pop("sha256", None), entries.get("format")
        if has != FORMAT:
            raise WeightsError(f"{file} must have format {FORMAT}, got {str(has)[:20]!r}. {_UPDATE}")
        if signature != _digest(entries):
            raise WeightsError(f"{file} was changed after it was written: its hash differs. {ADVICE}")
        known = {field.name for field in fields(Record)}
        record = checked(Record(**{name: value for name, value in entries.items() if name in known}))
        wrong = _wrong(record)
        if wrong:
            raise WeightsError(f"{file} has a wrong entry ({', '.join(wrong)}). {ADVICE}")
        return record


_UPDATE = "Update handful, or make the base again with `handful adapt`."
ADVICE = "Restore the base, or make it again with `handful adapt`."
"""What to do about a damaged base."""


def _wrong(record: Record) -> list[str]:
    """The entries that cannot be what they must be."""
    plain = 0 < len(record.original) <= _LONGEST and not _CONTROL.search(record.original)
    holds = {
        "modality": record.modality in ("text", "image", "sound"),
        "original": plain and not record.original.startswith(_SHARES),
        "fingerprint": _PLAIN.fullmatch(record.fingerprint) is not None,
        "tuner": record.tuner == TUNER,
        "first": 0 <= record.first <= _DEEPEST,
        "objective": _PLAIN.fullmatch(record.objective) is not None,
        "updates": record.updates >= 0,
        "items": record.items >= 0,
        "weights": _SHA.fullmatch(record.weights) is not None,
    }
    return [name for name, is_right in holds.items() if not is_right]


def _digest(entries: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
