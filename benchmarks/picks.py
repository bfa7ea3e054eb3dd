"""Rows picked by handful.pick against as many random ones: the loss of held-out answers after the same training.

    python benchmarks/picks.py --backbone toy-language                       # a minute
    python benchmarks/picks.py --backbone smollm2-135m --draws 5 --out …     # hours

Each draw shuffles a set; some of its rows are held out, the others are the pool that n rows come from: at random,
diverse (no model is asked) and useful (diverse, hard rows for more). All train alike: LoRA of rank 8, as many updates.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful import api
from handful.backbones import catalog
from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone
from handful.data.conversations import Conversation
from handful.data.dataset import Dataset
from handful.seeding import generator
from handful.strategies.language.data_selection import pick
from handful.strategies.language.recipes import RECIPES, Lesson, fit_recipe
from ledger import Ledger, Row, cells, mean, numbers, options, over_draws, values

FIELDS = ("set", "backbone", "draw", "n", "pool", "held", "updates", "base", "random", "diverse", "useful")
HELD, POOL = 60, 200
WAYS = ("random", "diverse", "useful")


def main() -> None:
    """Measure every draw and size that is not in the file yet, and print the table."""
    parser = options(__doc__, "alpaca_500,selfinstruct_seed", 3, "picks.csv")
    parser.add_argument("--backbone", default="toy-language")
    parser.add_argument("--sizes", default="10,20,40,80")
    parser.add_argument("--updates", type=int, default=60)
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "backbone", "draw", "n"))
    backbone = None if args.table else catalog.load(args.backbone, "language")
    for name in () if args.table else args.sets.split(","):
        assert isinstance(backbone, LanguageBackbone)
        data = readable(api.load(Path(args.data) / f"{name}.jsonl"), backbone)
        for draw in range(args.draws):
            for n in numbers(args.sizes):
                if not ledger.has(set=name, backbone=args.backbone, draw=draw, n=n):
                    found = measured(data, backbone, draw, n, args.updates)
                    ledger.add({"set": name, "backbone": args.backbone, "draw": draw, "n": n, **found})
                    print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def readable(data: Dataset, backbone: LanguageBackbone) -> Dataset:
    """The rows that fit into the context whole and have at most 300 tokens: long ones would take all the time."""
    most = min(300, backbone.context)
    tokens = [backbone.chat.tokens(row, backbone.context) for row in data.items]
    return data.take([i for i, row in enumerate(tokens) if not row.cut and len(row.ids) <= most])


def measured(data: Dataset, backbone: LanguageBackbone, draw: int, n: int, updates: int) -> Row:
    """The loss of held-out answers, in nats per token: as the model is, and after training on n rows of each kind."""
    order = generator(draw, "picks").permutation(len(data))
    held = data.take(order[: min(HELD, len(data) // 3)])
    pool = data.take(order[len(held) : len(held) + POOL])
    n = min(n, len(pool))
    ways = {
        "random": pool.take(np.arange(n)),
        "diverse": pick(pool, n, backbone=None, seed=draw),
        "useful": pick(pool, n, backbone=backbone, seed=draw),
    }
    found = {way: loss(learned(rows, backbone, updates, draw), held) for way, rows in ways.items()}
    about = {"pool": len(pool), "held": len(held), "updates": updates, "base": loss(backbone, held)}
    return {name: round(value, 4) for name, value in {**about, **found}.items()}


def learned(rows: Dataset, backbone: LanguageBackbone, updates: int, seed: int) -> LanguageBackbone:
    """The model after training on some rows."""
    recipe = RECIPES["lora"]
    lesson = Lesson.of(backbone, tokens_of(rows, backbone), recipe)
    at: NDArray[np.int64] = np.arange(len(rows))
    return fit_recipe(backbone, lesson, at, recipe, recipe.settings(updates, seed)).backbone(backbone)


def loss(backbone: LanguageBackbone, rows: Dataset) -> float:
    """Nats per token of the answers."""
    nats, count = backbone.losses(tokens_of(rows, backbone))
    return float(nats.sum() / count.sum())


def tokens_of(rows: Dataset, backbone: LanguageBackbone) -> list[Tokens]:
    """The rows as the model reads them."""
    told = [row for row in rows.items if isinstance(row, Conversation)]
    return [backbone.chat.tokens(row, backbone.context) for row in told]


def table(rows: list[Row]) -> str:
    """Means over draws, and by how much picks are better than random rows of the same pool, with 95 % intervals."""
    lines = [f"{'set':<19}{'backbone':<15}{'n':>4}{'draws':>6}{'base':>7}" + "".join(f"{way:>9}" for way in WAYS)]
    lines[0] += "  diverse against random    useful against random"
    for (name, backbone, n), some in cells(rows, "set", "backbone", "n").items():
        means = "".join(f"{mean(some, way):>9.3f}" for way in WAYS)
        apart = "   ".join(against(some, way) for way in WAYS[1:])
        lines.append(f"{name:<19}{backbone:<15}{n:>4}{len(some):>6}{mean(some, 'base'):>7.3f}{means}  {apart}")
    return "\n".join(lines)


def against(rows: list[Row], way: str) -> str:
    """The mean gain over random rows in nats per token (above 0: better), with its interval over draws."""
    return over_draws(values(rows, "random") - values(rows, way), 3)


if __name__ == "__main__":
    main()
