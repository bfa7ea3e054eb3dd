"""Forty tickets from Python: look at the rows, tune, read the scores, use the model, save it, load it again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

import handful

HERE = Path(__file__).parent


def main() -> None:
    """Go through the whole of it once."""
    tickets = pd.read_csv(HERE / "tickets.csv")
    print(handful.inspect(tickets["text"], tickets["topic"]))
    with tempfile.TemporaryDirectory() as folder:
        run = handful.tune(tickets["text"], tickets["topic"], budget="20 s", out=Path(folder) / "tickets")
        print(run.scores)
        estimate = run.scores.estimate
        print(f"accuracy {estimate.value:.2f}, between {estimate.low:.2f} and {estimate.high:.2f}")
        print(run.predict(["I was charged twice for one order."]))
        print(handful.predict(Path(folder) / "tickets", ["Where is my parcel?"]))
        copy = handful.Bundle.load(Path(folder) / "tickets")
        print(copy.classes_, copy.predict_proba(["Where is my parcel?"]).round(2))


if __name__ == "__main__":
    main()
