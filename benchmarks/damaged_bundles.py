"""What becomes of damaged bundles: refused in a sentence, answered as before, or answered otherwise.

    python benchmarks/damaged_bundles.py --draws 300

Each draw damages a fresh copy of a bundle once. ``unsigned``: bytes flipped, zeroed, cut off, added or exchanged, and
entries changed, as a disc or a hand does. ``re-signed``: tensors or entries changed and all hashes made to fit again,
as somebody does who knows how. A damage that ends in anything but one of handful's own errors, or takes over a minute,
is counted as a traceback or a hang.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from handful.backbones import catalog
from handful.backbones.base import Backbone
from handful.errors import HandfulError
from handful.export.bundle import Bundle
from handful.export.kept_parts import Moved
from handful.export.record import MOVED_WEIGHTS, RECORD, WEIGHTS, digest
from handful.features.view import MOVED, View, unit_rows
from handful.seeding import generator
from handful.tasks.classification import CLASSIFICATION
from handful.training.apply_delta import arrays_of, installed
from handful.training.body import Body
from handful.training.tuners import tuner
from ledger import Ledger, Row, cells, options

FIELDS = ("bundle", "way", "draw", "damage", "outcome", "apart", "said")
SECONDS = 60
# Probabilities that are nearer to each other than this are the same answer.
SAME = 0.01
LABELS = ("ants", "bees", "wasps")
TEXTS = [
    f"{who} {what} {where}"
    for who in ("an ant", "the bees", "some wasps", "nobody")
    for what in ("march over", "buzz around", "sting at", "live under")
    for where in ("the hill", "the hive")
]
JUNK = (None, True, -1, 10**30, 1e999, "", "x", "\0", "../..", "//host/share", [], {}, [[]], {"name": 3})

Damage = Callable[[Path, np.random.Generator], str]


@dataclass
class Whole:
    """A bundle as it was saved."""

    folder: Path
    """Where it lies."""
    base: Backbone
    """The backbone before weights moved, which takes long to load."""
    proba: np.ndarray
    """(N, C) what it says of the texts."""


def made(name: str, folder: Path) -> Whole:
    """A bundle of which the top half moved, fitted on nothing in particular: damage does not ask what was learned."""
    rng, base = generator(0, f"damaged {name}"), catalog.load(name, "text")
    first, depth = len(base.blocks) // 2, len(base.blocks)
    body, moving = Body(base, first), tuner("blocks")
    body.measure(base.run(base.prepare(TEXTS[:2]), first))
    moving.prepare(body)
    start = arrays_of(moving.delta(body))
    delta = {key: (x + 0.05 * x.std() * rng.normal(size=x.shape)).astype(np.float32) for key, x in start.items()}
    part = name + MOVED
    moved = installed(base, "blocks", first, delta)
    seen = moved.encode(TEXTS, [depth])[depth]
    coef = rng.normal(size=(seen.shape[1], len(LABELS))).astype(np.float32) * 4
    model = Bundle(
        CLASSIFICATION, "text", LABELS, View(((part, depth),)), {name: base.fingerprint}, "contrastive", coef,
        -(unit_rows(seen) @ coef).mean(0), "text", seen[:8], loaded={part: moved}, moved=Moved("blocks", first, delta),
    )  # fmt: skip
    model.save(folder)
    return Whole(folder, base, model.predict_proba(TEXTS))


# Damage of a disc or a hand ------------------------------------------------------------------------------------------


def _file(folder: Path, rng: np.random.Generator) -> Path:
    return folder / str(rng.choice([RECORD, WEIGHTS, MOVED_WEIGHTS]))


def _bytes(change: Callable[[bytearray, int, int], object], folder: Path, rng: np.random.Generator) -> str:
    file = _file(folder, rng)
    content = bytearray(file.read_bytes())
    # Half of all changes hit the first kilobyte, where headers and entries are.
    at = int(rng.integers(min(len(content), 1024 if rng.random() < 0.5 else len(content))))
    change(content, at, int(rng.integers(1, 256)))
    file.write_bytes(content)
    return file.name


def flip(folder: Path, rng: np.random.Generator) -> str:
    """One byte becomes another."""
    return _bytes(lambda x, at, by: x.__setitem__(at, x[at] ^ by), folder, rng)


def zero(folder: Path, rng: np.random.Generator) -> str:
    """A run of bytes becomes zeros; where they were zeros already, ones."""

    def change(x: bytearray, at: int, by: int) -> None:
        run = bytes(len(x[at : at + by]))
        x[at : at + by] = b"\xff" * len(run) if x[at : at + by] == run else run

    return _bytes(change, folder, rng)


def cut(folder: Path, rng: np.random.Generator) -> str:
    """The end is missing."""
    return _bytes(lambda x, at, by: x.__delitem__(slice(at, None)), folder, rng)


def add(folder: Path, rng: np.random.Generator) -> str:
    """Bytes are put in."""
    return _bytes(lambda x, at, by: x.__setitem__(slice(at, at), bytes([by]) * by), folder, rng)


def lose(folder: Path, rng: np.random.Generator) -> str:
    """A file is missing."""
    file = _file(folder, rng)
    file.unlink()
    return file.name


def exchange(folder: Path, rng: np.random.Generator) -> str:
    """Two files have each other's name."""
    one, other = rng.permutation([RECORD, WEIGHTS, MOVED_WEIGHTS])[:2]
    first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
    (folder / one).write_bytes(second)
    (folder / other).write_bytes(first)
    return f"{one}, {other}"


