"""Defects: normal pictures alone against a PatchCore of our own on the same maps, and whether false alarms are kept.

Area under the ROC curve of normal pictures left over against marks of two kinds, which nothing was learned from; how
many of the normal ones left over raise an alarm; and pictures per second with the memory that the model takes.

    python benchmarks/defects.py --draws 10 --out benchmarks/results/defects.csv
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from handful.backbones import catalog
from handful.features.cache import user_cache
from handful.features.nearest import coreset
from handful.features.normal_parts import compared_parts
from handful.features.parts import ItemParts
from handful.strategies.frozen.normality import fit
from handful.tasks.defects.promise import Asked, promised
from ledger import Ledger, Row, cells, mean, numbers, options
from pools import Set, rows_of

FIELDS = ("normal", "draw", "ours_local", "ours_global", "patchcore_local", "patchcore_global", "promised", "high",
          "alarms", "seconds", "kept")  # fmt: skip
COUNTS = {"nominal": 70, "local": 40, "global": 40}
"""Pictures of each kind: of the normal ones some are learned from and up to ``LEFT`` others are scored."""
LEFT, MARKED = 30, 25

# Of Roth et al. 2022: the share of patches that is kept, and how many neighbours weigh the worst patch.
CORESET, NEIGHBOURS = 0.1, 9


def main() -> None:
    """Run the draws, write one line per draw, print the table."""
    parser = options(__doc__, "textile3", 10, "defects.csv")
    parser.add_argument("--normal", default="5,10,20")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("normal", "draw"))
    if not args.table:
        kinds = seen(args.data)
        for draw in range(args.draws):
            for count in numbers(args.normal):
                if not ledger.has(normal=count, draw=draw):
                    ledger.add(one_draw(kinds, count, draw))
    print(table(ledger.rows))


def seen(folder: object) -> dict[str, list[ItemParts]]:
    """What the middle maps show of the pictures of each kind."""
    data = rows_of(Set("textile3", "textile3.zip", "image", ()), folder)  # type: ignore[arg-type]
    backbone, cache, rng = catalog.load("efficientnet-lite0", "image"), user_cache(), np.random.default_rng(0)
    out = {}
    for kind, count in COUNTS.items():
        files = sorted(item for item, label in zip(data.items, data.labels or (), strict=True) if label == kind)
        some = [files[i] for i in sorted(rng.choice(len(files), count, replace=False))]
        out[kind] = list(compared_parts(backbone, some, backbone.part_depths, cache))
    cache.close()
    return out


def one_draw(kinds: dict[str, list[ItemParts]], count: int, draw: int) -> Row:
    """Both ways on so many normal pictures."""
    order = np.random.default_rng(draw).permutation(len(kinds["nominal"]))
    own = [kinds["nominal"][i] for i in order[:count]]
    left = [kinds["nominal"][i] for i in order[count : count + LEFT]]
    marked = {kind: kinds[kind][:MARKED] for kind in ("local", "global")}
    start = time.perf_counter()
    fitted = fit(own, own, np.arange(count), draw)
    promise = promised(fitted.scores, np.zeros(0), Asked())
    scored, started = [ours(fitted.normality, left)], time.perf_counter()
    scored += [ours(fitted.normality, some) for some in marked.values()]
    seconds = (time.perf_counter() - started) / (2 * MARKED)
    bank = memory_of(own, draw)
    peer = [np.array([patchcore(bank, one) for one in some]) for some in (left, *marked.values())]
    rate = float(promise.alarms(scored[0]).mean())
    row: Row = {"normal": count, "draw": draw, "promised": round(promise.false_alarms.value, 4)}
    row |= {"high": round(promise.false_alarms.high, 4), "alarms": round(rate, 4)}
    row |= {"seconds": round(seconds, 4), "kept": int(rate <= promise.false_alarms.high)}
    for at, kind in enumerate(marked, 1):
        row |= {f"ours_{kind}": area(scored[0], scored[at]), f"patchcore_{kind}": area(peer[0], peer[at])}
    print({**row, "took": round(time.perf_counter() - start, 1)}, flush=True)
    return row


def ours(normality: object, some: Sequence[ItemParts]) -> NDArray[np.float64]:
    """(N,) scores."""
    return np.array([normality.score(normality.distances(one)) for one in some])  # type: ignore[attr-defined]


def joined(parts: ItemParts) -> NDArray[np.float32]:
    """The maps of two depths side by side, as PatchCore has them. (P, D)."""
    return np.concatenate([parts.vectors[depth].astype(np.float32) for depth in list(parts.vectors)[:2]], 1)


def memory_of(own: Sequence[ItemParts], seed: int) -> NDArray[np.float32]:
    """The tenth of the patches that stands for all. (M, D)."""
    every = np.concatenate([joined(one) for one in own])
    return every[coreset(every, max(NEIGHBOURS + 1, round(CORESET * len(every))), np.random.default_rng(seed))]


def patchcore(memory: NDArray[np.float32], parts: ItemParts) -> float:
    """The score of a picture: its worst patch, weighed by how lonely the nearest normal one is (Roth et al., eq. 7)."""
    own = joined(parts)
    apart = np.sqrt(np.maximum((own**2).sum(1)[:, None] + (memory**2).sum(1) - 2 * own @ memory.T, 0))  # (P, M)
    worst = int(apart.min(1).argmax())
    nearest = int(apart[worst].argmin())
    around = np.argsort(np.square(memory - memory[nearest]).sum(1))[:NEIGHBOURS]
    scale = np.sqrt(own.shape[1])  # as the authors' code does, so that the exponentials stay numbers
    weights = np.exp(apart[worst, around] / scale)
    weight = 1 - np.exp(apart[worst, nearest] / scale) / weights.sum()
    return float(weight * apart[worst, nearest])


def area(normal: NDArray[np.float64], bad: NDArray[np.float64]) -> float:
    """The area under the ROC curve."""
    truth = np.r_[np.zeros(len(normal)), np.ones(len(bad))]
    return round(float(roc_auc_score(truth, np.r_[normal, bad])), 4)


def table(rows: Sequence[Row]) -> str:
    """Per number of normal pictures: both areas of both ways, and false alarms."""
    first = "normal   draws   local: ours   PatchCore   global: ours   PatchCore   promised   alarms   kept"
    lines = [f"{first}   per second"]
    for (count,), some in cells(rows, "normal").items():
        areas = [100 * mean(some, f"{who}_{kind}") for kind in ("local", "global") for who in ("ours", "patchcore")]
        told = f"{areas[0]:>14.1f}{areas[1]:>12.1f}{areas[2]:>15.1f}{areas[3]:>12.1f}"
        shares = f"{mean(some, 'promised'):>11.1%}{mean(some, 'alarms'):>9.1%}{mean(some, 'kept'):>7.0%}"
        lines.append(f"{count:>6}{len(some):>8}{told}{shares}{1 / mean(some, 'seconds'):>13.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
