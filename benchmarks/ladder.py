"""Every strategy alone, the frozen model and what a tuned run chooses, on the same draws.

    python benchmarks/ladder.py --draws 3 --out benchmarks/results/ladder.csv
    OMP_NUM_THREADS=1 python benchmarks/ladder.py --budget 120 --draws 3 --out benchmarks/results/ladder.csv

A strategy alone: fitted on the rows of the draw, a logistic head on what its body then sees. ``tune``: the frozen
model, replaced by a strategy that is expected to be better, as in ``handful tune`` with a minute for what comes after
the frozen model. All move the backbone that the frozen model chose, and are scored on the same rows left over, at most
500. A draw is measured in the arms that the file lacks. Seconds leave out the features of frozen backbones and the
scoring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from handful.backbones.base import Backbone
from handful.choices import MOVERS
from handful.data.dataset import Dataset
from handful.errors import HandfulError
from handful.features.view import MOVED
from handful.strategies.frozen.heads import Logistic
from handful.strategies.registry import movers
from handful.strategies.tuned.activation_cache import activations_for
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.fit import start as untouched
from handful.strategies.tuned.ladder import Terms, run_ladder, shipped
from handful.strategies.tuned.recipe import ItemRecipe
from handful.strategies.tuned.strategy import Tuned
from handful.training.activations import Activations
from handful.training.body import Body, features_of
from ledger import Ledger, Row, cells, mean, numbers, options
from pools import Pool, answered, by_name, classed, draws, fitted, held_apart, load_backbones, open_pool

FIELDS = ("set", "per_class", "draw", "arm", "accuracy", "seconds", "chosen")
SIZES = {"text": (8, 32), "image": (5, 20), "sound": (5, 20)}
"""Modality → rows per class."""
TEST_ROWS = 500
BUDGET = 60.0


def main() -> None:
    """Run the draws, print and write one line per arm."""
    parser = options(__doc__, "", 3, "ladder.csv")
    parser.add_argument("--per-class", default="", help="rows per class, in place of those of the table")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of a run; give twice as many on one core")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "draw", "arm"))
    if not args.table:
        for task in by_name(args.sets):
            pool = open_pool(task, args.data)
            backbones = load_backbones("auto", task.modality)
            for per_class in numbers(args.per_class) or SIZES[task.modality]:
                for seed, train, rest in draws(pool, per_class, args.draws):
                    at: Row = {"set": task.name, "per_class": per_class, "draw": seed}
                    lacking = [arm for arm in arms(backbones, any) if not ledger.has(**at, arm=arm)]
                    if any(arm in lacking for arm in arms(backbones, all)):
                        ledger.gather(
                            at, one_draw(pool, backbones, seed, *held_apart(pool, train, rest), lacking, args.budget)
                        )
    print(table(ledger.rows))


def arms(backbones: Mapping[str, Backbone], fits: Callable[[Iterator[bool]], bool]) -> list[str]:
    """The frozen model, a tuned run, and the strategies that fit any, or all, of the backbones."""
    fit = [name for name, kind in movers().items() if fits(kind().refusal(b) is None for b in backbones.values())]
    return ["frozen", "tune", *fit]


@dataclass
class Looked:
    """What the frozen blocks of a backbone give for some rows, made once per depth and kept while a draw lasts."""

    backbone: Backbone
    """Whose blocks run."""
    data: Dataset
    """The rows."""
    activations: dict[tuple[int, int], tuple[Activations, float]] = field(default_factory=dict)
    """Depth and augmented versions → activations, and the seconds that they took."""

    def ready(self, recipe: ItemRecipe) -> tuple[Activations, float]:
        """What a recipe learns from."""
        key = (recipe.first(self.backbone), recipe.versions)
        if key not in self.activations:
            start = time.perf_counter()
            found = activations_for(self.backbone, self.data.items, self.data.classes, recipe)
            self.activations[key] = (found, time.perf_counter() - start)
        return self.activations[key]

    def features(self, body: Body, recipe: ItemRecipe) -> np.ndarray:
        """What a body sees in all rows as they are, (N, D)."""
        return features_of(body, self.ready(replace(recipe, versions=0))[0], np.arange(len(self.data)))


def one_draw(
    pool: Pool, backbones: Mapping[str, Backbone], seed: int, train: np.ndarray, rest: np.ndarray,
    wanted: Sequence[str], budget: float,
) -> Iterator[Row]:  # fmt: skip
    """The frozen model, what a tuned run makes of it, and every strategy alone: the arms that are wanted."""
    test = rest[np.random.default_rng(seed).permutation(len(rest))[:TEST_ROWS]]
    data, labels = pool.data.take(train), np.asarray(pool.data.labels)[test]
    classes, truth = np.unique(np.asarray(data.labels), return_inverse=True)
    start = time.perf_counter()
    frozen = fitted(data, pool.sight.take(train), budget, seed)
    below = time.perf_counter() - start
    said = answered(frozen, pool.sight.take(test))
    backbone = backbones[frozen.model.view.backbones[0]]
    ours, asked = Looked(backbone, data), Looked(backbone, pool.data.take(test))
    if "frozen" in wanted:
        yield measured("frozen", said, labels, below, frozen.arm)
    if "tune" in wanted:
        start = time.perf_counter()
        above = run_ladder(data, backbone, frozen, Terms(MOVERS, named=False, budget=budget, seed=seed))
        took, chosen = below + time.perf_counter() - start, frozen.arm
        if above.chosen is not None and above.final is not None:
            recipe = above.chosen.strategy.recipe()
            body = untouched(ours.ready(recipe)[0], recipe)
            recipe.tuner.load(body, above.final.delta)
            base, depth = frozen.model.view.backbones[0], len(backbone.blocks)
            model = shipped(above.chosen, frozen, base, depth, ours.features(body, recipe))
            moved = {(base + MOVED, depth): asked.features(body, recipe)}
            seen = replace(pool.sight.take(test), items={**pool.sight.take(test).items, **moved})
            said, chosen = answered(replace(frozen, model=model), seen), above.chosen.strategy.name
        yield measured("tune", said, labels, took, chosen)
    for name, kind in movers().items():
        strategy = kind(seed=seed)
        if name in wanted and strategy.refusal(backbone) is None:
            found, seconds = alone(strategy, ours, asked, truth)
            yield measured(name, None if found is None else classes[found], labels, seconds, "")


def measured(arm: str, said: np.ndarray | None, labels: np.ndarray, seconds: float, chosen: str) -> Row:
    """One row; a training that ran away is right about nothing."""
    right = 0.0 if said is None else float((said == labels).mean())
    return {"arm": arm, "accuracy": round(right, 4), "seconds": round(seconds, 2), "chosen": chosen}


def alone(strategy: Tuned, ours: Looked, asked: Looked, truth: np.ndarray) -> tuple[np.ndarray | None, float]:
    """The class numbers of the rows left over, None where training failed, and the seconds of learning."""
    recipe = strategy.recipe()
    activations, before = ours.ready(recipe)
    start = time.perf_counter()
    try:
        body = adapt(activations, np.arange(len(truth)), classed(truth), recipe).body
    except HandfulError as error:
        print(f"{strategy.name}: {error}", flush=True)
        return None, before + time.perf_counter() - start
    head = Logistic(recipe.penalty).fit(ours.features(body, recipe), truth.tolist())
    seconds = before + time.perf_counter() - start
    return head.predict(asked.features(body, recipe)), seconds


def table(rows: Sequence[Row]) -> str:
    """Mean accuracy per cell and arm, and what choosing costs and saves."""
    measured = {str(row["arm"]) for row in rows}  # what came later is no column of an earlier table
    arms = [arm for arm in ("frozen", *movers(), "tune") if arm in measured]
    lines = [f"{'set':<14}{'rows':>4}" + "".join(f"{arm:>12}" for arm in arms) + "  chosen by tune"]
    regret, against = [], []
    of_kind: dict[str, list[dict[str, float]]] = {}
    for (name, per_class), some in cells(rows, "set", "per_class").items():
        by_arm = cells(some, "arm")
        found = {arm: 100 * mean(by_arm[arm,], "accuracy") for arm in arms if (arm,) in by_arm}
        chosen = cells(by_arm.get(("tune",), []), "chosen")
        line = f"{name:<14}{per_class:>4}" + "".join(
            f"{found[arm]:>12.1f}" if arm in found else f"{'-':>12}" for arm in arms
        )
        lines.append(line + "  " + ", ".join(f"{arm} {len(times)}" for (arm,), times in chosen.items()))
        if "tune" in found:
            of_kind.setdefault(by_name(name)[0].modality, []).append(found)
            regret.append(found["tune"] - max(value for arm, value in found.items() if arm != "tune"))
            against.append((found["tune"] - found["frozen"], f"{name}, {per_class} per class"))
    if regret:
        worst, where = min(against)
        lines.append(
            "tune against the best strategy of each cell in hindsight (the frozen model is one): "
            f"mean {np.mean(regret):+.2f} points over {len(regret)} cells, "
            f"worst cell against frozen {worst:+.2f} points ({where})"
        )
        for kind, found_in in of_kind.items():
            everywhere = [arm for arm in arms if all(arm in found for found in found_in)]
            means = {arm: float(np.mean([found[arm] for found in found_in])) for arm in everywhere}
            ours = means.pop("tune")
            best = max(means, key=means.__getitem__)
            lines.append(
                f"{kind}: tune against {best}, the best single strategy over all {len(found_in)} cells: "
                f"{ours - means[best]:+.2f} points ({ours:.1f} and {means[best]:.1f})"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
