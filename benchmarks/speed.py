"""Speed and memory of whole commands, and of extraction against what others do, side by side in one run.

Run it in the environment of benchmarks/README.md, with weights fetched; every figure is a median.

    python benchmarks/speed.py --out benchmarks/results/speed.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from handful import api
from handful.backbones import catalog
from handful.backbones.image import square
from handful.backbones.weights import weights_folder
from handful.data.splits import fold_ids
from handful.engines import Inline
from handful.features.extract import extract
from handful.features.view import View
from handful.files import cache_folder
from handful.seeding import generator
from handful.strategies.frozen.search import search
from handful.strategies.frozen.search_space import Grid
from handful.tasks.classification import CLASSIFICATION
from pools import DATA, by_name, draws, open_pool

HANDFUL = Path(sys.executable).with_name("handful")
EXAMPLES = (("agnews", 8, "32 texts"), ("hymenoptera2", 10, "20 photographs"), ("fsdd_digits", 6, "60 clips"))


def main() -> None:
    """Run every measurement, print one line each and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/speed.json"))
    args = parser.parse_args()
    found: dict[str, float] = {}

    def note(name: str, value: float, digits: int = 2) -> None:
        found[name] = round(value, digits)
        print(f"{name:<66}{found[name]:>10}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        note("handful --help: s", middle(lambda: command([HANDFUL, "--help"])[0], args.repeats))
        note("import handful: s", middle(lambda: command([sys.executable, "-c", "import handful"])[0], args.repeats))
        for name, per_class, what in EXAMPLES:
            source = few_shot(name, per_class, args.data, place)
            for budget, said in ((["--budget", "0"], "first rung"), ([], "whole ladder")):
                tune = [HANDFUL, "tune", source, "--out", place / f"run-{name}", *budget]
                runs = []
                for _ in range(args.repeats):
                    (cache_folder() / "features.sqlite").unlink(missing_ok=True)
                    runs.append(command(tune))
                note(f"handful tune, {what}, {said}, nothing cached: s", statistics.median(s for s, _ in runs))
                note(f"handful tune, {what}, {said}: peak memory, MB", max(m for _, m in runs), 0)
        many = place / "many.csv"
        many.write_text("text\n" + "".join(f"short text number {i}\n" for i in range(100_000)), encoding="utf-8")
        seconds, memory = command([HANDFUL, "predict", place / "run-agnews", many, "--out", place / "answers.csv"])
        note("handful predict, 100,000 short texts: s", seconds, 0)
        note("handful predict, 100,000 short texts: peak memory, MB", memory, 0)
    for name, value in (*texts(args.data, args.repeats), *pictures(args.data, args.repeats)):
        note(name, value)
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def middle(measure: Callable[[], float], repeats: int) -> float:
    """The median of several measurements."""
    return statistics.median(measure() for _ in range(repeats))


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def command(words: Sequence[object]) -> tuple[float, float]:
    """Seconds and peak megabytes of a command, all its threads and children together."""
    wrapper = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, file=sys.stderr); sys.exit(code)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", wrapper, *map(str, words)], check=True, capture_output=True, text=True)
    return time.perf_counter() - start, float(done.stderr.split()[-1])


def few_shot(name: str, per_class: int, data: Path, place: Path) -> Path:
    """One seeded draw of a set, as a user would have it: a table, or a folder of links."""
    pool = open_pool(by_name(name)[0], data)
    _, train, _ = next(draws(pool, per_class, 1))
    some = pool.data.take(train)
    if some.modality == "text":
        import pandas

        pandas.DataFrame({"text": some.items, "label": some.labels}).to_csv(place / f"{name}.csv", index=False)
        return place / f"{name}.csv"
    for item, label in zip(some.items, some.labels or (), strict=True):
        target = place / name / label / Path(item).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(item).read_bytes())
    return place / name


