"""Shortcuts: how often a planted one is found, and how often one is reported where none was planted.

A draw has ten rows per class. ``quality``: every picture is saved anew as JPEG at quality 88, those of one class at 70;
``rate``: the sounds of one class are saved at half the sampling rate; ``quieter``: they are turned down by 20 decibels.
``clean``: pictures saved anew, all at 88. ``as it is``: the files or texts of the set untouched, file names included.

    python benchmarks/shortcuts.py --draws 20 --out benchmarks/results/shortcuts.csv
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image

from handful.data.dataset import Dataset
from handful.data.traits import traits_of
from handful.inspection.shortcuts import shortcuts_in
from handful.seeding import generator
from ledger import Ledger, Row, cells, options
from pools import Pool, Set, draws, open_pool

SETS = (
    Set("agnews", "agnews.csv", "text", ()),
    Set("banking77", "banking77.csv", "text", ()),
    Set("trec6", "trec6.csv", "text", ()),
    Set("flowers12", "flowers12.zip", "image", ()),
    Set("trashnet6", "trashnet6.zip", "image", ()),
    Set("hymenoptera2", "hymenoptera2.zip", "image", ()),
    Set("fsdd", "fsdd.zip", "sound", ()),
    Set("esc10", "esc10.zip", "sound", ()),
)
PER_CLASS, CLASSES = 10, 12
PLANS = {"text": ("as it is",), "image": ("quality", "clean", "as it is"), "sound": ("rate", "quieter", "as it is")}
PLANTED = ("quality", "rate", "quieter")
FIELDS = ("set", "plan", "draw", "planted", "found", "reported")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, ",".join(task.name for task in SETS), 20, "shortcuts.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "plan", "draw"))
    for task in [task for task in SETS if task.name in args.sets.split(",") and not args.table]:
        pool = open_pool(task, args.data)
        for plan in PLANS[task.modality]:
            for draw, train, _ in draws(pool, PER_CLASS, args.draws, CLASSES):
                ledger.add(one_draw(pool, plan, draw, train))
            print(table([row for row in ledger.rows if (row["set"], row["plan"]) == (task.name, plan)]), flush=True)
    print(table(ledger.rows))


def one_draw(pool: Pool, plan: str, draw: int, train: np.ndarray) -> Row:
    """Plant a shortcut, or none, and look for any."""
    data = pool.data.take(train)
    target = str(np.random.default_rng(draw).choice(data.classes)) if plan in PLANTED else ""
    with tempfile.TemporaryDirectory() as folder:
        changed = data if plan == "as it is" else saved_anew(data, plan, target, Path(folder))
        rules = shortcuts_in(traits_of(changed), changed.labels or (), generator(draw, "shortcuts"))
    return {
        "set": pool.task.name,
        "plan": plan,
        "draw": draw,
        "planted": target,
        "found": int(any(rule.label == target for rule in rules)) if target else "",
        "reported": "; ".join(f"{rule.trait}: {rule.label} {rule.strength:.2f}" for rule in rules),
    }


def saved_anew(data: Dataset, plan: str, target: str, folder: Path) -> Dataset:
    """The rows in new files that say nothing, but for what is planted."""
    items = []
    for i, (item, label) in enumerate(zip(data.items, data.labels or (), strict=True)):
        if data.modality == "sound":
            samples, rate = soundfile.read(item, dtype="float32")
            place = folder / f"{i}.wav"
            if label == target and plan == "rate":
                samples, rate = soxr.resample(samples, rate, rate // 2), rate // 2
            soundfile.write(place, samples * (0.1 if label == target and plan == "quieter" else 1.0), rate)
        else:
            place = folder / f"{i}.jpg"
            with Image.open(item) as picture:
                picture.convert("RGB").save(place, quality=70 if label == target else 88)
        items.append(place)
    return Dataset(items, data.modality, data.labels)


def table(rows: Sequence[Row]) -> str:
    """Per set and plan: in how many draws the planted class was named, and in how many any shortcut was reported."""
    lines = ["set           plan      draws  planted one found  any reported"]
    for (name, plan), some in cells(rows, "set", "plan").items():
        any_one = sum(bool(row["reported"]) for row in some)
        found = f"{sum(int(str(row['found'])) for row in some)}" if plan in PLANTED else "-"
        traits = sorted({rule.split(":")[0] for row in some for rule in str(row["reported"]).split("; ") if rule})
        lines.append(f"{name:<14}{plan:<10}{len(some):>5}{found:>19}{any_one:>14}  {', '.join(traits)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