def _places(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    inner = [place for key in keys for place in _places(value[key], (*so_far, key))]
    return [so_far, *inner] if so_far else inner


def entry(folder: Path, rng: np.random.Generator) -> str:
    """An entry of the record, however deep, holds something else."""
    record = json.loads((folder / RECORD).read_text("utf-8"))
    places = _places(record)
    place = places[int(rng.integers(len(places)))]
    owner = record
    for key in place[:-1]:
        owner = owner[key]
    kept = owner[place[-1]]
    others = [junk for junk in JUNK if junk != kept or type(junk) is not type(kept)]
    others += [kept + 1] if type(kept) is int else [kept[::-1]] if isinstance(kept, list) and kept[1:] else []
    owner[place[-1]] = others[int(rng.integers(len(others)))]
    (folder / RECORD).write_text(json.dumps(record), "utf-8")
    return f"{'.'.join(map(str, place))} = {owner[place[-1]]!r}"


# Damage of somebody who knows how ------------------------------------------------------------------------------------


def _tensor(name: str, folder: Path, rng: np.random.Generator) -> str:
    """One tensor of a file is changed in one of many ways."""
    tensors = load_file(folder / name)
    key = str(rng.choice(sorted(tensors)))
    x = tensors[key]
    bits = np.ascontiguousarray(x).view(np.uint32).ravel().copy()
    bits[rng.integers(bits.size)] ^= np.uint32(1) << np.uint32(rng.integers(32))
    ways: dict[str, Callable[[], np.ndarray]] = {
        "one bit": lambda: bits.view(np.float32).reshape(x.shape),
        "a tenth of noise": lambda: x + 0.1 * (x.std() + 1e-3) * rng.normal(size=x.shape),
        "as much noise": lambda: x + (x.std() + 1e-3) * rng.normal(size=x.shape),
        "zeros": lambda: np.zeros_like(x),
        "another sign": lambda: -x,
        "shuffled": lambda: rng.permutation(x.ravel()).reshape(x.shape),
        "huge": lambda: np.full_like(x, 3e38),
        "no number": lambda: np.full_like(x, np.nan),
        "another shape": lambda: x[..., :-1] if x.ndim else x.reshape(1),
        "another kind": lambda: x.astype(np.float64),
    }
    way = str(rng.choice(list(ways)))
    found = ways[way]()
    tensors[key] = found if way == "another kind" else np.asarray(found, np.float32)
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / name)
    return f"{name} {key}: {way}"


def head(folder: Path, rng: np.random.Generator) -> str:
    """A tensor of the head, or of what is kept to test it with."""
    return _tensor(WEIGHTS, folder, rng)


