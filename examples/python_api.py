"""Forty tickets from Python: look at the rows, tune, read the scores, use the model, save it, load it again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import handful

HERE = Path(__file__).parent


def main() -> None:
    """Go through the whole of it once."""
    data = handful.load(HERE / "tickets.csv")
    for finding in handful.inspect(data):
        print(finding.message)
    run = handful.tune(data, budget="20 s")
    print(run.scores)
    estimate = run.scores.estimate
    print(f"accuracy {estimate.value:.2f}, between {estimate.low:.2f} and {estimate.high:.2f}")
    print(run.model.predict(["I was charged twice for one order."]))
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "tickets")
        copy = handful.Bundle.load(Path(folder) / "tickets")
        print(copy.predict_proba(["Where is my parcel?"]).round(2))


if __name__ == "__main__":
    main()
