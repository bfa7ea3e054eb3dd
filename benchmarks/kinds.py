"""Ratings against classes on sst5, and pairs of texts against the frozen cosine on stsb: frozen rung, several draws.

python benchmarks/kinds.py --draws 8 --out benchmarks/results/kinds.csv
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import pearsonr

from handful import api
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.evaluation.conformal import threshold
from handful.evaluation.intervals import interval
from handful.features.feature_set import FeatureSet, extract_all
from handful.strategies.frozen.rung import Frozen, SearchTerms, run_frozen
from handful.tasks.base import Targets
from handful.tasks.ordinal import METRICS as RATINGS
from handful.tasks.registry import TASKS
from ledger import Ledger, Row, cells, options, over_draws, values
from pools import load_backbones

RATED, PAIRED = (40, 80, 200), (20, 40, 200)
TEST = 1500
FIELDS = ("set", "rows", "draw", "figure", "ours", "other")


def main() -> None:
    """Run the draws, print and write one line per figure."""
    args = options(__doc__, "sst5,stsb", 8, "kinds.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "rows", "draw", "figure"))
    backbones = {} if args.table else load_backbones("auto", "text")
    for name, sizes, measured in (("sst5", RATED, ratings), ("stsb", PAIRED, pairs)) if backbones else ():
        data, sight = extract_all(replace(api.load(Path(args.data) / f"{name}.csv", split=""), split=None), backbones)
        for size in sizes:
            for draw in range(args.draws):
                at: Row = {"set": name, "rows": size, "draw": draw}
                ledger.complete(at, measured(data, sight, size, draw))
    print(table(ledger.rows))


def answered(
    data: Dataset, sight: FeatureSet, task: str, train: np.ndarray, test: np.ndarray, seed: int
) -> tuple[Frozen, np.ndarray, Targets]:
    """The frozen rung of some rows, and what it answers to others."""
    learning = data.take(train)
    known = [i for i, name in enumerate(data.classes) if name in set(learning.classes)]
    seen = sight.take(train).take_classes(known if sight.names else [])
    targets = TASKS[task].read(learning.labels or ())
    heads = (*TASKS[task].heads, "zero-shot")
    frozen = run_frozen(targets, learning, seen, SearchTerms(heads, 60, seed, Inline()))
    outputs = frozen.answers({part: sight.items[part][test] for part in frozen.model.view.parts})
    return frozen, *targets.task.against(outputs, [(data.labels or ())[i] for i in test], targets.names)


def dealt(data: Dataset, size: int, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, and others to answer."""
    order = np.random.default_rng([draw, size]).permutation(len(data))
    return order[:size], order[size : size + TEST]


def ratings(data: Dataset, sight: FeatureSet, size: int, draw: int) -> Iterator[Row]:
    """As ratings, and as classes of which the most probable one is answered."""
    train, test = dealt(data, size, draw)
    _, outputs, targets = answered(data, sight, "ordinal", train, test, draw)
    classes = replace(data, task="classification")
    order = [data.classes.index(name) for name in sorted(data.classes)]  # names of ratings stand in their order
    seen = replace(sight, names={part: x[order] for part, x in sight.names.items()})
    _, nominal, coded = answered(classes, seen, "classification", train, test, draw)
    wide = np.zeros_like(outputs)
    wide[np.arange(len(test)), [targets.names.index(coded.names[c]) for c in nominal.argmax(1)]] = 1
    for name, metric in RATINGS.items():
        ours, other = (metric.of(answers[None], targets).value for answers in (outputs, wide))
        yield {"figure": name, "ours": round(ours, 4), "other": round(other, 4)}


def pairs(data: Dataset, sight: FeatureSet, size: int, draw: int) -> Iterator[Row]:
    """A number for two texts, and a straight line through the cosine of their vectors."""
    train, test = dealt(data, size, draw)
    frozen, outputs, targets = answered(data, sight, "regression", train, test, draw)
    name, depths = next(iter(sight.depths.items()))
    cosine, truth = sight.items[name, depths[0]][:, -2], np.array([float(text) for text in data.labels or ()])
    line = np.polyval(np.polyfit(cosine[train], truth[train], 1), cosine[test])
    own = targets.values
    yield _figure("correlation", pearsonr(outputs[:, 0], own)[0], pearsonr(cosine[test], own)[0])
    error = float(np.abs(outputs[:, 0] - own).mean())
    yield _figure("mean absolute error", error, np.abs(line - own).mean())
    limit = threshold(targets.task.misfits(frozen.whole, frozen.rows.targets))
    yield _figure("in the 90 % interval", (np.abs(outputs[:, 0] - own) <= limit * outputs[:, 1]).mean(), 0.9)
    score = interval(targets.task.headline.of(frozen.whole, frozen.rows.targets))
    yield _figure("error in its interval", float(score.low <= error <= score.high), 0.95)


def _figure(name: str, ours: float, other: float) -> Row:
    return {"figure": name, "ours": round(float(ours), 4), "other": round(float(other), 4)}


def table(rows: Sequence[Row]) -> str:
    """Means, and the mean difference with its 95 % interval over draws."""
    lines = [f"{'set':<6}{'rows':>5}  {'figure':<24}{'ours':>8}{'other':>8}   ours - other"]
    for (name, size, figure), some in cells(rows, "set", "rows", "figure").items():
        ours, other = values(some, "ours"), values(some, "other")
        apart = over_draws(ours - other, 3)
        lines.append(f"{name:<6}{size:>5}  {figure:<24}{ours.mean():>8.3f}{other.mean():>8.3f}   {apart}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
