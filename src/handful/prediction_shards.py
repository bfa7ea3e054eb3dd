"""Answers in shards: computed by the workers of an engine, and remembered on disk until a whole source is answered.

A shard is a chunk of rows. What is remembered of one is named by its content and by that of the model, so that a
command that is typed again after its end reads what is done, whatever changed meanwhile, and computes the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from shutil import rmtree
from typing import Any
from zipfile import BadZipFile

import numpy as np

from handful.atomic import replaced_file
from handful.data.cells import shown
from handful.data.dataset import item_hash
from handful.data.streams import Chunk
from handful.engines import Engine
from handful.engines.shards import in_shards
from handful.errors import DataError, OptionError
from handful.export.bundle import Bundle
from handful.prediction import Judgement, Judging, judgement
from handful.readback import FAILURES

MARK = "answered shards of handful predict\n"
"""What the first file of a record says, by which its folder is known."""

_MARKED = "about.txt"
# What reading a damaged file raises.
_DAMAGE: tuple[type[Exception], ...] = (*FAILURES, EOFError, BadZipFile)
_ENDING = ".npz"


@dataclass(frozen=True)
class Shard:
    """Some rows of a source that are answered together."""

    number: int
    """Which, from 0."""
    digest: str
    """The name of what is answered, and by which model."""
    items: tuple[Any, ...]
    """The B items that can be read."""

    def __repr__(self) -> str:
        return f"shard {self.number} ({len(self.items)} items)"


class ShardRecord:
    """A folder with what was answered to each shard, one file each, written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Open it; it is made when the first shard is kept.

        Args:
            folder: where.

        Raises:
            OptionError: something else is there.
        """
        self.folder = folder
        self.known = 0
        if folder.exists() and not _is_record(folder):
            raise OptionError(
                f"{folder} must be a record of answered shards or not be there, got something else. Remove it, or "
                "choose another --out."
            )

    def read(self, shard: Shard) -> Judgement | None:
        """What was answered to a shard; None where it is not known, or its file cannot be read."""
        try:
            made = _unpacked((self.folder / f"{shard.digest}{_ENDING}").read_bytes())
        except _DAMAGE:
            return None
        if len(made.rarity) != len(shard.items):
            return None
        self.known += 1
        return made

    def keep(self, shard: Shard, made: Judgement) -> None:
        """Write down what was answered to a shard.

        Raises:
            MachineError: it cannot be written, or the disk is full.
        """
        if not (self.folder / _MARKED).is_file():
            with replaced_file(self.folder / _MARKED) as file:
                file.write_text(MARK, encoding="utf-8")
        with replaced_file(self.folder / f"{shard.digest}{_ENDING}") as file:
            file.write_bytes(_packed(made))

    def forget(self) -> None:
        """Remove the folder: all is answered."""
        if _is_record(self.folder):
            rmtree(self.folder)


def _is_record(folder: Path) -> bool:
    try:
        return (folder / _MARKED).read_text("utf-8") == MARK
    except (OSError, ValueError):
        return False


def _packed(made: Judgement) -> bytes:
    buffer = BytesIO()
    failed = np.frombuffer(json.dumps(list(made.failed.items())).encode(), np.uint8)
    np.savez(buffer, outputs=made.outputs, rarity=made.rarity, failed=failed)
    return buffer.getvalue()


def _unpacked(content: bytes) -> Judgement:
    """Read back what ``_packed`` made; no pickle is read."""
    with np.load(BytesIO(content), allow_pickle=False) as held:
        failed = {int(at): str(why) for at, why in json.loads(held["failed"].tobytes())}
        return Judgement(held["outputs"], held["rarity"], failed)


def model_digest(model: Bundle) -> str:
    """The name of a model by all that its answers come of."""
    digest = hashlib.sha256(repr((model.task.name, model.task.settings, model.view.parts, model.labels)).encode())
    digest.update(repr(sorted(model.fingerprints.items())).encode())
    arrays = [
        model.coef,
        model.intercept,
        *(() if model.moved is None else map(model.moved.delta.get, model.moved.delta)),
    ]
    if model.reference is not None:
        arrays += list(model.reference.tensors().values())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def shard_digest(model: str, items: tuple[Any, ...]) -> str:
    """The name of some items that a model answers; a file that cannot be read is named by its name.

    Args:
        model: what ``model_digest`` says.
        items: of one shard.
    """
    digest = hashlib.sha256(model.encode())
    for item in items:
        try:
            digest.update(item_hash(item).encode())
        except (DataError, OSError):
            digest.update(f"unreadable {item}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def answered(model: Bundle, shard: Shard) -> Judgement:
    """What a worker does."""
    return judgement(model, list(shard.items))


@contextmanager
def judging_in_shards(
    model: Bundle, engine: Engine, record: ShardRecord, say: Callable[[str], None]
) -> Iterator[Judging]:  # fmt: skip
    """How ``prediction.answers`` has its chunks answered by the workers of an engine; the record goes when all is done.

    Args:
        model: which answers; on a cluster its backbones have to be on every machine.
        engine: whose workers.
        record: what is done already, and where what gets done is kept.
        say: told how many shards were done already.
    """
    named = model_digest(model)

    def judged(chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Judgement]]:
        start = list(islice(chunks, 2))
        if len(start) < 2:
            for chunk in start:
                say(f"{len(chunk.rows)} rows are one shard: inline is faster, so they are answered here")
                yield chunk, judgement(model, [chunk.items[i] for i in chunk.readable])
            return
        waiting: dict[int, Chunk] = {}

        def shards() -> Iterator[Shard]:
            for number, chunk in enumerate(chain(start, chunks)):
                waiting[number] = chunk
                items = tuple(_whole(chunk.items[i]) for i in chunk.readable)
                yield Shard(number, shard_digest(named, items), items)

        with engine.workers(answered, model) as workers:
            for shard, made in in_shards(workers, shards(), record.read, record.keep):
                yield waiting.pop(shard.number), made

    yield judged
    if record.known:
        say(f"{record.known} shards were answered before, as {shown(str(record.folder))} says")
    record.forget()


def _whole(item: Any) -> Any:
    """An item as every worker finds it, wherever it runs."""
    return item.absolute() if isinstance(item, Path) else item
