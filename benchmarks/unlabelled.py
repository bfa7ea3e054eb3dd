"""What items without labels are worth to heads on frozen features: every arm, and what ships, against the frozen model.

    python benchmarks/unlabelled.py --sets goemotions,masakhanews_eng,masakhanews_swa,clinc150 --draws 4 --open
        --out benchmarks/results/unlabelled_development.csv
    python benchmarks/unlabelled.py --table --out benchmarks/results/unlabelled_development.csv --fit
    python benchmarks/unlabelled.py --draws 3

A draw has a few rows per class (8 of texts, 5 of pictures), at most 1,000 other items as the pool, and at most 1,000
further ones to measure on. Kinds: ``like`` (the pool is the rest of the same set, as frequent as it comes), ``shifted``
(half of the classes are a fourth as frequent in the pool, and among the items that are measured on), ``poisoned`` (the
pool is of another set) and ``scarce`` (half of the classes have a fourth of their rows to learn from; a pool that is
like).
Told are accuracies on the items left over, and held-out losses as the decision sees them; ``together`` answers the
items left over with the prior correction of ``handful predict --together``. One backbone, so that it takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from handful.evaluation.decision import Prior
from handful.features.feature_set import FeatureSet
from handful.regimes.alignment import LabelShift, moved, shares_in
from handful.regimes.unlabelled import PoolTerms, learn_from_pool, whole_part
from handful.strategies.frozen.rung import Frozen
from handful.tasks.base import Targets
from handful.tasks.classification import CLASSIFICATION
from ledger import Ledger, Row, cells, mean, options, over_draws, values
from pools import Pool, by_name, draws, fitted, open_pool

KINDS = ("like", "shifted", "poisoned", "scarce")
MOST, TESTED = 1000, 1000
POISON = {"text": ("agnews", "banking77"), "image": ("flowers12", "textile3"), "sound": ("esc10", "fsdd_digits")}
"""Where items of other sets come from: the first that is not the set itself."""
TIMES = 4.0
"""How much more frequent half of the classes of a shifted pool are."""
MOST_CLASSES = 20
MADE_FOR = {
    "self-training": ("like", "shifted"),
    "synthetic-rows": ("scarce",),
    "label-shift": ("shifted",),
    "importance": ("shifted",),
}
"""Arm → the kinds of draws that its prior is fitted on."""
FEWEST = 10
"""Fewer draws than this are no experience."""
HARM, HARM_SPREAD = -0.3, 0.3
"""The gain of pools that do harm."""
FIELDS = (
    "set", "draw", "kind", "arm", "rows", "pool", "accuracy", "frozen", "loss", "frozen_loss", "gain", "gain_low",
    "passed", "seconds",
)  # fmt: skip


def main() -> None:
    """Run the draws, write one line per arm, print the table."""
    parser = options(__doc__, "agnews,trec6,cr,sst5,banking77,cuad_clauses", 3, "unlabelled.csv")
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--backbone", default="minilm-l6", help="what texts are seen with; pictures by their default")
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of pool")
    parser.add_argument("--budget", type=float, default=4.0, help="seconds of the search among heads")
    parser.add_argument("--open", action="store_true", help="without what is known from development sets")
    parser.add_argument("--fit", action="store_true", help="print what is known after these draws")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw", "kind", "arm"))
    backbone = {"text": args.backbone}
    for task in () if args.table else by_name(args.sets):
        every = [(d, k) for d in range(args.first, args.draws) for k in args.kinds.split(",")]
        wanted = [(d, k) for d, k in every if not ledger.has(set=task.name, draw=d, kind=k)]
        if not wanted:
            continue
        pool = open_pool(task, args.data, backbone=backbone.get(task.modality, "auto"))
        other = next(name for name in POISON[task.modality] if name != task.name)
        poison = open_pool(by_name(other)[0], args.data, backbone=backbone.get(task.modality, "auto"), most=MOST)
        for draw, train, rest in draws(pool, task.per_class[0], args.draws, MOST_CLASSES):
            kinds = [k for d, k in wanted if d == draw]
            if not kinds:
                continue
            full = searched(pool, train, args.budget, draw), train
            for kind in kinds:
                at, learned = {"set": task.name, "draw": draw, "kind": kind}, full
                if kind == "scarce":
                    few = thinned(pool, train, np.random.default_rng([draw, 8]))
                    learned = searched(pool, few, args.budget, draw), few
                ledger.complete(at, one_draw(pool, poison, learned, rest, kind, draw, not args.open))
    print(table(ledger.rows))
    if args.fit:
        print(fit(ledger.rows))


def searched(pool: Pool, train: np.ndarray, budget: float, draw: int) -> Frozen:
    """The frozen model of a draw."""
    return fitted(pool.data.take(train), seen_in(pool, train), budget, draw)


def seen_in(pool: Pool, train: np.ndarray) -> FeatureSet:
    """Features of the rows and of the names of their classes."""
    classes = set(pool.data.take(train).classes)
    return pool.sight.take(train).take_classes([i for i, name in enumerate(pool.data.classes) if name in classes])


def one_draw(
    pool: Pool, poison: Pool, learned: tuple[Frozen, np.ndarray], rest: np.ndarray, kind: str, draw: int, priors: bool
) -> Iterator[Row]:
    """Every arm alone, and what ships, on one pool."""
    frozen, train = learned
    rng = np.random.default_rng([draw, KINDS.index(kind), 7])
    rest = rng.permutation(rest)
    if kind == "shifted":
        rest = shifted(np.asarray(pool.data.labels)[rest], rest, rng)
    half = min(MOST, len(rest) * 2 // 3)
    items = pool.sight.take(rest[:half]).items if kind != "poisoned" else poison.sight.items
    asked = rest[half : half + TESTED]
    test = pool.sight.take(asked).items
    names = frozen.rows.targets.names
    targets = CLASSIFICATION.coded([(pool.data.labels or ())[i] for i in asked], names)
    sight = seen_in(pool, train)
    below = measured(frozen.answers(test), targets)

    def row(arm: str, outputs: np.ndarray, **more: object) -> Row:
        accuracy, loss = measured(outputs, targets)
        plain = {
            "frozen": below[0],
            "frozen_loss": below[1],
            "rows": len(train),
            "pool": len(next(iter(items.values()))),
        }
        return {"arm": arm, "accuracy": accuracy, "loss": loss, **plain, **more}

    part = whole_part(frozen, sight, items, draw)
    terms = PoolTerms(pool.task.modality, draw, priors=priors)
    learning = learn_from_pool(frozen, sight, items, terms)
    for trial in learning.trials:
        gain = trial.decided.gain
        share = float(frozen.rows.targets.task.losses(frozen.few.whole, frozen.rows.targets).mean())
        yield row(
            trial.arm.name, part.answered(trial.arm.fit(part), test), gain=round(gain.value / share, 4),
            gain_low=round(gain.low / share, 4), passed=int(trial.decided.passed), seconds=round(trial.seconds, 2),
        )  # fmt: skip
    yield row("ships", learning.frozen.answers(test), passed=int(learning.frozen.arm != frozen.arm))
    before = CLASSIFICATION.constant(frozen.rows.targets)
    together = moved(frozen.model, before, shares_in(frozen.answers(test), before, LabelShift.strength * len(asked)))
    yield row("together", part.answered(together, test))


def measured(outputs: np.ndarray, targets: Targets) -> tuple[float, float]:
    """Accuracy in points, and loss."""
    accuracy = CLASSIFICATION.headline.of(outputs[None], targets).value
    return round(100 * accuracy, 3), round(float(CLASSIFICATION.losses(outputs, targets).mean()), 4)


def thinned(pool: Pool, train: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of which those of a random half of the classes stay, and of the others one of four, two at least."""
    labels = np.asarray(pool.data.labels)[train]
    names = rng.permutation(np.unique(labels))
    stays = [train[labels == name] for name in names[len(names) // 2 :]]
    for name in names[: len(names) // 2]:
        rows = train[labels == name]
        stays.append(rows[: max(2, int(len(rows) / TIMES))])
    return np.sort(np.concatenate(stays))


def shifted(labels: np.ndarray, rest: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Items of which those of a random half of the classes stay, and of the others one of four."""
    names = np.unique(labels)
    rare = set(rng.permutation(names)[: len(names) // 2].tolist())
    stays = np.array([name not in rare or rng.random() < 1 / TIMES for name in labels.tolist()])
    return rest[stays]


def fit(rows: Sequence[Row]) -> dict[str, Prior]:
    """What these draws say of the gain of every arm on new items, as a share of the frozen loss."""
    out = {}
    for arm, kinds in MADE_FOR.items():
        some = [row for row in rows if row["arm"] == arm and row["kind"] in kinds]
        if len(some) < FEWEST:
            continue
        gains = 1 - values(some, "loss") / values(some, "frozen_loss")
        better = int((gains > 0).sum())
        harmful = round((1 + int((gains < -0.1).sum())) / (len(gains) + 2), 3)
        mean_gain, spread = round(float(gains.mean()), 3), round(float(gains.std(ddof=1)), 3)
        out[arm] = Prior(mean_gain, spread, harmful, HARM, HARM_SPREAD, better, len(gains))
    return out


def table(rows: Sequence[Row]) -> str:
    """Per kind of pool and arm: the mean gain over draws, the worst set, how often it was taken."""
    lines = [
        f"{'pool':<10}{'arm':<16}{'draws':>6}   points against frozen           worst set            loss    passed"
    ]
    for (kind, arm), some in cells(rows, "kind", "arm").items():
        gains = values(some, "accuracy") - values(some, "frozen")
        by_set = {
            name: float((values(own, "accuracy") - values(own, "frozen")).mean())
            for (name,), own in cells(some, "set").items()
        }
        worst = min(by_set, key=lambda name: by_set[name])
        loss = 100 * (1 - values(some, "loss") / values(some, "frozen_loss"))
        passed = [row for row in some if row.get("passed") not in (None, "")]
        taken = f"{mean(passed, 'passed'):.0%}" if passed else "-"
        lines.append(
            f"{kind:<10}{arm:<16}{len(some):>6}   {over_draws(gains, 2):<30}{worst:<16}{by_set[worst]:+6.2f}"
            f"{-loss.mean():>+8.1f} %{taken:>8}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
