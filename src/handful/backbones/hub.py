"""The one door to what others published: models and tokenizers from a folder or the Hugging Face hub, never their code.

The libraries behind this door can do more than read weights: run Python files that lie beside a model, fetch compiled
code that its settings name, and load another model in its place. None of that happens here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants, try_to_load_from_cache

from handful.readback import reason, shortened

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
# The setting that names how attention is computed: a hub id there stands for compiled code to fetch.
_ATTENTION = "attn_implementation"

# What a model is built of one after the other, which would take for ever if there were millions.
_REPEATED, _MOST = ("layer", "num_block", "expert"), 1_000


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
    before = fetched(source)
    if before is None:
        raise OSError(f"no such folder, no answer from {constants.ENDPOINT}, and nothing fetched from it before")
    return str(before)


def fetched(source: str) -> Path | None:
    """The folder of a model that was fetched from the hub before; None where none was. Nobody is asked.

    Args:
        source: a Hugging Face id.

    Raises:
        ValueError: it cannot be one.
    """
    for name in _FIRST:
        file = try_to_load_from_cache(source, name)
        if isinstance(file, str):
            return Path(file).parent
    return None


def read_model(kind: Any, place: str, part: str = "", **named: Any) -> Any:
    """Load a model through transformers: from safetensors, with no code but that of transformers itself.

    Args:
        kind: a class that has ``from_pretrained``.
        place: a folder or a Hugging Face id.
        part: the sub-folder that it lies in.
        **named: what the class takes beside.

    Raises:
        OSError: it cannot be loaded, or asks for code, or for another model.
    """
    with _quiet(), _only_os_errors():
        _check_settings(place, part)
        return kind.from_pretrained(
            place, subfolder=part, trust_remote_code=False, use_safetensors=True, local_files_only=_is_folder(place),
            **named,
        )  # fmt: skip


def read_beside(kind: Any, place: str, part: str = "", **named: Any) -> Any:
    """Load what belongs to a model, its tokenizer or image processor; arguments and errors as of ``read_model``."""
    with _quiet(), _only_os_errors():
        return kind.from_pretrained(
            place, subfolder=part, trust_remote_code=False, local_files_only=_is_folder(place), **named
        )


def read_settings(place: str, name: str, part: str = "") -> Any:
    """A JSON file of a folder or a hub repository; None where it has none.

    Args:
        place: a folder or a Hugging Face id.
        name: of the file.
        part: the sub-folder that it lies in.

    Raises:
        OSError: it cannot be had.
        ValueError: it is no JSON.
    """
    from transformers.utils import cached_file

    file = cached_file(
        place, name, subfolder=part, local_files_only=_is_folder(place), _raise_exceptions_for_missing_entries=False
    )
    return None if file is None else json.loads(Path(file).read_text("utf-8"))


def _check_settings(place: str, part: str) -> None:
    """Refuse settings that make the libraries fetch code, or load another model than the one that lies there."""
    if _is_folder(place) and (Path(place) / part / "adapter_config.json").exists():
        raise ValueError(
            "it holds an adapter (adapter_config.json), which may name any other model to be loaded: merge it into its "
            "model and save that"
        )
    for key, value in _entries(read_settings(place, "config.json", part) or {}):
        if isinstance(value, str) and key.endswith(_ATTENTION) and "/" in value:
            raise ValueError(f"its config.json asks for code from a hub ({key} {value!r}), which is never run")
        if isinstance(value, int) and value > _MOST and any(word in key for word in _REPEATED):
            raise ValueError(f"its config.json asks for more parts than any model has ({key} {shortened(value)})")


def _entries(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in settings that holds no other, with its name; within a setting of attention with that name."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entries(inner, key if key.endswith(_ATTENTION) else str(name))
    else:
        yield key, value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and load reports to ourselves: what matters in them is checked and said in one sentence."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _only_os_errors() -> Iterator[None]:
    """One kind of error, with its reason in a line, for the many that these libraries raise."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        # They say which argument would let the code in.
        code = "trust_remote_code" in str(error)
        raise OSError("it needs Python code of its own, which is never run" if code else reason(error)) from error


def _is_folder(place: str) -> bool:
    return Path(place).is_dir()


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
