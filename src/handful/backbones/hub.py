"""Models of the Hugging Face hub and in its form: where they lie, which settings they bring, why one was refused."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants, try_to_load_from_cache

# Seconds: a hub that has not answered by then is taken for unreachable.
_PATIENCE = 5.0

# One of these is in every model that was fetched before.
_FIRST = ("config.json", "modules.json")

# What is read beside the weights, whatever the model; a tokenizer names more.
_SETTINGS = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
)


def located(source: str) -> str:
    """Where a model is loaded from: a folder, or its id where the hub answers.

    The libraries behind the hub ask for each file of a model by itself, and six times where nobody answers.

    Args:
        source: a folder or a Hugging Face id.

    Returns:
        The folder; the id; or without an answer the folder of what was fetched before.

    Raises:
        OSError: the hub does not answer, and the model was not fetched before.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return str(folder)
    if not constants.HF_HUB_OFFLINE and _answers(constants.ENDPOINT):
        return source
    for name in _FIRST:
        file = try_to_load_from_cache(source, name)
        if isinstance(file, str):
            return str(Path(file).parent)
    raise OSError(f"no such folder, no answer from {constants.ENDPOINT}, and nothing fetched from it before")


def settings_digest(place: str, tokenizer: Any = None, part: str = "") -> str:
    """The digest of what was read beside the weights of a model: settings, and the files of its tokenizer.

    The same weights give other numbers with another number of heads, or another vocabulary.

    Args:
        place: the folder or id that it was loaded from.
        tokenizer: that of transformers, where the model has one.
        part: the sub-folder that it lies in.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: a file cannot be read.
    """
    names = {*_SETTINGS, *getattr(tokenizer, "vocab_files_names", {}).values()}
    digest = hashlib.sha256()
    for name in sorted(names):
        file = _read_before(place, f"{part}/{name}" if part else name)
        if file is not None:
            digest.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _read_before(place: str, name: str) -> Path | None:
    """A file of a model that was loaded; None where the model has none of this name."""
    if Path(place).is_dir():
        file = Path(place) / name
        return file if file.is_file() else None
    found = try_to_load_from_cache(place, name)
    return Path(found) if isinstance(found, str) else None


def said(error: Exception) -> str:
    """The first line of what an error of a library says, as the end of a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _answers(address: str) -> bool:
    try:
        with urlopen(Request(address, method="HEAD"), timeout=_PATIENCE):
            return True
    except HTTPError:  # an answer, if not a kind one
        return True
    except URLError as error:  # the libraries may trust other certificates
        return isinstance(error.reason, ssl.SSLError)
    except OSError:
        return False
