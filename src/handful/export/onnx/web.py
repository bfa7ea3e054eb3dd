"""A model as a page that any browser opens, without a server and offline: graph and runtime lie in it as scripts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from handful.atomic import replaced_folder
from handful.data.cells import shown
from handful.errors import OptionError
from handful.export.onnx.folder import Contents, read

PAGE, RUNTIME, MODEL, SCRIPT = "index.html", "runtime.js", "model.js", "page.js"
PARTS = (MODEL, PAGE, RUNTIME, SCRIPT)
"""What lies in the folder, first what it is known by."""


def write_page(onnx: Path, folder: Path, runtime: Mapping[str, bytes]) -> int:
    """Make a page of the folder of a model in ONNX.

    Args:
        onnx: the folder.
        folder: where the page goes; an earlier one there is replaced.
        runtime: what ``web_runtime.runtime_files`` gives.

    Returns:
        How many bytes it has.

    Raises:
        OptionError: the tokenizer of the model is none that a page can have.
        BundleError: the folder is damaged.
        MachineError: the page cannot be written.
    """
    manifest, contents = read(onnx)
    library, glue, code = runtime.values()
    title = ", ".join(shown(name) for name in contents.labels[:4]) or shown(str(manifest["target"] or "A number"))
    machine = _script({"glue": _base64(glue), "wasm": _base64(code)})
    about, model = _script(_about(manifest, contents)), _script(_base64(contents.model))
    texts = {
        PAGE: _template("onnx_web.html").replace("TITLE", _escaped(title)),
        RUNTIME: library.decode("utf-8") + f"\nconst RUNTIME = {machine};\n",
        MODEL: f"const ABOUT = {about};\nconst MODEL = {model};\n",
        SCRIPT: _template("onnx_web.js"),
    }
    with replaced_folder(folder, PARTS) as target:
        for name, text in texts.items():
            (target / name).write_text(text, encoding="utf-8", newline="\n")
    return sum(len(text.encode()) for text in texts.values())


def _about(manifest: Mapping[str, Any], contents: Contents) -> dict[str, Any]:
    return {
        "modality": manifest["modality"],
        "pairs": manifest["pairs"],
        "labels": list(contents.labels),
        "digits": manifest["digits"],
        "decided": manifest.get("decided", ""),
        "inputs": list(contents.preparations),
        "tokenizers": {name: word_pieces(name, text) for name, text in contents.files.items()},
    }


def word_pieces(name: str, text: str) -> dict[str, Any]:
    """What a page needs of a tokenizer.

    Args:
        name: its file.
        text: what the file says.

    Raises:
        OptionError: it splits texts in another way than BERT does.
    """
    said = json.loads(text)
    model, normalizer = said["model"], said.get("normalizer") or {}
    if model.get("type") != "WordPiece" or normalizer.get("type") != "BertNormalizer":
        raise OptionError(
            f"--format web takes texts whose tokenizer is that of BERT (minilm-l6, bge-small-en), got "
            f"{model.get('type')} in {name}. Use --format onnx."
        )
    vocab = model["vocab"]
    return {
        "vocab": vocab,
        "unknown": vocab[model["unk_token"]],
        "inside": model["continuing_subword_prefix"],
        "longest": model["max_input_chars_per_word"],
        "begin": vocab["[CLS]"],
        "end": vocab["[SEP]"],
        "lower": bool(normalizer.get("lowercase")),
    }


def _script(value: Any) -> str:
    """A value within a script: JSON in which no tag can end."""
    return json.dumps(value).replace("</", "<\\/").replace("\u2028", "\\u2028")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _template(name: str) -> str:
    return (files("handful") / "templates" / name).read_text("utf-8")
