"""What moving weights gains and costs on draws of development sets: what the prior of a decision is fitted on.

    python benchmarks/decision.py --draws 60 --out benchmarks/results/decision.csv
    python benchmarks/decision.py --table --out benchmarks/results/decision.csv --fit
    python benchmarks/decision.py --backbone bge-small-en --draws 6 --out benchmarks/results/decision_bge.csv --fit
    python benchmarks/decision.py --sets banking77,cuad_clauses,masakhanews_swa --draws 6 --decide
        --out benchmarks/results/decision_confirmed.csv
    python benchmarks/decision.py --kind shuffled --draws 5 --decide --out benchmarks/results/decision_harm.csv

A draw has two to ten classes of a set, chosen by chance, and 3 to 32 rows of each, at most 96 in all. ``contrastive``
is trained as in ``handful tune``: on three folds, pooled with the frozen model, and on all rows. Told are held-out
losses, as the decision sees them, and losses and accuracies on at most 250 rows that are left over, as they turn out.
With ``--kind`` the same draws are harmed: labels shuffled, a share of them flipped, the names of classes dealt anew, or
thirty times the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from handful.data.dataset import Dataset
from handful.evaluation.decision import Prior, decide, gain
from handful.evaluation.intervals import better
from handful.evaluation.selection import halved
from handful.features.feature_set import FeatureSet
from handful.features.view import MOVED
from handful.seeding import generator
from handful.strategies.tuned.activation_cache import ActivationCache, activations_for
from handful.strategies.tuned.cross_fit import cross_fit
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.known import Experience
from handful.strategies.tuned.known import known as known_of
from handful.strategies.tuned.ladder import Rung, shipped
from handful.strategies.tuned.methods.contrastive import Contrastive
from handful.tasks.classification import CLASSIFICATION
from handful.training.body import features_of
from ledger import Ledger, Row, cells, options, over_draws, values
from pools import DEVELOPMENT, Pool, by_name, fitted, load_backbones, open_pool

ALL = ",".join(one.name for one in DEVELOPMENT if one.modality == "text" and one.name != "masakhanews_swa")
MOST_ROWS, TEST_ROWS = 96, 250
KINDS = ("as they are", "shuffled", "20 % flipped", "40 % flipped", "names dealt anew", "30 times the rate")
HARM, HARM_SPREAD = -0.5, 0.5
"""The gain of trainings that do harm."""
DOUBT = 0.1
"""How much of the frozen loss a number of classes e times as large is expected to change, before a draw is seen."""
USUAL = Prior(0.15, 0.12)
"""Decides how much of the pool is tuned while the prior is measured."""
FIELDS = (
    "kind", "set", "draw", "classes", "rows", "frozen_loss", "gain", "error", "share", "true_frozen_loss",
    "true_pool_loss", "true_tuned_loss", "frozen", "pool", "tuned", "called_better", "ships",
)  # fmt: skip


def main() -> None:
    """Run the draws, print and write one line per draw."""
    parser = options(__doc__, ALL, 60, "decision.csv")
    parser.add_argument("--kind", default=KINDS[0], choices=KINDS, help="how the draws are harmed")
    parser.add_argument("--backbone", default="minilm-l6", help="what moves; name another file for another one")
    parser.add_argument("--decide", action="store_true", help="by what is known of contrastive, as handful tune does")
    parser.add_argument("--fit", action="store_true", help="print what is known of contrastive after these draws")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("kind", "set", "draw"))
    pools = {} if args.table else {task.name: open_pool(task, args.data, args.backbone) for task in by_name(args.sets)}
    for draw in range(args.draws):
        for name, pool in pools.items():
            if not ledger.has(kind=args.kind, set=name, draw=draw):
                ledger.add(
                    {"kind": args.kind, "set": name, "draw": draw, **one_draw(pool, draw, args.kind, args.decide)}
                )
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))
    if args.fit:
        print(fit([row for row in ledger.rows if row["kind"] == KINDS[0]]))


def fit(rows: Sequence[Row]) -> Experience:
    """What these draws say of the gain on new rows, as a share of the frozen loss.

    A mixture, by expectation and maximisation. Trainings that go as usual are linear in what is seen beforehand; what
    the number of classes, rows and the loss that is left change is shrunk towards nothing, as far as a hundred draws
    leave it in doubt. The harm of the others is not fitted, since hardly any draw is one: their share is at least that
    of one draw more.
    """
    gains = 1 - values(rows, "true_pool_loss") / values(rows, "true_frozen_loss")
    classes, each = values(rows, "classes"), values(rows, "rows") / values(rows, "classes")
    left = np.minimum(values(rows, "frozen_loss") / np.log(classes), 1.0)
    known = np.stack([np.ones(len(rows)), np.log(classes / 4), np.log(each / 8), left - 0.5], 1)  # (N, 4)
    harmful, spread, linear = 0.05, float(gains.std()), np.array([float(np.median(gains)), 0.0, 0.0, 0.0])
    for _ in range(200):
        usual = (1 - harmful) * norm.pdf(gains, known @ linear, spread)
        harm = harmful * norm.pdf(gains, HARM, HARM_SPREAD)
        share = usual / (usual + harm)  # (N,) how far each draw went as usual
        shrunk = np.diag([0.0, *3 * [(spread / DOUBT) ** 2]])
        linear = np.linalg.solve(known.T @ (share[:, None] * known) + shrunk, known.T @ (share * gains))
        spread = float(np.sqrt((share * (gains - known @ linear) ** 2).sum() / share.sum()))
        harmful = float((1 + (1 - share).sum()) / (len(rows) + 2))
    level, by_classes, by_rows, by_left = (round(float(part), 3) for part in linear)
    better = int((gains > 0).sum())
    prior = Prior(level, round(spread, 3), round(harmful, 3), HARM, HARM_SPREAD, better, len(rows))
    return Experience(level, by_classes, by_rows, by_left, prior)


def dealt(pool: Pool, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows left over, of classes chosen by chance."""
    rng = np.random.default_rng([draw, len(pool.task.name)])
    labels = np.asarray(pool.data.labels)
    names, counts = np.unique(labels, return_counts=True)
    names = rng.permutation(names[counts >= 8])
    names = names[: rng.integers(2, min(10, len(names)) + 1)]
    each = min(int(round(np.exp(rng.uniform(np.log(3), np.log(32))))), MOST_ROWS // len(names))
    train, rest = [], []
    for name in names:
        rows = rng.permutation(np.flatnonzero(labels == name))
        taken = min(each, len(rows) * 3 // 4)
        train.append(rows[:taken])
        rest.append(rows[taken:])
    left = rng.permutation(np.concatenate(rest))[:TEST_ROWS]
    return np.sort(np.concatenate(train)), left


def harmed(data: Dataset, sight: FeatureSet, kind: str, draw: int) -> tuple[Dataset, FeatureSet]:
    """The rows with worse labels, or with names that mislead."""
    rng, labels = generator(draw, f"harm {kind}"), np.asarray(data.labels)
    if kind == "shuffled":
        labels = rng.permutation(labels)
    elif kind.endswith("flipped"):
        some = rng.permutation(len(labels))[: round(int(kind[:2]) / 100 * len(labels))]
        for i in some:
            labels[i] = rng.choice([name for name in data.classes if name != labels[i]])
    elif kind == "names dealt anew" and sight.names:
        order = np.roll(np.arange(len(data.classes)), 1)
        sight = replace(sight, names={part: x[order] for part, x in sight.names.items()})
    return replace(data, labels=tuple(labels.tolist())), sight


def one_draw(pool: Pool, draw: int, kind: str, decides: bool) -> Row:
    """The frozen model, contrastive alone, and their pool: held out, and on the rows left over."""
    train, test = dealt(pool, draw)
    data = pool.data.take(train)
    known = [i for i, name in enumerate(pool.data.classes) if name in set(data.classes)]
    data, sight = harmed(data, pool.sight.take(train).take_classes(known), kind, draw)
    frozen = fitted(data, sight, 60, draw)
    (base,) = frozen.model.view.backbones
    backbone = next(iter(load_backbones(base, "text").values()))
    strategy = Contrastive(seed=draw, learning_rate=Contrastive.learning_rate * (30 if kind.startswith("30") else 1))
    recipe, shelf, rows = strategy.recipe(), ActivationCache(data, backbone), frozen.rows
    held = cross_fit(rows.targets, shelf.of(recipe), frozen.few.folds, recipe)
    assert held is not None
    answers = CLASSIFICATION.constant(rows.targets)[None].repeat(len(data), 0)
    losses = [float(CLASSIFICATION.losses(one, rows.targets).mean()) for one in (frozen.few.whole, answers)]
    prior = known_of(strategy, base, "text", rows.targets, *losses) if decides else USUAL
    whole, share = halved(frozen.few.whole, held.outputs, rows.targets, frozen.few.folds, rows.groups, prior)
    decided = decide(frozen.few.whole, whole, rows.targets, frozen.few.folds, rows.groups, prior)
    below, above = (rows.targets.task.losses(one, rows.targets) for one in (frozen.few.whole, whole))
    found = gain(below, above, rows.groups)
    error = (found.high - found.low) / 2 / 1.6449
    metric = CLASSIFICATION.headline
    called = better(metric.of(whole[None], rows.targets), metric.of(frozen.few.whole[None], rows.targets), rows.groups)
    body = adapt(shelf.of(recipe), np.arange(len(data)), rows.targets, recipe).body
    asked = activations_for(backbone, [pool.data.items[i] for i in test], (), recipe)
    depth = len(backbone.blocks)
    own = features_of(body, shelf.of(recipe), np.arange(len(data)))
    other = features_of(body, asked, np.arange(len(test)))
    seen = {**pool.sight.take(test).items, (base + MOVED, depth): other}
    labels = [(pool.data.labels or ())[i] for i in test]
    figures: dict[str, float] = {}
    answers = {"frozen": frozen.answers(seen)}
    for name, part in (("pool", share), ("tuned", 1.0)):
        rung = Rung(strategy.name, strategy, held, whole, part, None)  # type: ignore[arg-type]
        model = shipped(rung, frozen, base, depth, own)
        answers[name] = CLASSIFICATION.outputs(model.scores(model.view.matrix(seen)))
    for name, outputs in answers.items():
        wide, targets = CLASSIFICATION.against(outputs, labels, rows.targets.names)
        figures[f"true_{name}_loss"] = round(float(CLASSIFICATION.losses(wide, targets).mean()), 4)
        figures[name] = round(metric.of(wide[None], targets).value, 4)
    return {
        "classes": len(data.classes),
        "rows": len(data),
        "frozen_loss": round(float(below.mean()), 4),
        "gain": round(found.value, 4),
        "error": round(error, 4),
        "share": round(share, 3),
        "called_better": int(called.low > 0),
        "ships": int(decided.passed) if decides else "",
        **figures,
    }


def table(rows: Sequence[Row]) -> str:
    """Mean gains in accuracy and loss on rows left over, per kind and set."""
    lines = [
        f"{'kind':<18}{'set':<18}{'draws':>6}   pool - frozen, points           tuned - frozen                  decided"
    ]
    for (kind, name), some in cells(rows, "kind", "set").items():
        pool, tuned = (100 * (values(some, arm) - values(some, "frozen")) for arm in ("pool", "tuned"))
        figures = f"{over_draws(pool, 2):<32}{over_draws(tuned, 2):<32}"
        lines.append(f"{kind:<18}{name:<18}{len(some):>6}   {figures}{_decided(some, pool)}".rstrip())
    for (kind,), some in cells([row for row in rows if row.get("ships")], "kind").items():
        pool = 100 * (values(some, "pool") - values(some, "frozen"))
        lines.append(f"{kind:<18}{'all sets':<18}{len(some):>6}   {_decided(some, pool)}")
    return "\n".join(lines)


def _decided(rows: Sequence[Row], pool: np.ndarray) -> str:
    """What shipped, against frozen and against the best in hindsight; how often it lost much, or was called better."""
    if not all(row.get("ships") not in (None, "") for row in rows):
        return ""
    shipped = pool * values(rows, "ships")
    short = np.maximum(pool, 0) - shipped
    return (
        f"shipped in {values(rows, 'ships').mean():.0%}: {over_draws(shipped, 2)}, {short.mean():.2f} below the best; "
        f"loses 5 in {(shipped < -5).mean():.0%}, called better in {values(rows, 'called_better').mean():.0%}"
    )


if __name__ == "__main__":
    main()
