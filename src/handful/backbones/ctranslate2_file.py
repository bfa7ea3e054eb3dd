"""The binary file in which CTranslate2 keeps a model: its tensors by name, read without running anything.

All numbers are little-endian, all words end with a zero byte that their length counts. In this order: the version of
the format; the kind of model and the revision of its layout; the tensors, each with name, shape, kind of numbers and
size in bytes; pairs of names, of which the first one is another name for the second (``specs/model_spec.py`` of
CTranslate2).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The version of the format that CTranslate2 has written since 2021.
_VERSION = 6

# Kinds of numbers, in the order of their codes; the sixth is bfloat16, which NumPy does not know.
_KINDS = ("<f4", "|i1", "<i2", "<i4", "<f2")


@dataclass(frozen=True)
class CTranslate2File:
    """What such a file holds."""

    kind: str
    """The kind of model, as the converter calls it: ``WhisperSpec``."""
    revision: int
    """Raised by CTranslate2 whenever it names the tensors of this kind of model otherwise."""
    tensors: dict[str, np.ndarray]
    """By name, as they are stored; a tensor with two names is there under both."""


def read(file: Path) -> CTranslate2File:
    """Read the file.

    Args:
        file: where it lies.

    Raises:
        ValueError: it is of another version, ends too early or too late, or has a tensor of another kind or size.
        KeyError: a second name is one for a tensor that is not there.
    """
    reader = _Reader(file.read_bytes())
    version = reader.number("I")
    if version != _VERSION:
        raise ValueError(f"{file.name} must be of version {_VERSION} of the format, got {version}")
    kind, revision = reader.word(), reader.number("I")
    tensors = dict(_tensor(reader) for _ in range(reader.number("I")))
    for _ in range(reader.number("I")):
        alias, name = reader.word(), reader.word()
        tensors[alias] = tensors[name]
    if reader.at != len(reader.content):
        raise ValueError(f"{file.name} goes on for {len(reader.content) - reader.at} bytes behind its end")
    return CTranslate2File(kind, revision, tensors)


class _Reader:
    """Reads one thing after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def bytes(self, count: int) -> bytes:
        if count > len(self.content) - self.at:
            raise ValueError("the file ends too early")
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self, kind: str) -> int:
        """A whole number of a kind that the module ``struct`` has a letter for."""
        return int(struct.unpack(f"<{kind}", self.bytes(struct.calcsize(kind)))[0])

    def word(self) -> str:
        letters = self.bytes(self.number("H"))
        if not letters.endswith(b"\0"):
            raise ValueError("a name in the file must end with a zero byte")
        return letters[:-1].decode("utf-8")


def _tensor(reader: _Reader) -> tuple[str, np.ndarray]:
    name = reader.word()
    shape = [reader.number("I") for _ in range(reader.number("B"))]
    code, size = reader.number("B"), reader.number("I")
    if code >= len(_KINDS):
        raise ValueError(f"tensor {name} is of the kind {code}, which is none of ours")
    kind = np.dtype(_KINDS[code])
    if size != math.prod(shape) * kind.itemsize:
        raise ValueError(f"tensor {name} must have {math.prod(shape) * kind.itemsize} bytes, got {size}")
    return name, np.frombuffer(reader.bytes(size), kind).reshape(shape)
