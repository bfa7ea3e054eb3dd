"""How often answers that people wrote say a run of tokens twice, which the guard against repetition would change.

    python benchmarks/repeated_runs.py                 # a minute; no model answers, tokens are counted

Each draw takes n rows as if they were those to learn from; the guard forbids runs so many times as long as any that
these say twice, and longer than a fewest. What is told is the share of all other answers that say such a run twice.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handful import api
from handful.backbones import catalog
from handful.backbones.language import FEWEST_UNREPEATED, SLACK, LanguageBackbone, longest_repeated, unrepeated
from handful.data.conversations import Preference
from handful.seeding import generator
from ledger import Ledger, Row, numbers, options

FIELDS = ("set", "backbone", "n", "slack", "fewest", "draws", "length", "changed")
GUARDS = ((1.0, FEWEST_UNREPEATED), (1.0, 16), (SLACK, FEWEST_UNREPEATED), (3.0, FEWEST_UNREPEATED))


def main() -> None:
    """Count every set, and print the table."""
    parser = options(__doc__, "alpaca_500,selfinstruct_seed,dpo_demo", 300, "repeated_runs.csv")
    parser.add_argument("--backbone", default="smollm2-135m")
    parser.add_argument("--sizes", default="12,20,60")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "backbone", "n", "slack", "fewest"))
    for name in () if args.table else args.sets.split(","):
        runs = repeated(Path(args.data) / f"{name}.jsonl", args.backbone)
        for n in numbers(args.sizes):
            for slack, fewest in GUARDS:
                at = {"set": name, "backbone": args.backbone, "n": n, "slack": slack, "fewest": fewest}
                ledger.add({**at, "draws": args.draws, **changed(runs, n, slack, fewest, args.draws)})
    print(table(ledger.rows))


def repeated(file: Path, backbone: str) -> np.ndarray:
    """(N,) the longest run of tokens that each answer of a set says twice."""
    model = catalog.load(backbone, "language")
    assert isinstance(model, LanguageBackbone)
    told = [row.chosen_row if isinstance(row, Preference) else row for row in api.load(file).items]
    rows = [model.chat.tokens(row, model.context) for row in told]
    return np.array([longest_repeated(row.ids[row.start :]) for row in rows])


def changed(runs: np.ndarray, n: int, slack: float, fewest: int, draws: int) -> Row:
    """The usual length of runs that are forbidden, and the share of other answers that say one of these twice."""
    lengths, shares = [], []
    for draw in range(draws):
        order = generator(draw, "rows to learn from").permutation(len(runs))
        length = unrepeated(int(runs[order[:n]].max()), fewest, slack)
        lengths.append(length)
        shares.append(float((runs[order[n:]] >= length).mean()))
    return {"length": int(np.median(lengths)), "changed": round(float(np.mean(shares)), 4)}


def table(rows: list[Row]) -> str:
    """One line for each set, size and floor."""
    out = ["set                 rows  slack  fewest  usual length  answers changed"]
    for row in rows:
        name, n, slack, fewest, length = (str(row[key]) for key in ("set", "n", "slack", "fewest", "length"))
        share = float(str(row["changed"]))
        out.append(f"{name:<18} {n:>5} {float(slack):>6.3g} {fewest:>7} {length:>13} {share:>16.1%}")
    return "\n".join(out)


if __name__ == "__main__":
    main()
