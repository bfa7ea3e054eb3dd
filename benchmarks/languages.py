"""What a backbone that reads the language of texts gains: the same few rows of news in three languages, two backbones.

    python benchmarks/languages.py --sets masakhanews_swa --draws 5

Eight rows per class to learn from, a logistic regression on the last layer of the frozen backbone, 200 test rows.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import handful
from handful.backbones import catalog
from handful.features.extract import extract
from handful.seeding import generator

SETS = "masakhanews_swa,masakhanews_yor,masakhanews_eng"
BACKBONES = ("minilm-l6", "multilingual-e5-small")
PER_CLASS, TEST_ROWS = 8, 200


def main() -> None:
    """Print the mean accuracy of each backbone on each set, and the standard error over the draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=SETS, help="names of sets, joined by commas")
    parser.add_argument("--draws", type=int, default=5, help="how many draws of training rows")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("HANDFUL_BENCH_DATA", "../shared/data")))
    args = parser.parse_args()
    for name in args.sets.split(","):
        data = handful.load(args.data / f"{name}.csv")
        train, test = data.part("train"), data.part("test")
        rng, labels = generator(0, name), np.array(train.labels)
        test = test.take(rng.permutation(len(test))[:TEST_ROWS])
        draws = [
            np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:PER_CLASS] for c in train.classes])
            for _ in range(args.draws)
        ]
        used = np.unique(np.concatenate(draws))
        for backbone in BACKBONES:
            model = catalog.load(backbone, "text")
            depth = len(model.blocks)
            x = extract(model, [*train.take(used).items, *test.items], (depth,)).matrices[depth]
            x = x / np.linalg.norm(x, axis=1, keepdims=True)
            right = []
            for at in draws:
                own = x[np.searchsorted(used, at)]
                head = LogisticRegression(C=10, max_iter=2000).fit(own - own.mean(0), labels[at])
                right.append(np.mean(head.predict(x[len(used) :] - own.mean(0)) == np.array(test.labels)))
            error = np.std(right, ddof=1) / np.sqrt(len(right))
            print(f"{name:<16} {backbone:<22} {np.mean(right):.3f} ({error:.3f})", flush=True)


if __name__ == "__main__":
    main()
