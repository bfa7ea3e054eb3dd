"""The parts in scikit-learn's company: a frozen backbone in a Pipeline, a head in a search, a tuned strategy scored."""

from __future__ import annotations

import csv
from pathlib import Path

from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from handful import Encoder, Logistic, SupCon

HERE = Path(__file__).parent


def main() -> None:
    """Score a pipeline, search a penalty, score a strategy that moves weights."""
    with (HERE / "tickets.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts, labels = [row["text"] for row in rows], [row["topic"] for row in rows]
    pipe = make_pipeline(Encoder("minilm-l6"), Logistic())
    print("frozen:", cross_val_score(pipe, texts, labels, cv=5).mean().round(2))
    search = GridSearchCV(pipe, {"logistic__penalty": [0.03, 0.1, 0.3]}, cv=5).fit(texts, labels)
    print("penalty:", search.best_params_["logistic__penalty"])
    print("weights moved:", cross_val_score(SupCon(updates=8), texts, labels, cv=3).mean().round(2))


if __name__ == "__main__":
    main()
