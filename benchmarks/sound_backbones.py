"""What each sound backbone is good for, and what one more adds to a frozen run with the default ones.

python benchmarks/sound_backbones.py --draws 10 --out benchmarks/results/sound_backbones.csv
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from handful.backbones import catalog
from handful.backbones.base import Backbone
from handful.features.feature_set import FeatureSet
from handful.features.view import unit_rows
from ledger import Ledger, Row, cells, mean, options, spread
from pools import Pool, answered, by_name, draws, fitted, held_apart, open_pool

FIELDS = ("set", "draw", "what", "accuracy", "view")
SETS = "fsdd_digits,fsdd_speakers,esc10"
CLIPS = 32  # that are timed


def main() -> None:
    """Measure, write one line per draw and way, print the tables."""
    parser = options(__doc__, SETS, 10, "sound_backbones.csv")
    parser.add_argument("--more", default="whisper-tiny-en", help="the backbone beside the default ones")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw", "what"))
    if args.table:
        print("\n".join(table(ledger.rows, task.name, args.more) for task in by_name(args.sets)))
        return
    names = (*(name for name in catalog.defaults("sound") if name != args.more), args.more)
    backbones = {name: catalog.load(name, "sound") for name in names}
    for task in by_name(args.sets):
        pool = open_pool(task, args.data, ",".join(names))
        for name, backbone in backbones.items():
            print(f"{task.name:<14} {name:<18} {1000 * seconds(backbone, pool):6.1f} ms of a core per clip", flush=True)
        for draw in draws(pool, 5, args.draws):
            ledger.extend(list(one_draw(pool, args.more, *draw)))
        print(table(ledger.rows, task.name, args.more), flush=True)


def seconds(backbone: Backbone, pool: Pool) -> float:
    """Seconds of one processor core from file to features, per clip: evenly chosen ones, the best of three rounds."""
    items = pool.data.items[:: max(1, len(pool.data) // CLIPS)][:CLIPS]
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for at in range(0, len(items), backbone.batch_items):
            backbone.encode(items[at : at + backbone.batch_items], backbone.search_depths)
        rounds.append((time.process_time() - start) / len(items))
    return min(rounds)


def one_draw(pool: Pool, more: str, seed: int, train: np.ndarray, rest: np.ndarray) -> Iterator[Row]:
    """A probe on every depth of every backbone, and the frozen run without and with one more."""
    train, rest = held_apart(pool, train, rest)
    truth = np.asarray(pool.data.labels)
    at = {"set": pool.task.name, "draw": seed}
    for (name, depth), x in pool.sight.items.items():
        rows = unit_rows(x)
        rows = rows @ np.linalg.qr(rows[train].T)[0]  # into the span of the rows: the same fit, much sooner
        probe = LogisticRegression(C=10, max_iter=2000).fit(rows[train], truth[train])
        yield {**at, "what": f"{name}@{depth}", "accuracy": round(float(probe.score(rows[rest], truth[rest])), 4)}
    for what, sight in (("without", without(pool.sight, more)), ("with", pool.sight)):
        frozen = fitted(pool.data.take(train), sight.take(train), 60.0, seed)
        right = answered(frozen, sight.take(rest)) == truth[rest]
        yield {**at, "what": what, "accuracy": round(float(right.mean()), 4), "view": frozen.model.view.name}


def without(sight: FeatureSet, name: str) -> FeatureSet:
    """The features of all backbones but one."""
    kept = {part: x for part, x in sight.items.items() if part[0] != name}
    return replace(sight, items=kept, depths={other: at for other, at in sight.depths.items() if other != name})


def table(rows: list[Row], task: str, more: str) -> str:
    """Means over draws with what they gain on the default backbones, 95 % interval over draws."""
    by_what = cells([row for row in rows if row["set"] == task], "what")
    base = {row["draw"]: row["accuracy"] for row in by_what[("without",)]}
    lines = []
    for (what,), some in by_what.items():
        paired = [{**row, "base": base[row["draw"]]} for row in some]
        named = f"default ones and {more}" if what == "with" else "default ones" if what == "without" else what
        views = Counter(str(row["view"]) for row in some if row.get("view")).most_common()
        chosen = ", ".join(f"{view} {count}" for view, count in views)
        gain = "" if what == "without" else spread(paired, "accuracy", "base")
        lines.append(f"{task:<14} {named:<31}{100 * mean(some, 'accuracy'):6.1f}  {gain}  {chosen}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
