"""Seconds per update with kept activations against the full pass, which runs the frozen blocks again every time.

The same rows, weights and updates on both sides; the full pass is that of handful too, without a graph in the frozen
blocks and with pictures decoded beforehand, so what differs is only whether the lower blocks run.

    python benchmarks/activations.py --draws 3 --out benchmarks/results/activations.csv
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.data.images import load_image
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.recipe import ItemRecipe
from handful.training.activations import Activations
from handful.training.loop import Settings
from handful.training.objectives.contrast import PairwiseCosine
from ledger import Ledger, Row, cells, median, options
from pools import Set, by_name, classed, draws, open_pool

FIELDS = ("backbone", "set", "frozen", "moving", "draw", "update", "kept_seconds", "full_seconds", "kept_megabytes")
ROWS = 64
BATCH = 16
# The first updates fill caches and make the optimiser's state.
WARM = 2
SHARES = {"minilm-l6": (1 / 6, 2 / 6, 3 / 6), "efficientnet-lite0": (1 / 3,)}
"""Backbone → which share of the blocks moves."""


def main() -> None:
    """Time the updates, write one line for each and print the medians."""
    parser = options(__doc__, "agnews,flowers12", 3, "activations.csv")
    parser.add_argument("--updates", type=int, default=10)
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("backbone", "set", "moving", "draw", "update"))
    if not args.table:
        for task in by_name(args.sets):
            name = catalog.defaults(task.modality)[0]
            backbone = catalog.load(name, task.modality).to(default_device())
            for draw, items, truth in rows_of(task, args.data, args.draws):
                for share in SHARES[name]:
                    for row in timed(backbone, items, truth, share, args.updates):
                        ledger.add({"backbone": name, "set": task.name, "draw": draw, **row})
                    print(table(ledger.rows[-args.updates :]).splitlines()[-1], flush=True)
    print(table(ledger.rows))


def rows_of(task: Set, folder: Path, count: int) -> Iterator[tuple[int, list[Any], np.ndarray]]:
    """Draws of 64 rows, pictures decoded, and their class numbers."""
    pool = open_pool(task, folder)
    per_class = -(-ROWS // len(pool.data.classes))
    for draw, train, _ in draws(pool, per_class, count):
        data = pool.data.take(np.random.default_rng(draw).permutation(train)[:ROWS])
        items = [load_image(item) for item in data.items] if task.modality == "image" else list(data.items)
        yield draw, items, np.unique(np.asarray(data.labels), return_inverse=True)[1]


def timed(backbone: Backbone, items: Sequence[Any], truth: np.ndarray, share: float, updates: int) -> list[Row]:
    """Both ways, one after the other."""
    settings = Settings(updates=WARM + updates)
    recipe = ItemRecipe(objective=PairwiseCosine(), trainable_fraction=share, batch=BATCH, settings=settings)
    first, at = recipe.first(backbone), np.arange(len(items))
    kept, full = Activations.of(backbone, [items], first), Activations.of(backbone, [items], first, most=0)
    assert kept.cached
    assert not full.cached
    logs = [adapt(way, at, classed(truth), recipe).log[WARM:] for way in (kept, full)]
    size = sum(
        part.numel() * part.element_size() for found in kept.slices if found for part in found if part is not None
    )
    return [
        {
            "frozen": first,
            "moving": len(backbone.blocks) - first,
            "update": number,
            "kept_seconds": round(a.seconds, 5),
            "full_seconds": round(b.seconds, 5),
            "kept_megabytes": round(size / 1e6, 1),
        }
        for number, (a, b) in enumerate(zip(*logs, strict=True))
    ]


def table(rows: Sequence[Row]) -> str:
    """One line per backbone and depth: medians over all updates."""
    lines = [
        f"{'backbone':<20}{'set':<12}{'blocks':>12}{'full pass, s':>14}{'kept, s':>10}{'times':>8}{'kept, MB':>10}"
    ]
    for (backbone, name, frozen, moving), some in cells(rows, "backbone", "set", "frozen", "moving").items():
        kept, full, size = (median(some, column) for column in ("kept_seconds", "full_seconds", "kept_megabytes"))
        blocks = f"{moving} of {int(frozen) + int(moving)}"
        lines.append(f"{backbone:<20}{name:<12}{blocks:>12}{full:>14.3f}{kept:>10.3f}{full / kept:>8.1f}{size:>10.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
