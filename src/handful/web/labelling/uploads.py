"""Files that are dropped on the page: decoded within limits, kept by their content, and asked about like the others."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import python_multipart  # noqa: F401 - what starlette reads forms with
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from handful.answer_store import StoredItem
from handful.data.cells import shown
from handful.data.label_pool import read_label_pool
from handful.data.media_bytes import item_of_bytes
from handful.data.media_names import media_kind
from handful.data.pool import skipped
from handful.errors import DataError, OptionError
from handful.seeding import generator
from handful.web.failures import body_of
from handful.web.labelling.session import Session
from handful.web.questions import RefusedError

MOST_BYTES = 64 << 20
"""The longest body of a request; the page sends large folders in several."""
MOST_FILES = 100
"""The most files of one request."""
MOST_TEXTS = 10_000
"""The most texts of one file."""
MOST_ITEMS = 100_000
"""The most items of a pool with what was dropped."""
# What a file of texts may end with; the name of the file that it is read from is our own.
_TEXTS = (".txt", ".csv", ".tsv", ".jsonl")


async def take_files(request: Request, session: Session) -> dict[str, Any]:
    """Take the files of a form into the pool.

    Returns:
        How many items are new, how many were there already, and which files cannot be read, with the reason.

    Raises:
        RefusedError: there are none, or too many.
        MachineError: they cannot be kept.
    """
    body = await body_of(request, MOST_BYTES, "Drop fewer files at a time.")
    files = await _form(body, request)
    if not files:
        raise RefusedError("there must be at least one file, got none. Send files in fields called file.", "file")
    if len(session.pool) + len(files) > MOST_ITEMS:
        raise RefusedError(f"a pool can have {MOST_ITEMS:,} items at most. Label these first.", "file", 413)
    taken: list[StoredItem] = []
    failed: list[dict[str, str]] = []
    for name, content in files:
        try:
            items, left_out = await run_in_threadpool(_items, session, name, content)
            taken += items
            if left_out:
                failed.append({"name": shown(name)[:200], "why": left_out})
        except (DataError, OptionError) as error:
            failed.append({"name": shown(name)[:200], "why": str(error)})
    new = await run_in_threadpool(session.drop, taken)
    return {"new": new, "known": len(taken) - new, "failed": failed}


async def _form(body: bytes, request: Request) -> list[tuple[str, bytes]]:
    """Name and content of each file of a form."""

    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=MOST_FILES, max_fields=10, max_part_size=1024)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        why = getattr(error, "message", "it has no boundary")
        raise RefusedError(f"the form cannot be read ({why}). Send files in fields called file.") from error
    files = [
        (value.filename or "", await value.read()) for _, value in form.multi_items() if isinstance(value, UploadFile)
    ]
    await form.close()
    return files


def _items(session: Session, name: str, content: bytes) -> tuple[list[StoredItem], str]:
    """What one file holds, and what of it is left out; pictures and sounds are kept on the disk."""
    suffix, modality = Path(name).suffix.lower(), session.pool.modality
    if modality == "text":
        if suffix not in _TEXTS:
            raise DataError(f"texts must come in a file that ends with {', '.join(_TEXTS)}, got {shown(suffix)!r}.")
        return _texts(content, suffix, session.task.name)
    if media_kind(f"a{suffix}") != modality:
        raise DataError(f"this pool holds {modality}s, got a file that ends with {shown(suffix)!r}.")
    item_of_bytes(content, modality)  # it can be decoded, and is not too large
    return [session.store.keep_bytes(content, f"a{suffix}", modality)], ""


def _texts(content: bytes, suffix: str, task: str) -> tuple[list[StoredItem], str]:
    """The texts of a file, read as the same file in a pool would be, and what of it is left out."""
    with tempfile.TemporaryDirectory(prefix="handful-") as folder:
        file = Path(folder) / f"dropped{suffix}"
        file.write_bytes(content)
        pool = read_label_pool(file, generator(0, "dropped"), task=task, most=MOST_TEXTS)
    if pool.modality != "text":
        raise DataError("the table must hold texts, got names of files. Drop the files themselves.")
    left_out = skipped(pool.skipped, "the file", pool.why) if pool.skipped else ""
    return [StoredItem.of(item, "text") for item in pool.items], left_out


def by_chance(count: int, seed: int) -> list[int]:
    """The positions of a pool in an order that knows nothing of them."""
    return [int(position) for position in generator(seed, "order of the pool").permutation(np.arange(count))]
