"""Load on models of parts: seconds and memory over many pictures, pictures of 12 megapixels, and an hour of sound.

    nice -n 19 python benchmarks/parts_load.py --out benchmarks/results/parts_load.csv

Models are those of the examples that ship; what they answer is made of the same examples, enlarged or repeated, since
neither time nor memory depends on what is seen. Each measurement is a process of its own, which reads files one after
the other, as ``handful predict`` does: ``first`` are seconds until the model has answered once, ``wall`` and
``processor`` seconds from there on, and ``memory`` is the most that the process held in all. ``learned`` is one
``handful.tune`` on so many different pictures, with an empty cache.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

import handful
from handful.data.streams import Source
from handful.detection import detections
from handful.export.detector import Detector
from handful.export.segmenter import Segmenter
from handful.files import cache_folder
from handful.prediction import answers
from handful.run import opened
from handful.segmentation import segmentations
from ledger import Ledger, Row, options

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LARGE = (4000, 3000)
"""Pixels of a picture of 12 megapixels."""
FIELDS = ("task", "items", "size", "first", "wall", "processor", "memory")
CASES = (
    ("defects", 100, "128 x 128"), ("defects", 1000, "128 x 128"), ("defects", 10, "12 megapixels"),
    ("defects", 50, "12 megapixels"), ("masks", 10, "12 megapixels"), ("masks", 40, "12 megapixels"),
    ("learned", 200, "12 megapixels"), ("events", 1, "1 minute"), ("events", 1, "20 minutes"),
    ("events", 1, "60 minutes"),
)  # fmt: skip
"""Task, how many items, and how large each is."""
SOURCES = {"defects": "tiles", "learned": "tiles", "masks": "cells", "events": "recordings"}


def main() -> None:
    """Measure what is not there yet; print the table."""
    if sys.argv[1:2] in (["--answer"], ["--learn"]):
        print(json.dumps((answered if sys.argv[1] == "--answer" else learned)(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    args = options(__doc__, "", 1, "parts_load.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("task", "items", "size"))
    with tempfile.TemporaryDirectory() as place:
        for task, items, size in CASES if not args.table else ():
            if not ledger.has(task=task, items=items, size=size):
                ledger.add({"task": task, "items": items, "size": size, **measured(Path(place), task, items, size)})
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def measured(place: Path, task: str, items: int, size: str) -> Row:
    """One case in a process of its own."""
    folder, run = place / f"{task}_{items}_{size.replace(' ', '')}", place / f"run_{task}"
    folder.mkdir()
    {"events": recorded, "learned": varied}.get(task, pictured)(folder, task, items, size)
    empty = {}
    if task == "learned":
        empty["HANDFUL_CACHE"] = str(place / "cache")
        (place / "cache").mkdir()
        (place / "cache" / "weights").symlink_to(cache_folder() / "weights")
    elif not run.exists():
        handful.tune(EXAMPLES / SOURCES[task], task=task, out=run)
    words = [sys.executable, __file__, "--learn" if task == "learned" else "--answer", str(run), str(folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=os.environ | empty)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def varied(folder: Path, task: str, items: int, size: str) -> None:
    """Write large pictures that all differ: those of the example with some noise."""
    known, rng = sorted((EXAMPLES / SOURCES[task] / "good").glob("*.jpg")), np.random.default_rng(0)
    for i, source in enumerate(islice(cycle(known), items)):
        with Image.open(source) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((LARGE[0] // 4, LARGE[1] // 4)), np.int16)
        noisy = (pixels + rng.integers(-12, 13, (*pixels.shape[:2], 1))).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).resize(LARGE).save(folder / f"{i:04d}.jpg", quality=85)


def pictured(folder: Path, task: str, items: int, size: str) -> None:
    """Write pictures: a few different ones, each under many names."""
    known = sorted((EXAMPLES / SOURCES[task]).rglob("*.jpg"))[:5]
    for i, source in enumerate(islice(cycle(known), items)):
        file = folder / f"{i:04d}.jpg"
        if i >= len(known):
            os.link(folder / f"{i % len(known):04d}.jpg", file)
            continue
        with Image.open(source) as picture:
            (picture.resize(LARGE) if "mega" in size else picture).save(file, quality=90)


def recorded(folder: Path, task: str, items: int, size: str) -> None:
    """Write one long recording: the short ones, one after the other, again and again."""
    clips = [soundfile.read(path, dtype="float32") for path in sorted((EXAMPLES / SOURCES[task]).glob("*.flac"))]
    rate, seconds = clips[0][1], 60 * int(size.split()[0])
    with soundfile.SoundFile(folder / "long.flac", "w", rate, 1) as file:
        left = seconds * rate
        for clip, _ in cycle(clips):
            file.write(clip[:left])
            left -= len(clip)
            if left <= 0:
                break


def answered(run: Path, folder: Path) -> Row:
    """Answer all items of a folder, and say what that took."""
    model = opened(run)
    ways: dict[type, Callable[[Source], object]] = {
        Detector: lambda source: detections(model, source),
        Segmenter: lambda source: segmentations(model, source),
    }
    way = ways.get(type(model), lambda source: answers(model, source))
    start = time.perf_counter()
    one = folder / "warm"
    one.mkdir()
    first = sorted(folder.glob("*.*"))[0]
    if first.suffix == ".flac":
        with soundfile.SoundFile(first) as file:
            soundfile.write(one / first.name, file.read(10 * file.samplerate), file.samplerate)
    else:
        os.link(first, one / first.name)
    rows(way(one))
    warm, start, processor = time.perf_counter() - start, time.perf_counter(), time.process_time()
    (one / first.name).unlink()
    one.rmdir()
    rows(way(folder))
    wall, processor = time.perf_counter() - start, time.process_time() - processor
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "first": round(warm, 2), "wall": round(wall, 2), "processor": round(processor, 2), "memory": round(memory),
    }  # fmt: skip


def learned(run: Path, folder: Path) -> Row:
    """Learn from all items of a folder, and say what that took."""
    start, processor = time.perf_counter(), time.process_time()
    handful.tune(folder, task="defects", out=run)
    wall, processor = time.perf_counter() - start, time.process_time() - processor
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"first": "", "wall": round(wall, 2), "processor": round(processor, 2), "memory": round(memory)}


def rows(chunks: object) -> int:
    """Take all answers, as a file that they are written to would, and count them."""
    count = 0
    for chunk in chunks:  # type: ignore[attr-defined]
        assert not chunk.failed
        count += len(chunk.source.rows)
    return count


def table(rows: Sequence[Row]) -> str:
    """All cases, one per line."""
    lines = ["task      items  size            processor, s per item   wall, s per item   memory, MB"]
    order = [(task, str(items), size) for task, items, size in CASES]
    for row in sorted(rows, key=lambda row: order.index((str(row["task"]), str(row["items"]), str(row["size"])))):
        wall, processor, items = (float(str(row[name])) for name in ("wall", "processor", "items"))
        lines.append(
            f"{row['task']:<10}{items:>5.0f}  {row['size']:<14}{processor / items:>23.3f}{wall / items:>19.3f}"
            f"{float(str(row['memory'])):>13.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
