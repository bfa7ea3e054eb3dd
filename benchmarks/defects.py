"""Defects: normal pictures alone against a PatchCore of our own on the same maps, and whether false alarms are kept.

Area under the ROC curve of normal pictures left over against pictures with defects, which nothing was learned from; how
many of the normal ones left over raise an alarm; and pictures per second.

    python benchmarks/defects.py --draws 6 --surfaces FOLDER --out benchmarks/results/defects.csv

textile3 has marks of two kinds. FOLDER is what ``surfaces.py`` makes: three surfaces with drawn defects of six kinds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from ledger import Ledger, Row, cells, mean, numbers, options, over_draws, values
from pools import Set, rows_of

FIELDS = ("set", "normal", "draw", "kind", "ours", "patchcore", "promised", "high", "alarms", "seconds", "kept")
COUNTS = {"nominal": 70, "local": 25, "global": 25}
"""Pictures of textile3 of each kind that are looked at."""
SETS = ("textile3", "brick", "grass", "gravel")
LEFT = 30
"""At most so many of the normal pictures that are not learned from are scored."""

# Of Roth et al. 2022: the share of patches that is kept, and how many neighbours weigh the worst patch.
CORESET, NEIGHBOURS = 0.1, 9


@dataclass(frozen=True)
class Pictures:
    """What the middle maps show of the pictures of one set."""

    normal: list[ItemParts]
    """Of the normal ones, in a fixed order."""
    bad: dict[str, list[ItemParts]]
    """Of those with defects, by kind."""
    paired: bool
    """Whether each normal picture has the same picture with each defect at its place."""

    def asked(self, left: Sequence[int]) -> dict[str, list[ItemParts]]:
        """The bad pictures that go with the normal ones left over: those that nothing was learned from."""
        return {kind: [some[i] for i in left] if self.paired else some for kind, some in self.bad.items()}


def main() -> None:
    """Run the draws, write the lines of a draw together, print the table."""
    parser = options(__doc__, "textile3", 6, "defects.csv")
    parser.add_argument("--normal", default="5,10,20")
    parser.add_argument("--surfaces", type=Path, help="the folder that surfaces.py made; else textile3 alone")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "normal", "draw", "kind"))
    for name, pictures in () if args.table else sets(args.data, args.surfaces):
        for draw in range(args.draws):
            for count in numbers(args.normal):
                ledger.complete({"set": name, "normal": count, "draw": draw}, one_draw(pictures, count, draw))
    print(table(ledger.rows))


def sets(data: Path, surfaces: Path | None) -> Iterator[tuple[str, Pictures]]:
    """One set after the other."""
    rows, rng = rows_of(Set("textile3", "textile3.zip", "image", ()), data), np.random.default_rng(0)
    files = {}
    for kind, count in COUNTS.items():
        own = sorted(item for item, label in zip(rows.items, rows.labels or (), strict=True) if label == kind)
        files[kind] = [own[i] for i in sorted(rng.choice(len(own), count, replace=False))]
    yield "textile3", seen(files, "nominal", paired=False)
    for folder in sorted(surfaces.iterdir()) if surfaces else ():
        yield folder.name, seen({kind.name: sorted(kind.iterdir()) for kind in folder.iterdir()}, "good", paired=True)


def seen(files: dict[str, list[Path]], normal: str, paired: bool) -> Pictures:
    """Look at all pictures of a set."""
    backbone, cache = catalog.load("efficientnet-lite0", "image"), user_cache()
    maps = {kind: list(compared_parts(backbone, own, backbone.part_depths, cache)) for kind, own in files.items()}
    cache.close()
    return Pictures(maps[normal], {kind: maps[kind] for kind in sorted(maps) if kind != normal}, paired)


def one_draw(pictures: Pictures, count: int, draw: int) -> Iterator[Row]:
    """Both ways on so many normal pictures, a row per kind of defect."""
    order = np.random.default_rng(draw).permutation(len(pictures.normal))
    own = [pictures.normal[i] for i in order[:count]]
    left = [int(i) for i in order[count : count + LEFT]]
    normal = [pictures.normal[i] for i in left]
    fitted = fit(own, own, np.arange(count), draw)
    promise = promised(fitted.scores, np.zeros(0), Asked())
    bank = memory_of(own, draw)
    quiet, theirs = ours(fitted.normality, normal), patchcore(bank, normal)
    rate = float(promise.alarms(quiet).mean())
    told = {"promised": round(promise.false_alarms.value, 4), "high": round(promise.false_alarms.high, 4)}
    told |= {"alarms": round(rate, 4), "kept": int(rate <= promise.false_alarms.high)}
    for kind, some in pictures.asked(left).items():
        start = time.perf_counter()
        scored = ours(fitted.normality, some)
        seconds = (time.perf_counter() - start) / len(some)
        areas = {"ours": area(quiet, scored), "patchcore": area(theirs, patchcore(bank, some))}
        yield {"kind": kind, **areas, **told, "seconds": round(seconds, 4)}


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


def patchcore(memory: NDArray[np.float32], some: Sequence[ItemParts]) -> NDArray[np.float64]:
    """(N,) scores: the worst patch, weighed by how lonely the nearest normal one is (Roth et al., eq. 7)."""
    return np.array([_worst(memory, joined(parts)) for parts in some])


def _worst(memory: NDArray[np.float32], own: NDArray[np.float32]) -> float:
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
    """Areas and false alarms per set and number of normal pictures; then areas per kind of defect."""
    head = f"{'set':<10}{'normal':>7}{'draws':>6}{'ours':>7}{'PatchCore':>11}   {'difference, points':<24}"
    lines = [f"{head}{'promised':>9}{'alarms':>8}{'kept':>6}{'per second':>12}"]
    rows = sorted(rows, key=lambda row: (SETS.index(str(row["set"])), int(str(row["normal"]))))
    for (name, count), some in cells(rows, "set", "normal").items():
        each = list(cells(some, "draw").values())
        ours, theirs = (100 * np.array([mean(own, who) for own in each]) for who in ("ours", "patchcore"))
        alarms = "".join(f"{mean(some, column):>{wide}.1%}" for column, wide in (("promised", 9), ("alarms", 8)))
        lines.append(
            f"{name:<10}{count:>7}{len(each):>6}{ours.mean():>7.1f}{theirs.mean():>11.1f}   "
            f"{over_draws(ours - theirs, 1):<24}{alarms}{mean(some, 'kept'):>6.0%}{1 / mean(some, 'seconds'):>12.1f}"
        )
    most = max(numbers(",".join(str(row["normal"]) for row in rows)), default=0)
    lines += ["", f"{f'{most} normal pictures':<20}{'ours':>7}{'PatchCore':>11}   difference, points"]
    for (name, kind), some in cells([row for row in rows if int(str(row["normal"])) == most], "set", "kind").items():
        ours, theirs = (100 * values(some, who) for who in ("ours", "patchcore"))
        lines.append(
            f"{f'{name} {kind}':<20}{ours.mean():>7.1f}{theirs.mean():>11.1f}   {over_draws(ours - theirs, 1)}"
        )
    draws = list(cells(rows, "set", "normal", "draw").values())
    gains = np.array([100 * (mean(own, "ours") - mean(own, "patchcore")) for own in draws])
    kept = sum(int(str(own[0]["kept"])) for own in draws)
    lines += [
        "",
        f"all: ours - PatchCore {over_draws(gains, 1)}, less than 0 in {(gains < 0).sum()} of {len(draws)} draws",
    ]
    lines += [f"false alarms within what was told: {kept} of {len(draws)} draws"]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
