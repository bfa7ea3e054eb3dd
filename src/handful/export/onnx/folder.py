"""The folder of an exported model: a graph, what items become before it, labels, a card, a runner; all with hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from handful.data.cells import is_blank
from handful.data.dataset import CLASSIFIED
from handful.data.targets import BOXES, DEFECTS, MASKS
from handful.errors import BundleError
from handful.export.onnx import runners
from handful.export.onnx.runners import BESIDE, RUNNER
from handful.export.record import digest
from handful.files import read_ordinary
from handful.readback import read_json
from handful.run_folder import MANIFEST

FORMAT = 1
"""Version of the folder; a reader refuses every other."""
MODEL, PREPARATION, LABELS, CARD = "model.onnx", "preprocessing.json", "labels.json", "README.md"
TOKENIZERS = ("tokenizer.json", *(f"tokenizer_{number}.json" for number in range(1, 8)))
PARTS = (MANIFEST, MODEL, PREPARATION, LABELS, RUNNER, BESIDE, CARD, "Dockerfile", "handful.service", *TOKENIZERS)
"""All that may be in it, first what it is known by."""
UNSERVED = (DEFECTS, MASKS, BOXES)
"""Tasks whose folders are answered by the runner alone."""

# Bytes: a graph has at most two thousand million, since it is one message of protocol buffers.
_MOST = 2 << 30


@dataclass(frozen=True)
class Contents:
    """What an exported model is made of."""

    entries: Mapping[str, Any]
    """What the manifest says beside format, author and hashes."""
    model: bytes
    """The graph."""
    preparations: Sequence[Mapping[str, Any]]
    """What items become before each input of the graph."""
    labels: Sequence[str]
    """What may be answered; empty for numbers."""
    files: Mapping[str, str]
    """File name → content of the tokenizers."""
    card: str
    """The model card, in Markdown."""


def write(folder: Path, contents: Contents) -> None:
    """Write all files into a folder that is there, the manifest last.

    Raises:
        OSError: they cannot be written.
    """
    modality = contents.entries["modality"]
    (folder / MODEL).write_bytes(contents.model)
    texts = {
        PREPARATION: _json({"modality": modality, "inputs": list(contents.preparations)}),
        LABELS: _json(list(contents.labels)),
        **runners.programs(modality, str(contents.entries["task"])),
        CARD: contents.card,
        "Dockerfile": runners.template("onnx_Dockerfile.txt").replace("LIBRARIES", runners.LIBRARIES[modality]),
        **contents.files,
    }
    if contents.entries["task"] not in UNSERVED:
        texts["handful.service"] = runners.template("onnx_service.txt")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    manifest = {
        "format": FORMAT,
        "written_by": f"handful {version('handful')}",
        **contents.entries,
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted([MODEL, *texts])},
    }
    manifest["sha256"] = digest(manifest)
    (folder / MANIFEST).write_text(_json(manifest), encoding="utf-8", newline="\n")


def read(folder: Path) -> tuple[dict[str, Any], Contents]:
    """Read a folder, each file compared with its hash.

    Returns:
        The manifest, and what lies beside it.

    Raises:
        BundleError: a file is missing, changed or damaged, or the folder was written by a newer handful.
    """
    file = folder / MANIFEST
    manifest = read_json(file, lambda raw: _checked(file, raw), _unreadable(file))
    held = {name: _held(folder, name, sha) for name, sha in manifest["files"].items()}

    def said(name: str, build: Any) -> Any:
        return read_json(folder / name, build, _unreadable(folder / name))

    labels = said(LABELS, lambda raw: tuple(_names(raw)))
    preparations = said(PREPARATION, lambda raw: list(raw["inputs"]))
    texts = {name: held[name].decode("utf-8") for name in TOKENIZERS if name in held}
    return manifest, Contents(manifest, held[MODEL], preparations, labels, texts, "")


def _checked(file: Path, raw: Any) -> dict[str, Any]:
    if raw["format"] != FORMAT:
        raise BundleError(
            f"{file} must have format {FORMAT}, got {raw['format']!r:.40}. Update handful, or export the model again."
        )
    if raw.pop("sha256", None) != digest(raw):
        raise BundleError(f"{file} was changed after it was written: its hash differs. Export the model again.")
    names = raw["files"]
    plain = isinstance(names, dict) and {MODEL, PREPARATION, LABELS} <= names.keys() <= set(PARTS)
    if not plain or raw["modality"] not in CLASSIFIED or not all(isinstance(sha, str) for sha in names.values()):
        raise ValueError("it does not say what it must")
    return dict(raw)


def _held(folder: Path, name: str, sha: str) -> bytes:
    """The bytes of a file that is as it was written."""
    if not (folder / name).is_file():
        raise BundleError(f"{folder / name} is missing. Export the model again.")
    content = read_ordinary(folder / name, _MOST, OSError)
    if hashlib.sha256(content).hexdigest() != sha:
        raise BundleError(
            f"{folder / name} was changed after it was written: its hash differs. Export the model again."
        )
    return content


def _names(raw: Any) -> list[str]:
    if not isinstance(raw, list) or not all(isinstance(name, str) and not is_blank(name) for name in raw):
        raise ValueError("labels must be texts, none empty")
    return raw


def _unreadable(file: Path) -> Any:
    return lambda why: BundleError(f"{file} cannot be read ({why}). Export the model again.")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