def texts(data: Path, repeats: int) -> list[tuple[str, float]]:
    """Extraction of 500 texts against sentence-transformers on the same rows and weights."""
    from sentence_transformers import SentenceTransformer

    backbone = catalog.load("minilm-l6", "text")
    rows = list(api.load(data / "agnews.csv", label="label").items[::8])
    peer = SentenceTransformer(str(peer_folder()))
    ours = lambda: extract(backbone, rows, backbone.search_depths)  # noqa: E731
    theirs = lambda: peer.encode(rows, show_progress_bar=False)  # noqa: E731
    pairs = [(timed(ours), timed(theirs)) for _ in range(repeats + 1)][1:]
    return [
        ("500 texts, handful (three depths): s", statistics.median(a for a, _ in pairs)),
        ("500 texts, sentence_transformers.encode: s", statistics.median(b for _, b in pairs)),
        ("texts: times faster", statistics.median(b / a for a, b in pairs)),
    ]


def peer_folder(name: str = "minilm-l6") -> Path:
    """A sentence-transformers folder with the same weights: the catalogue's, with the files that it leaves out."""
    import shutil

    from sentence_transformers import SentenceTransformer, models

    target = Path(tempfile.gettempdir()) / "handful-benchmarks" / f"peer-{name}"
    if not target.exists():
        source = Path(tempfile.mkdtemp())
        settings = json.loads((weights_folder(name) / "text.json").read_text("utf-8"))
        for file in weights_folder(name).rglob("*"):
            if file.is_file():
                shutil.copy(file, source / file.name)
        word = models.Transformer(str(source), max_seq_length=256)
        pooling = models.Pooling(word.get_word_embedding_dimension(), pooling_mode=settings["pooling"])
        SentenceTransformer(modules=[word, pooling]).save(str(target))
    return target


def pictures(data: Path, repeats: int) -> list[tuple[str, float]]:
    """Extraction of 100 pictures against a plain loop, and the nested search on what it gives."""
    pool = open_pool(by_name("hymenoptera2")[0], data)
    _, train, _ = next(draws(pool, 50, 1))
    items = [pool.data.items[i] for i in train]
    backbone = catalog.load("efficientnet-lite0", "image")

    def plain() -> None:
        with torch.inference_mode():
            for start in range(0, len(items), 16):
                stacked = np.stack([square(item, 224) for item in items[start : start + 16]])
                state = backbone.stem(torch.from_numpy(stacked).permute(0, 3, 1, 2))
                for block in backbone.blocks:
                    state = block(state)
                state.x.mean((2, 3)).numpy()

    def ours() -> None:
        extract(backbone, items, backbone.search_depths)

    truth = np.unique(np.asarray(pool.data.labels)[train], return_inverse=True)[1]
    views = [View((("efficientnet-lite0", depth),)) for depth in backbone.search_depths]
    features = {view: view.matrix(pool.sight.items)[train] for view in views}
    heads = tuple(CLASSIFICATION.heads.values())
    grid = Grid(heads, tuple(views))
    rng = generator(0, "folds")
    folds = np.stack([fold_ids(truth, np.arange(len(truth)), 5, rng) for _ in range(5)])

    def nested() -> None:
        found = search(features, {}, truth, folds, grid, Inline())
        found.nested(range(len(found.outcomes)))

    rounds = [(timed(ours), timed(plain), timed(nested)) for _ in range(repeats + 1)][1:]
    return [
        ("100 pictures, handful (all depths): s", statistics.median(a for a, _, _ in rounds)),
        ("100 pictures, plain loop: s", statistics.median(b for _, b, _ in rounds)),
        ("pictures: times faster", statistics.median(b / a for a, b, _ in rounds)),
        (f"nested 5x5 search over {len(grid)} settings on 100 pictures: s", statistics.median(c for _, _, c in rounds)),
        ("search as a share of extraction", statistics.median(c / a for a, _, c in rounds)),
    ]


if __name__ == "__main__":
    main()
