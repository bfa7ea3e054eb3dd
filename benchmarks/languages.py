"""Texts that are not English: what a run makes of a few rows, against one English encoder and against characters alone.

    python benchmarks/languages.py --draws 5 --out benchmarks/results/languages.csv

Ten rows per class of news, of at most 700 looked at; the others are answered. ``minilm-l6``: heads on the English
encoder, from which every run started before. ``auto``: what ``handful tune`` makes of its default backbones without
moving weights. ``tf-idf``: logistic regression (C = 10) on character n-grams (2 to 5 within words, sublinear counts).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ledger import Ledger, Row, cells, mean, options, over_draws, values
from pools import Pool, answered, by_name, draws, fitted, open_pool

FIELDS = ("set", "draw", "arm", "accuracy", "view")
PER_CLASS, MOST = 10, 700


def main() -> None:
    """Run the draws, print and write one line per arm."""
    args = options(__doc__, "masakhanews_swa,masakhanews_yor,masakhanews_eng", 5, "languages.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw", "arm"))
    for task in () if args.table else by_name(args.sets):
        pools = {name: open_pool(task, args.data, name, MOST) for name in ("minilm-l6", "auto")}
        for seed, train, rest in draws(pools["auto"], PER_CLASS, args.draws):
            ledger.complete({"set": task.name, "draw": seed}, one_draw(pools, seed, train, rest))
    print(table(ledger.rows))


def one_draw(pools: dict[str, Pool], seed: int, train: np.ndarray, rest: np.ndarray) -> Iterator[Row]:
    """Every arm on one draw."""
    data = pools["auto"].data
    labels, texts = np.asarray(data.labels), np.asarray(data.items, object)
    for name, pool in pools.items():
        frozen = fitted(pool.data.take(train), pool.sight.take(train), 60.0, seed)
        said = answered(frozen, pool.sight.take(rest))
        view = "+".join(frozen.model.view.backbones)
        yield {"arm": name, "accuracy": round(float((said == labels[rest]).mean()), 4), "view": view}
    counts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    plain = make_pipeline(counts, LogisticRegression(C=10, max_iter=2000)).fit(texts[train], labels[train])
    yield {"arm": "tf-idf", "accuracy": round(float(plain.score(texts[rest], labels[rest])), 4), "view": ""}


def table(rows: list[Row]) -> str:
    """Means per set, and what auto gains on the others."""
    lines = [f"{'set':<18}{'arm':<12}{'accuracy':>9}   points of auto over it; what auto read"]
    for (name,), some in cells(rows, "set").items():
        arms = cells(some, "arm")
        auto = values(arms["auto",], "accuracy")
        for (arm,), own in arms.items():
            told = over_draws(100 * (auto - values(own, "accuracy")), 1)
            if arm == "auto":
                views = [str(row["view"]) for row in own]
                told = ", ".join(f"{view} {views.count(view)}" for view in dict.fromkeys(views))
            lines.append(f"{name:<18}{arm:<12}{100 * mean(own, 'accuracy'):>9.1f}   {told}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