def moved(folder: Path, rng: np.random.Generator) -> str:
    """A tensor of what moved."""
    return _tensor(MOVED_WEIGHTS, folder, rng)


def sign(folder: Path) -> None:
    """Make all hashes fit again, where there is still something to be signed."""
    record = json.loads((folder / RECORD).read_text("utf-8"))
    if isinstance(record.get("files"), dict):
        record["files"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.s*")}
    record.pop("sha256", None)
    record["sha256"] = digest(record)
    (folder / RECORD).write_text(json.dumps(record), "utf-8")


WAYS: dict[str, tuple[Damage, ...]] = {
    "unsigned": (flip, zero, cut, add, lose, exchange, entry),
    "re-signed": (entry, head, moved, moved),
}


# What becomes of it --------------------------------------------------------------------------------------------------


def outcome(whole: Whole, folder: Path) -> tuple[str, float | str, str]:
    """What becomes of a damaged bundle, how far its probabilities are from the true ones, and what is said."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    stage = "load"
    try:
        model = Bundle.load(folder)
        stage = "use"
        if model.fingerprints.get(whole.base.name) == whole.base.fingerprint and not model.carried:
            model.loaded[whole.base.name] = whole.base
        proba = model.predict_proba(TEXTS)
    except HandfulError as error:
        return f"refused at {stage}", "", str(error)
    except TimeoutError:
        return "hang", "", stage
    except BaseException as error:  # what must not happen is what is counted here
        return "traceback", "", repr(error)
    finally:
        signal.alarm(0)
    apart = float(np.abs(proba - whole.proba).max()) if proba.shape == whole.proba.shape else float("nan")
    same = apart <= SAME and model.labels == LABELS
    return "same answers" if same else "other answers", round(apart, 6), ""


def measured(name: str, whole: Whole, draws: int) -> Iterator[Row]:
    """Every draw of both ways."""
    for way, damages in WAYS.items():
        for draw in range(draws):
            rng = generator(draw, f"damage {way}")
            damage = damages[int(rng.integers(len(damages)))]
            with tempfile.TemporaryDirectory() as place:
                copy = Path(shutil.copytree(whole.folder, Path(place) / "model"))
                did = damage(copy, rng)
                if way == "re-signed":
                    sign(copy)
                found, apart, said = outcome(whole, copy)
            said = said.replace(place, "…")[:100]
            yield dict(zip(FIELDS, (name, way, draw, f"{damage.__name__}: {did}", found, apart, said), strict=True))


def table(rows: list[Row]) -> None:
    """Outcomes by bundle and way, and what the changed answers came from."""
    kinds = ("refused at load", "refused at use", "same answers", "other answers", "traceback", "hang")
    print(f"{'bundle':<12}{'way':<11}{'damage':<10}{'draws':>6}" + "".join(f"{kind:>17}" for kind in kinds))
    for (name, way), some in cells(rows, "bundle", "way").items():
        by_damage = [("all", some)]
        groups: dict[str, list[Row]] = {}
        for row in some:
            groups.setdefault(str(row["damage"]).partition(":")[0], []).append(row)
        for damage, own in [*by_damage, *sorted(groups.items())]:
            counts = Counter(str(row["outcome"]) for row in own)
            print(f"{name:<12}{way:<11}{damage:<10}{len(own):>6}" + "".join(f"{counts[kind]:>17}" for kind in kinds))


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = options(__doc__, "toy-text,minilm-l6", 300, "damaged_bundles.csv")
    args = parser.parse_args()
    warnings.simplefilter("error")  # a warning out of a damaged bundle counts as a traceback
    ledger = Ledger(args.out, FIELDS, ("bundle", "way", "draw"))
    for name in [] if args.table else args.sets.split(","):
        if ledger.has(bundle=name):
            continue
        with tempfile.TemporaryDirectory() as place:
            whole = made(name, Path(place) / "model")
            ledger.extend(list(measured(name, whole, args.draws)))
    table(ledger.rows)


if __name__ == "__main__":
    main()
