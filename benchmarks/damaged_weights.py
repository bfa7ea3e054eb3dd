"""Damaged weights: archives and cached files with flipped bits, cuts and crafted parts; which are refused, and how.

A try is refused if it ends in one sentence, unchanged if it is taken and says what it said before (the damage hit
nothing that is read), wrong if it is taken and says something else, and a traceback if it ends in anything else. The
last rows say how long it takes to verify the weights of a base, first and ever after. Only copies are damaged.

    python benchmarks/damaged_weights.py --draws 1000 --out benchmarks/results/damaged_weights.csv
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from handful.backbones import archive, catalog, entries, weights
from handful.errors import HandfulError
from ledger import Ledger, Row, cells, options

FIELDS = ("set", "base", "damage", "draw", "outcome", "seconds")
OUTCOMES = ("refused", "unchanged", "wrong", "traceback")

# The base whose archive is damaged: the smallest that there is.
SMALL = "speech-embedding"
PLACES = 10

# Field of a member's headers → where it lies in its own header and in the list at the end, and what is put there.
FIELD_VALUES = {
    "flags": (6, 8, tuple(struct.pack("<H", n) for n in (1, 0x20, 0x40, 0x41, 0x800, 0xFFFF))),
    "method": (8, 10, tuple(struct.pack("<H", n) for n in (1, 8, 9, 12, 14, 77, 93, 99, 0xFFFF))),
    "version": (4, 6, tuple(struct.pack("<H", n) for n in (63, 64, 999, 0xFFFF))),
    "check sum": (14, 16, (bytes(4), b"\xff" * 4)),
    "size": (22, 24, (bytes(4), b"\1\0\0\0", b"\xff\xff\xff\x7f", b"\xff" * 4)),
    "packed size": (18, 20, (bytes(4), b"\1\0\0\0", b"\xff\xff\xff\x7f", b"\xff" * 4)),
    "length of the name": (26, 28, (bytes(2), b"\xff\xff")),
    "length of what is beside": (28, 30, (b"\1\0", b"\xff\xff")),
}

MANIFESTS = (
    b"", b"{", b"[]", b"null", b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 100_000, b"1e400",
    b'{"files": {}}', b'{"files": {"model.safetensors": [1e400, "x"]}}', b'{"format": 1e400}', b"9" * 5000, b'"\xff"',
    b'{"files": {"../x": "y"}}', b'{"name": "x", "name": "y"}',
)  # fmt: skip

NAMES = ("../evil", "/evil", "C:evil", "a/../../evil", f"{SMALL}/../evil", f"{SMALL}/evil.py", f"{SMALL}/x.pkl", "x/y")


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, "archives,weights,time", 1000, "damaged_weights.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "base", "damage", "draw"))
    parts = {"archives": lambda: archives(args.draws), "weights": files, "time": times}
    for name, measured in parts.items():
        if name in args.sets.split(",") and not args.table and not ledger.has(set=name):
            ledger.extend(list(measured()))
    print(table(ledger.rows))


def archives(count: int) -> Iterator[Row]:
    """Damage one archive in ``count`` ways, and unpack each into an empty cache."""
    original = weights.weights_folder(SMALL)
    with tempfile.TemporaryDirectory() as place:
        sound, file = Path(place) / "sound.zip", Path(place) / "weights.zip"
        with cache(Path(place) / "one"):
            shutil.copytree(original, weights.place_of(entries.find(SMALL)))
            archive.bundle(sound)
        for draw, (damage, content) in zip(range(count), damaged(sound), strict=False):
            file.write_bytes(content)
            with cache(Path(place) / "empty"):
                outcome, seconds = tried(partial(unpacked, file), None)
            shutil.rmtree(Path(place) / "empty", ignore_errors=True)
            yield row("archives", SMALL, damage, draw, outcome, seconds)


def files() -> Iterator[Row]:
    """Flip a bit in ten places of the weights of every base that is here, and load it."""
    here = weights.present()
    for entry in [entry for entry in entries.ENTRIES if entry.weights in here]:
        rng = np.random.default_rng([7, *entry.name.encode()])
        original = weights.weights_folder(entry.weights)
        with tempfile.TemporaryDirectory() as place, cache(Path(place)):
            folder = shutil.copytree(original, weights.place_of(entries.find(entry.weights)))
            sound = load(entry)
            for draw in range(PLACES):
                damage, file, at = spot(folder, draw, rng)
                flip(file, at, int(rng.integers(8)))
                outcome, seconds = tried(partial(load, entry), sound)
                shutil.copyfile(original / file.name, file)
                yield row("weights", entry.name, damage, draw, outcome, seconds)


def times() -> Iterator[Row]:
    """How long it takes to verify the weights of a base, and once they are known."""
    for name in weights.present():
        for damage, verify in (("first", weights.problem), ("known", weights.weights_folder)):
            for draw in range(5):
                start = time.perf_counter()
                verify(name)
                yield row("time", name, damage, draw, "", round(time.perf_counter() - start, 5))


def row(*values: object) -> Row:
    """A row of the ledger."""
    return dict(zip(FIELDS, values, strict=True))


def unpacked(file: Path) -> str | None:
    """Unpack an archive; return what is wrong with the weights then."""
    archive.unbundle(file)
    return weights.problem(SMALL)


def load(entry: entries.Entry) -> str:
    """Load a base; return its fingerprint."""
    return catalog.load(entry.name, entry.modality).fingerprint


@contextmanager
def cache(folder: Path) -> Iterator[None]:
    """Another cache folder for a while."""
    before = os.environ.get("HANDFUL_CACHE")
    os.environ["HANDFUL_CACHE"] = str(folder)
    try:
        yield
    finally:
        del os.environ["HANDFUL_CACHE"]
        if before is not None:
            os.environ["HANDFUL_CACHE"] = before


def tried(act: Callable[[], object], expected: object) -> tuple[str, float]:
    """How a try ended, and after how many seconds."""
    start = time.perf_counter()
    try:
        outcome = "unchanged" if act() == expected else "wrong"
    except HandfulError:
        outcome = "refused"
    except Exception:  # what the benchmark counts
        outcome = "traceback"
    return outcome, round(time.perf_counter() - start, 4)


def spot(folder: Path, draw: int, rng: np.random.Generator) -> tuple[str, Path, int]:
    """Where a bit is flipped: eight times in the numbers, once in what stands before them, once in another file."""
    numbers = folder / "model.safetensors"
    start = 8 + int.from_bytes(numbers.read_bytes()[:8], "little")
    if draw < PLACES - 2:
        return "numbers", numbers, int(rng.integers(start, numbers.stat().st_size))
    if draw == PLACES - 2:
        return "header", numbers, int(rng.integers(start))
    others = sorted(file for file in folder.iterdir() if file not in (numbers, folder / "manifest.json"))
    file = others[int(rng.integers(len(others)))]
    return "other file", file, int(rng.integers(file.stat().st_size))


def flip(file: Path, at: int, bit: int) -> None:
    """Flip one bit of a file."""
    with file.open("r+b") as stream:
        stream.seek(at)
        (byte,) = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte ^ 1 << bit]))


def damaged(sound: Path) -> Iterator[tuple[str, bytes]]:
    """An archive damaged in ever new ways: first what was crafted, then at random."""
    content = sound.read_bytes()
    with zipfile.ZipFile(sound) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    manifest = f"{SMALL}/manifest.json"
    told = json.loads(members[manifest])
    yield "crafted: no archive", b""
    yield "crafted: no archive", b"PK\5\6" + bytes(18)
    for text in (*MANIFESTS, *(json.dumps(told | {key: None}).encode() for key in told)):
        yield "crafted: manifest", packed({**members, manifest: text})
    for name in NAMES:
        yield "crafted: name", packed({**members, name: b"bad"})
    for name in members:
        yield "crafted: file gone", packed({other: text for other, text in members.items() if other != name})
        yield "crafted: other file", packed({**members, name: members[name][:-1] + bytes([members[name][-1] ^ 1])})
    yield "crafted: too large", packed({**members, f"{SMALL}/LICENSE": bytes(64 << 20)}, zipfile.ZIP_DEFLATED)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield "crafted: method", packed(members, method)
    for field, (own, listed, values) in FIELD_VALUES.items():
        for value in values:
            yield f"crafted: {field}", patched(content, own, listed, value)
    yield from at_random(content, packed(members, zipfile.ZIP_DEFLATED))


def at_random(*contents: bytes) -> Iterator[tuple[str, bytes]]:
    """Damage that chance does: flips anywhere, flips in the list of files at the end, cuts, lost stretches."""
    rng = np.random.default_rng(7)
    while True:
        for content in contents:
            changed, end = bytearray(content), len(content)
            for at in rng.integers(0, end, int(rng.integers(1, 4))):
                changed[at] ^= 1 << int(rng.integers(8))
            yield "flips anywhere", bytes(changed)
            changed = bytearray(content)
            changed[int(rng.integers(end - 400, end))] ^= 1 << int(rng.integers(8))
            yield "flip in the list of files", bytes(changed)
            yield "cut off", content[: int(rng.integers(end))]
            first, last = sorted(int(at) for at in rng.integers(0, end, 2))
            yield "a stretch of zeros", content[:first] + bytes(last - first) + content[last:]
            yield "a stretch lost", content[:first] + content[last:]


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as opened:
        for name, text in members.items():
            opened.writestr(name, text)
    return stream.getvalue()


def patched(content: bytes, own: int, listed: int, value: bytes) -> bytes:
    """Write over a field of every member, in its own header and in the list at the end."""
    found = bytearray(content)
    for mark, at in ((b"PK\3\4", own), (b"PK\1\2", listed)):
        start = content.find(mark)
        while start >= 0:
            found[start + at : start + at + len(value)] = value
            start = content.find(mark, start + 4)
    return bytes(found)


def table(rows: list[Row]) -> str:
    """How the tries ended, by what was damaged and how; and the times."""
    tries = [row for row in rows if row["set"] != "time"]
    lines = [f"{'set':<10}{'damage':<36}{'tries':>6}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES)]
    for (name, damage), some in cells(tries, "set", "damage").items():
        lines.append(f"{name:<10}{damage:<36}{counts(some)}")
    for (name,), some in cells(tries, "set").items():
        lines.append(f"{name:<10}{'all':<36}{counts(some)}")
    lines.append(f"\n{'base':<22}{'tries':>6}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES))
    for (base,), some in cells([row for row in tries if row["set"] == "weights"], "base").items():
        lines.append(f"{base:<22}{counts(some)}")
    lines.append(f"\n{'base':<22}{'verified first':>16}{'once known':>12}")
    for (base,), some in cells([row for row in rows if row["set"] == "time"], "base").items():
        first, known = (
            1000 * np.median([float(str(row["seconds"])) for row in some if row["damage"] == kind])
            for kind in ("first", "known")
        )
        lines.append(f"{base:<22}{first:>13.0f} ms{known:>9.1f} ms")
    return "\n".join(lines)


def counts(rows: list[Row]) -> str:
    """How many tries there were, and how many ended in each way."""
    return f"{len(rows):>6}" + "".join(f"{sum(row['outcome'] == outcome for row in rows):>11}" for outcome in OUTCOMES)


if __name__ == "__main__":
    main()
