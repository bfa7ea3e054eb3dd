"""The Hugging Face hub: asked once whether it answers, so that nobody waits for retries without a network."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants, try_to_load_from_cache

# Seconds: a hub that has not answered by then is taken for unreachable.
_PATIENCE = 5.0

# One of these is in every model that was fetched before.
_FIRST = ("config.json", "modules.json")


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
