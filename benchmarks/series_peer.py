"""Features of time series, and MiniRocket with a ridge on them: made once, in an environment of their own.

    python3 -m venv .venv-series
    .venv-series/bin/pip install aeon==1.6.0
    .venv-series/bin/python benchmarks/series_peer.py series_features --draws 10

Needs nothing of handful. Series come with aeon. Of each draw 5 series per class are learned from; MiniRocket chooses
its thresholds from these alone. Beside it stand simple statistics of each series. `benchmarks/series.py` goes on from
the files.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from aeon import datasets
from aeon.transformations.collection.convolution_based import MiniRocket
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PER_CLASS, ASKED = 5, 200
SETS: dict[str, Callable[[], Any]] = {
    "arrow_head": datasets.load_arrow_head,
    "gunpoint": datasets.load_gunpoint,
    "osuleaf": datasets.load_osuleaf,
    "italy_power": datasets.load_italy_power_demand,
    "acsf1": datasets.load_acsf1,
    "basic_motions": datasets.load_basic_motions,
}


def statistics(series: NDArray[Any]) -> NDArray[np.float64]:
    """Simple facts of N series of C channels and T moments, each channel for itself. (N, C, T) → (N, C · 22)."""
    steps = np.diff(series, axis=2)
    centred = series - series.mean(2, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, axis=2))[:, :, 1:9]  # the eight slowest waves
    lags = [(centred[:, :, lag:] * centred[:, :, :-lag]).mean(2) for lag in (1, 2, 5)]
    quantiles = np.moveaxis(np.quantile(series, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1], axis=2), 0, 2)
    facts = [series.mean(2), series.std(2), np.abs(steps).mean(2), steps.std(2), *lags]
    return np.concatenate([np.stack(facts, 2), quantiles, spectrum], 2).reshape(len(series), -1)


def main() -> None:
    """Write a file for every set and draw that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--sets", default=",".join(SETS))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.sets.split(","):
        series, labels = SETS[name]()
        for draw in range(args.draws):
            file = args.folder / f"{name}_{draw}.npz"
            if not file.exists():
                np.savez_compressed(file, **one_draw(np.asarray(series, np.float64), np.asarray(labels, str), draw))
                print(file, flush=True)


def one_draw(series: NDArray[np.float64], labels: NDArray[Any], draw: int) -> dict[str, Any]:
    """Features of the series of a draw, and what MiniRocket with a ridge answers to those that it did not see."""
    rng = np.random.default_rng(draw)
    train = np.concatenate([rng.permutation(np.flatnonzero(labels == name))[:PER_CLASS] for name in np.unique(labels)])
    asked = rng.permutation(np.setdiff1d(np.arange(len(labels)), train))[:ASKED]
    begun = time.perf_counter()
    rocket = MiniRocket(random_state=draw).fit(series[train])
    seen, new = (np.asarray(rocket.transform(series[rows]), np.float32) for rows in (train, asked))
    made = time.perf_counter() - begun
    ridge = make_pipeline(StandardScaler(with_mean=False), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    answers = ridge.fit(seen, labels[train]).predict(new)
    return {
        "labels": labels[train], "asked": labels[asked], "ridge": answers, "minirocket": seen, "minirocket_asked": new,
        "statistics": statistics(series[train]), "statistics_asked": statistics(series[asked]), "seconds": made,
    }  # fmt: skip


if __name__ == "__main__":
    main()
