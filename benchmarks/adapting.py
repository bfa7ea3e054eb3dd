"""What a base that learned from a pool without labels is worth: frozen runs on the original, on the base, on both.

python benchmarks/adapting.py --draws 3 --out benchmarks/results/adapting.csv

The pool is cut off first and never labelled; draws and the rows that score them come from the rest. What ships is the
run on both, in which held-out rows decide.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from handful.features.feature_set import FeatureSet, extract_all
from handful.regimes.domain_adaptive import AdaptedBase, adapt
from ledger import Ledger, Row, cells, mean, options, spread
from pools import Pool, Set, answered, by_name, draws, fitted, load_backbones, rows_of

SETS = "agnews,trec6,banking77,cuad_clauses,esc10"
FIELDS = ("set", "draw", "what", "accuracy", "view", "pool", "updates", "seconds", "kept")
POOL, LEFT = 1000, 2000
ORIGINALS = {"text": "minilm-l6", "image": "efficientnet-lite0", "sound": "spectrogram-lite0"}
BASE = "base"


def main() -> None:
    """Adapt, run the draws, write one line per draw and way, print the table."""
    parser = options(__doc__, SETS, 3, "adapting.csv")
    parser.add_argument("--budget", default="10 min", help="of one adaptation")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw", "what"))
    for task in () if args.table else by_name(args.sets):
        if ledger.has(set=task.name, draw=args.draws - 1):
            continue
        with tempfile.TemporaryDirectory() as folder:
            pool, base, seconds = adapted(task, args.data, args.budget, Path(folder) / "base")
            spent = {"pool": base.items, "updates": len(base.losses), "seconds": round(seconds)}
            spent["kept"] = round(base.kept.overlap.value, 3) if base.kept else ""
            print(task.name, spent, f"loss {base.losses[0]:.3f} to {np.mean(base.losses[-20:]):.3f}", flush=True)
            for seed, train, rest in draws(pool, task.per_class[0], args.draws):
                ledger.complete({"set": task.name, "draw": seed}, one_draw(pool, seed, train, rest, spent))
    print(table(ledger.rows))


def adapted(task: Set, data: Path, budget: str, folder: Path) -> tuple[Pool, AdaptedBase, float]:
    """A base made of part of a set, and the rest of it, seen by original and base."""
    rows = rows_of(task, data)
    order = np.random.default_rng(0).permutation(len(rows))
    count = min(POOL, 5 * len(rows) // 8)
    unlabelled = replace(rows.take(order[:count].tolist()), labels=None, groups=None)
    original, start = ORIGINALS[task.modality], time.perf_counter()
    base = adapt(unlabelled, out=folder, backbone=original, budget=budget)
    seconds = time.perf_counter() - start
    rest = rows.take(np.sort(order[count : count + LEFT]).tolist())
    backbones = load_backbones(f"{original},{folder}", task.modality)
    first, second = backbones.values()
    rest, sight = extract_all(rest, {original: first, BASE: second})
    return Pool(task, rest, sight), base, seconds


def one_draw(pool: Pool, seed: int, train: np.ndarray, rest: np.ndarray, spent: Row) -> Iterator[Row]:
    """The frozen run on the original, on the base, and on both, scored on the rows left over."""
    truth, learning = np.asarray(pool.data.labels), pool.data.take(train.tolist())
    original = ORIGINALS[pool.task.modality]
    for what, names in (("original", [original]), ("base", [BASE]), ("both", [original, BASE])):
        sight = only(pool.sight, names)
        frozen = fitted(learning, sight.take(train), 0.0, seed)  # the smallest search
        right = answered(frozen, sight.take(rest)) == truth[rest]
        yield {"what": what, "accuracy": round(float(right.mean()), 4), "view": frozen.model.view.name, **spent}


def only(sight: FeatureSet, names: list[str]) -> FeatureSet:
    """The features of some backbones."""
    items = {part: x for part, x in sight.items.items() if part[0] in names}
    classes = {part: x for part, x in sight.names.items() if part[0] in names}
    return replace(sight, items=items, names=classes, depths={name: sight.depths[name] for name in names})


def table(rows: list[Row]) -> str:
    """Means over draws and what they gain on the original, with its 95 % interval over draws."""
    lines = []
    for (name,), own in cells(rows, "set").items():
        by_what = {what: some for (what,), some in cells(own, "what").items()}
        before = {row["draw"]: row["accuracy"] for row in by_what["original"]}
        about = by_what["base"][0]
        lines.append(
            f"{name}: {about['pool']} items, {about['updates']} updates, {float(str(about['seconds'])) / 60:.1f} min, "
            f"{100 * float(str(about['kept'] or 'nan')):.0f} % of the neighbours kept"
        )
        for what, some in by_what.items():
            paired = [{**row, "before": before[row["draw"]]} for row in some]
            gain = "" if what == "original" else spread(paired, "accuracy", "before")
            reads = sum(BASE in str(row["view"]) for row in some)
            lines.append(f"  {what:<9}{100 * mean(some, 'accuracy'):6.1f}  {gain}  reads the base in {reads} draws")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
