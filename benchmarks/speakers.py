"""Every way to teach a small language model at 10, 100 and 1,000 rows: score, forgetting, weights, seconds; a plot.

Four sets: free answers (alpaca_500, selfinstruct_seed), labels as answers (trec6), a strict form (orders, in examples).
Rows of more than ``--longest`` tokens are left out. Of the rest some stay for the test, the same for all sizes and
arms; a size learns from the first rows of one shuffled order, as many as there are, at most that many. All that moves
weights makes the same number of updates of four rows at its own rate, as in handful; prompts show four examples.

Run it in the environment of benchmarks/README.md, whose matplotlib draws the plot.

    python benchmarks/speakers.py --out benchmarks/results/speakers.csv
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handful import api
from handful.backbones import catalog
from handful.backbones.language import LanguageBackbone, Sampling
from handful.data.conversations import Conversation
from handful.errors import HandfulError
from handful.evaluation.intervals import difference, interval
from handful.evaluation.metrics import Measured
from handful.seeding import generator
from handful.strategies.language.asking import Questions, ask
from handful.strategies.language.forgetting import forgotten, general
from handful.strategies.language.in_context import KINDS, Examples, Shots, tokens_of
from handful.strategies.language.recipes import RECIPES, Lesson, TunedLanguage, fit_recipe
from handful.tasks.generation import GENERATION
from handful.tasks.generation.metrics import ACCURACY, token_loss
from ledger import Ledger, Row, cells, named, numbers, options, panels, ranged
from pools import DATA

FIELDS = (
    "set", "rows", "arm", "test_rows", "updates", "loss", "loss_low", "loss_high", "gain", "gain_low", "gain_high",
    "metric", "score", "score_low", "score_high", "forgot", "forgot_low", "forgot_high", "moved", "seconds",
)  # fmt: skip
SETS = {
    "alpaca_500": DATA / "alpaca_500.jsonl",
    "selfinstruct_seed": DATA / "selfinstruct_seed.jsonl",
    "trec6": DATA / "trec6.csv",
    "orders": Path("examples/orders.jsonl"),
}
METRICS = {"orders": "exact_match", "trec6": "accuracy"}
"""What is scored beside the loss, where answers are short."""
UPDATES = {10: 30, 100: 80, 1000: 150}
"""Rows → updates."""
ARMS = ("lora", "bias", "ia3", "prefix", "partial", "full")
SHOWN = 4


def main() -> None:
    """Measure every set, size and arm that is not in the file yet; print the table and draw the plot."""
    parser = options(__doc__, ",".join(SETS), 1, "speakers.csv")
    parser.add_argument("--backbone", default="smollm2-135m")
    parser.add_argument("--rows", default="10,100,1000")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--test-rows", type=int, default=40)
    parser.add_argument("--longest", type=int, default=160)
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "rows", "arm"))
    backbone = None if args.table else catalog.load(args.backbone, "language")
    for name in () if args.table else args.sets.split(","):
        assert isinstance(backbone, LanguageBackbone)
        rows, test, choices = dealt(SETS[name], backbone, args.longest, args.test_rows)
        asker = Asker(backbone, test, METRICS.get(name, ""), choices)
        for size in numbers(args.rows):
            if size // 4 > len(rows):  # hardly more than the size before
                continue
            for arm in ("base", *KINDS, *args.arms.split(",")):
                at: Row = {"set": name, "rows": min(size, len(rows)), "arm": arm}
                if not ledger.has(**at):
                    ledger.add({**at, **asker.row(arm, rows[:size], UPDATES[size])})
                    print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))
    panels(ledger.rows, args.out.with_suffix(".svg"), "loss", "nats per token of held-out answers", ("base", *KINDS))


def dealt(
    file: Path, backbone: LanguageBackbone, longest: int, count: int
) -> tuple[list[Conversation], list[Conversation], tuple[str, ...]]:
    """Rows to learn from in a shuffled order, rows to test on, and the labels where answers are labels."""
    labelled = file.suffix == ".csv"
    data = api.load(file, label="label" if labelled else None, split="", modality="language")
    short = [
        row for row in data.items
        if isinstance(row, Conversation) and len(backbone.chat.tokens(row, backbone.context).ids) <= longest
    ]  # fmt: skip
    rows = [short[i] for i in generator(0, "speakers").permutation(len(short))]
    test = min(count, len(rows) // 3)
    return rows[test:], rows[:test], tuple(sorted({row.answer for row in rows})) if labelled else ()


class Asker:
    """The test rows, and what every arm says to them."""

    def __init__(
        self, backbone: LanguageBackbone, test: Sequence[Conversation], metric: str, choices: Sequence[str]
    ) -> None:
        """Ask the model as it is."""
        self.backbone, self.test, self.metric, self.choices = backbone, list(test), metric, choices
        self.base, self.knew = self.loss(backbone, None), general(backbone)

    def row(self, arm: str, rows: list[Conversation], updates: int) -> Row:
        """What an arm comes to; a training that ran away has no figures."""
        start, spoken, examples, asked = time.perf_counter(), None, None, self.backbone
        if arm in KINDS:
            examples = Examples(rows, Shots(arm, SHOWN))
        elif arm != "base":
            try:
                spoken = taught(self.backbone, arm, rows, updates)
            except HandfulError as error:
                print(f"{arm}: {error}", flush=True)
                return {"test_rows": len(self.test), "updates": updates}
            asked = spoken.backbone(self.backbone)
        seconds = time.perf_counter() - start
        loss = self.base if arm == "base" else self.loss(asked, examples)
        found: Row = {"test_rows": len(self.test), "updates": updates if spoken else 0, "seconds": round(seconds, 1)}
        found |= named("loss", interval(loss)) | named("gain", difference(self.base, loss))
        if self.metric:
            found |= {"metric": self.metric, **named("score", interval(self.score(asked, examples)))}
        if spoken is not None:
            found |= {"moved": spoken.moved, **named("forgot", forgotten(self.knew, asked))}
        return found

    def loss(self, backbone: LanguageBackbone, examples: Examples | None) -> Measured:
        """Nats over tokens of the test answers."""
        nats, count = backbone.losses(tokens_of(self.test, backbone.chat, backbone.context, examples))
        return token_loss(nats, count)

    def score(self, backbone: LanguageBackbone, examples: Examples | None) -> Measured:
        """Answers that are the same, or labels that are the likeliest."""
        sampling = Sampling(most=backbone.room(self.test))
        asked = Questions(tuple(self.choices), answering=not self.choices, sampling=sampling)
        metric = ACCURACY if self.choices else GENERATION.metrics[self.metric]
        return metric.of(ask(backbone, self.test, asked, examples)[0], GENERATION.targets(self.test))


def taught(backbone: LanguageBackbone, name: str, rows: list[Conversation], updates: int) -> TunedLanguage:
    """The model after so many updates on some rows."""
    recipe = RECIPES[name]
    lesson = Lesson.of(backbone, tokens_of(rows, backbone.chat, backbone.context, None), recipe)
    return fit_recipe(backbone, lesson, np.arange(len(rows)), recipe, recipe.settings(updates, 0))


def table(rows: Sequence[Row]) -> str:
    """One line per set, size and arm, with intervals over test rows."""
    lines = [
        f"{'set':<18}{'rows':>5}  {'arm':<9}{'loss':>6}  {'gain over base':<26}{'score':<33}{'forgot':<23}"
        f"{'weights':>12}{'seconds':>9}"
    ]
    arms = ("base", *KINDS, *ARMS)
    for (name, size), some in cells(rows, "set", "rows").items():
        for row in sorted(some, key=lambda row: arms.index(str(row["arm"]))):
            loss = f"{float(str(row['loss'])):>6.3f}" if row.get("loss") not in (None, "") else "     -"
            score = f"{row['metric']} {ranged(row, 'score', '.2f')}" if row.get("metric") else ""
            moved = f"{int(str(row['moved'])):>12,}" if row.get("moved") not in (None, "") else f"{'-':>12}"
            lines.append(
                f"{name:<18}{size:>5}  {row['arm']!s:<9}{loss}  {ranged(row, 'gain', '+.2f'):<26}{score:<33}"
                f"{ranged(row, 'forgot', '+.2f'):<23}{moved}{row.get('seconds', '')!s:>9}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
