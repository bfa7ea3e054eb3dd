"""What each backbone, and several joined, are worth on draws of development sets: the priors of the choice among them.

    python benchmarks/bases.py --draws 16 --out benchmarks/results/bases.csv
    python benchmarks/bases.py --table --fit --out benchmarks/results/bases.csv

A draw has two to ten classes of a set, chosen by chance, and 3 to 32 rows of each, at most 96 in all. All default
backbones of the modality look at the rows, and the heads that read one of them, or all joined, are searched and pooled
as in ``handful tune``. Told are held-out losses, and losses and accuracies on at most 250 rows that are left over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from decision import dealt
from handful.backbones.entries import price_of
from handful.evaluation.decision import Prior
from handful.features.view import View
from handful.strategies.frozen.ensemble import pooled
from handful.tasks.classification import CLASSIFICATION
from ledger import Ledger, Row, cells, options, over_draws, values
from pools import Pool, by_name, fitted, open_pool

SETS = "goemotions,masakhanews_eng,clinc150,trashnet6,omniglot"
FIELDS = ("modality", "set", "draw", "classes", "rows", "look", "held_loss", "loss", "accuracy")
LEAST_LOSS = 0.05
"""Of a loss below this, shares mean nothing: draws on which the cheaper look has less are not fitted on."""
HARMFUL, HARM, HARM_SPREAD = 0.05, -0.5, 0.5
"""The share of draws on which the dearer look fails, and by how much: too few are seen to be fitted."""


def main() -> None:
    """Run the draws, print and write one line per look."""
    parser = options(__doc__, SETS, 16, "bases.csv")
    parser.add_argument("--fit", action="store_true", help="print what is known of each look after these draws")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw", "look"))
    for task in () if args.table else by_name(args.sets):
        pool = open_pool(task, args.data)
        for draw in range(args.draws):
            at: Row = {"modality": task.modality, "set": task.name, "draw": draw}
            ledger.complete(at, one_draw(pool, draw))
    print(table(ledger.rows))
    if args.fit:
        for pair, prior in fit(ledger.rows).items():
            print(f"{pair}: {prior}")


def one_draw(pool: Pool, draw: int) -> Iterator[Row]:
    """Every look on the same folds, and on the rows left over."""
    train, test = dealt(pool, draw)
    data = pool.data.take(train)
    named = [i for i, name in enumerate(pool.data.classes) if name in set(data.classes)]
    sight, asked = pool.sight.take(train).take_classes(named), pool.sight.take(test).items
    frozen = fitted(data, sight, 60, draw)
    search, targets = frozen.search, frozen.rows.targets
    labels = [(pool.data.labels or ())[i] for i in test]
    looks: dict[tuple[str, ...], list[int]] = {}
    for q, setting in enumerate(search.settings):
        looks.setdefault(setting.view.backbones, []).append(q)
    for look, at in looks.items():
        held = np.mean([CLASSIFICATION.losses(answers, targets).mean() for answers in search.nested(at)])
        design = CLASSIFICATION.design(targets)
        model = pooled(search.members(at), sight.items, sight.names, design, sight.counts)
        view: View = model.view
        outputs, truth = CLASSIFICATION.against(
            CLASSIFICATION.outputs(model.scores(view.matrix(asked))), labels, targets.names
        )
        yield {
            "classes": len(data.classes),
            "rows": len(data),
            "look": "+".join(look),
            "held_loss": round(float(held), 4),
            "loss": round(float(CLASSIFICATION.losses(outputs, truth).mean()), 4),
            "accuracy": round(CLASSIFICATION.headline.of(outputs[None], truth).value, 4),
        }


def paired(rows: Sequence[Row], below: str, above: str) -> tuple[list[Row], list[Row]]:
    """The rows of two looks, draw by draw."""
    both = [
        (own[below], own[above])
        for some in cells(rows, "set", "draw").values()
        if {below, above} <= (own := {str(row["look"]): row for row in some}).keys()
    ]
    return [pair[0] for pair in both], [pair[1] for pair in both]


def pairs(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Every two looks of one modality, the cheaper one first."""
    out = []
    for some in cells(rows, "modality").values():
        looks = sorted({str(row["look"]) for row in some}, key=lambda look: price_of(look.split("+")))
        out += [(below, above) for i, below in enumerate(looks) for above in looks[i + 1 :]]
    return out


def fit(rows: Sequence[Row]) -> dict[tuple[tuple[str, ...], tuple[str, ...]], Prior]:
    """What these draws say of the gain of a dearer look on new rows, as a share of the loss of the cheaper one.

    Middle and spread are those of the middle half of the draws, which a few that fail do not move.
    """
    known = {}
    for below, above in pairs(rows):
        first, second = (values(some, "loss") for some in paired(rows, below, above))
        gains = (1 - second / first)[first >= LEAST_LOSS]
        low, middle, high = np.quantile(gains, [0.25, 0.5, 0.75])
        spread = (high - low) / 1.349  # of a normal distribution
        better = int((gains > 0).sum())
        prior = Prior(round(float(middle), 3), round(float(spread), 3), HARMFUL, HARM, HARM_SPREAD, better, len(gains))
        known[tuple(below.split("+")), tuple(above.split("+"))] = prior
    return known


def table(rows: Sequence[Row]) -> str:
    """Accuracy and loss of every look, and their difference to the cheapest of the modality, per set."""
    lines = [f"{'set':<18}{'look':<40}{'draws':>6}{'accuracy':>10}{'loss':>8}   points over the cheapest"]
    for (name,), some in cells(rows, "set").items():
        looks = sorted(cells(some, "look"), key=lambda look: price_of(look[0].split("+")))
        for (look,) in looks:
            first, own = paired(some, looks[0][0], look)
            accuracy, loss = 100 * values(own, "accuracy"), values(own, "loss")
            apart = "" if look == looks[0][0] else over_draws(accuracy - 100 * values(first, "accuracy"), 1)
            lines.append(
                f"{name:<18}{look:<40}{len(own):>6}{accuracy.mean():>10.1f}{loss.mean():>8.3f}   {apart}".rstrip()
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
