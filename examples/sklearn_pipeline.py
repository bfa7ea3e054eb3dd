"""The parts in scikit-learn's company: in a Pipeline, a search, other processes, beside other columns, in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import joblib
import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from handful import Encoder, Logistic, SupCon

HERE = Path(__file__).parent


def main(backbone: str = "minilm-l6") -> None:
    """Score a pipeline, search a penalty, join texts and numbers, score a strategy that moves weights, keep a model."""
    tickets = pd.read_csv(HERE / "tickets.csv")
    texts, topics = tickets["text"], tickets["topic"]

    pipe = make_pipeline(Encoder(backbone), Logistic())
    print("frozen, in two processes:", cross_val_score(pipe, texts, topics, cv=5, n_jobs=2).mean().round(2))

    search = GridSearchCV(pipe, {"logistic__penalty": [0.03, 0.1, 0.3]}, cv=5).fit(texts, topics)
    print("found:", search.best_params_)

    tickets["length"] = texts.str.len()
    columns = make_column_transformer((Encoder(backbone), "text"), (StandardScaler(), ["length"]))
    both = make_pipeline(columns.set_output(transform="pandas"), Logistic()).fit(tickets, topics)
    print("text and length:", len(both[:-1].get_feature_names_out()), "columns")

    moved = SupCon(backbone=backbone, updates=4)
    print("weights moved:", cross_val_score(clone(moved), texts, topics, cv=2).mean().round(2))

    with tempfile.TemporaryDirectory() as folder:  # for programs of your own: who opens such a file runs what is in it
        joblib.dump(search.best_estimator_, Path(folder) / "tickets.joblib")
        print("from a file:", joblib.load(Path(folder) / "tickets.joblib").predict(["Where is my parcel?"]))


if __name__ == "__main__":
    main()
