"""Curricula: areas before classes and easy rows before the others, against as many updates in one go.

    python benchmarks/curriculum.py --draws 3 --out benchmarks/results/curriculum.csv

Of each draw up to 20 classes of banking77 or clinc150 in areas: names that share their first word (card_...).
Eight rows of each are learned from, 20 others asked. ``contrastive`` and both curricula start from the same weights and
make as many updates; ``frozen`` is the same logistic head on the last layer as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from handful.backbones import catalog
from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.strategies.frozen.heads import Logistic
from handful.strategies.registry import movers
from handful.strategies.tuned.fit import adapt, start
from handful.strategies.tuned.lessons import areas_of
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.targets import Targets
from handful.training.activations import Activations
from handful.training.body import features_of
from ledger import Ledger, Row, cells, mean, numbers, options, over_draws, values
from methods import read
from pools import by_name

FIELDS = ("set", "per_class", "draw", "arm", "accuracy", "areas")
CLASSES, ASKED = 20, 20
"""The most classes of a draw, and the rows of each that are asked."""


def main() -> None:
    """Run the draws, write the lines of a draw together, print the table."""
    parser = options(__doc__, "banking77,clinc150", 3, "curriculum.csv")
    parser.add_argument("--per-class", default="8")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "draw", "arm"))
    if not args.table:
        backbone = catalog.load("minilm-l6", "text")
        for task in by_name(args.sets):
            data = read(task, args.data)
            for size in numbers(args.per_class):
                for seed in range(args.draws):
                    train, test = drawn(data, size, seed)
                    at: Row = {"set": task.name, "per_class": size, "draw": seed}
                    ledger.complete(at, one_draw(backbone, data.take(train), data.take(test), seed))
    print(table(ledger.rows))


def drawn(data: Dataset, size: int, seed: int) -> tuple[list[int], list[int]]:
    """Rows to learn from and rows to ask, of classes in areas drawn by chance until there are enough."""
    rng, labels = np.random.default_rng([seed, size]), np.asarray(data.labels)
    areas: dict[str, list[str]] = {}
    for name in map(str, np.unique(labels)):
        areas.setdefault(name.partition("_")[0], []).append(name)
    several = [own for own in areas.values() if len(own) > 1]
    names = [name for at in rng.permutation(len(several)) for name in several[at]][:CLASSES]
    each = [rng.permutation(np.flatnonzero(labels == name)).tolist() for name in names]
    return [i for own in each for i in own[:size]], [i for own in each for i in own[size : size + ASKED]]


def one_draw(backbone: Backbone, data: Dataset, test: Dataset, seed: int) -> Iterator[Row]:
    """The frozen model, one lesson, and two kinds of two lessons, scored on the same rows."""
    names, truth = np.unique(np.asarray(data.labels), return_inverse=True)
    targets = Targets(CLASSIFICATION, truth, tuple(map(str, names)))
    one = movers()["contrastive"](seed=seed).recipe()
    recipes = {"frozen": one, "contrastive": one} | {
        lesson: movers()["curriculum"](seed=seed, lesson=lesson).recipe() for lesson in ("areas", "easy")
    }
    first = one.first(backbone)
    ours, theirs = (Activations.of(backbone, [some.items], first) for some in (data, test))
    rows, asked, labels = np.arange(len(data)), np.arange(len(test)), np.asarray(test.labels)
    for name, recipe in recipes.items():
        body = start(ours, recipe) if name == "frozen" else adapt(ours, rows, targets, recipe).body
        head = Logistic(recipe.penalty).fit(features_of(body, ours, rows), truth.tolist())
        right = names[head.predict(features_of(body, theirs, asked))] == labels
        areas = len(set(areas_of(targets.names)))
        yield {"arm": name, "accuracy": round(float(right.mean()), 4), "areas": areas}


def table(rows: Sequence[Row]) -> str:
    """Mean accuracy per set, size and arm, and differences to one lesson with their 95 % intervals over draws."""
    lines = [f"{'set':<12}{'per class':>10}{'draws':>7}{'areas':>7}  {'arm':<13}{'accuracy':>9}   against contrastive"]
    for (name, size), some in cells(rows, "set", "per_class").items():
        arms = cells(some, "arm")
        one = 100 * values(arms["contrastive",], "accuracy")
        for (arm,), own in arms.items():
            accuracy = 100 * values(own, "accuracy")
            told = "" if arm == "contrastive" else over_draws(accuracy - one, 1)
            areas = mean(own, "areas")
            lines.append(
                f"{name:<12}{size:>10}{len(own):>7}{areas:>7.1f}  {arm:<13}{accuracy.mean():>9.1f}   {told}".rstrip()
            )
    for arm in ("areas", "easy"):
        gains = [
            100 * values(cells(some, "arm")[arm,], "accuracy")
            - 100 * values(cells(some, "arm")["contrastive",], "accuracy")
            for some in cells(rows, "set", "per_class").values()
        ]
        lines.append(f"all cells: {arm} against contrastive {over_draws(np.concatenate(gains), 1)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
