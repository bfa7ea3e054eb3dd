"""Names in sentences: spans from frozen words against looking strings up and against token classification.

    python benchmarks/spans.py --draws 2 --span-marker PYTHON --out benchmarks/results/spans.csv

All find the spans of the same held-out sentences; F1 of exact spans, all labels together. Token classification is that
of transformers on the same encoder, ``AutoModelForTokenClassification`` with all weights moved. SpanMarker, on the same
encoder too, runs in an environment of its own, whose python is named (``span_marker_peer.py``).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerFast

from handful import api
from handful.backbones.weights import weights_folder
from handful.data.dataset import Dataset
from handful.data.sentences import bounds_of, words_of
from handful.data.spans import Marked
from handful.tasks.runs import exact
from handful.tasks.tagging import TAGGING, gazetteer
from handful.tasks.tagging.decoding import stretches
from ledger import Ledger, Row, cells, options, over_draws, sized, values

Spans = list[tuple[int, int, str]]

SIZES, TEST = (50, 20, 100), 200
ENCODER = "minilm-l6"
FIELDS = (
    "set",
    "rows",
    "draw",
    "ours",
    "shipped",
    "gazetteer",
    "peer",
    "marker",
    "seconds",
    "peer_seconds",
    "marker_seconds",
)

# More epochs and a higher rate than guides to token classification take, since the sentences are few and the encoder is
# small; set by hand, not searched.
EPOCHS, BATCH, RATE, WARM = 20, 8, 5e-4, 0.1


def main() -> None:
    """Run the draws, print and write one line each."""
    parser = options(__doc__, "bionlp13pc_ner,wnut17_ner,masakhaner_swa", 2, "spans.csv")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many sentences, joined by commas")
    parser.add_argument("--without-peer", action="store_true", help="leave token classification out, which is slow")
    parser.add_argument("--span-marker", help="the python of an environment that has SpanMarker; else it is left out")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "rows", "draw"))
    peers = (not args.without_peer, args.span_marker)
    for at in sized(args):
        ledger.complete(at, measured(Path(args.data) / f"{at['set']}.jsonl", at["rows"], at["draw"], peers))
    print(table(ledger.rows))


def drawn(file: Path, size: int, draw: int) -> tuple[Dataset, Dataset]:
    """Sentences to learn from, and others of the test part."""
    data = replace(api.load(file, split=""), split=None)
    parts = [json.loads(line)["split"] for line in file.read_text("utf-8").splitlines()]
    rng = np.random.default_rng([draw, size])
    learn, test = (
        data.take(rng.permutation([i for i, row in enumerate(data.rows) if parts[row] == part])[:count])
        for part, count in (("train", size), ("test", TEST))
    )
    return learn, test


def measured(file: Path, size: int, draw: int, peers: tuple[bool, str | None]) -> Iterator[Row]:
    """Four ways to find the spans of other sentences, or two or three of them."""
    learn, test = drawn(file, size, draw)
    peer, marker = peers
    start = time.perf_counter()
    run = api.tune(learn, backbone=ENCODER, seed=draw)
    said = [[(one["start"], one["end"], one["label"]) for one in own] for own in run.predict(test.items)]
    middle = time.perf_counter()
    theirs = round(f1(test, token_classification(learn, test, draw)), 4) if peer else ""
    last = time.perf_counter()
    marked = round(f1(test, span_marker(learn, test, draw, marker)), 4) if marker else ""
    yield {
        "ours": round(f1(test, said), 4),
        "shipped": run.scores.chosen,
        "gazetteer": round(f1(test, by_gazetteer(learn, test)), 4),
        "peer": theirs,
        "marker": marked,
        "seconds": round(middle - start, 1),
        "peer_seconds": round(last - middle, 1) if peer else "",
        "marker_seconds": round(time.perf_counter() - last, 1) if marker else "",
    }


def f1(test: Dataset, said: Sequence[Spans]) -> float:
    """The F1 of exact spans, all labels together."""
    wanted = [list(Marked.of_cell(cell).spans) for cell in test.labels or ()]
    right = sum(exact(a, b) for a, b in zip(wanted, said, strict=True))  # type: ignore[arg-type]
    return 2 * right / max(1, sum(map(len, wanted)) + sum(map(len, said)))


def by_gazetteer(learn: Dataset, test: Dataset) -> list[Spans]:
    """The strings that were marked, looked up."""
    marks = [Marked.of_cell(cell) for cell in learn.labels or ()]
    known = gazetteer.learned([words_of(item) for item in learn.items], marks)
    found = []
    for item in test.items:
        bounds = bounds_of(item)
        hits = gazetteer.looked_up(words_of(item), known)
        found.append([(int(bounds[first][0]), int(bounds[last][1]), label) for first, last, label in hits])
    return found


def token_classification(learn: Dataset, test: Dataset, seed: int, rate: float = RATE) -> list[Spans]:
    """What transformers fine-tunes for it: the first token of a word stands for the word."""
    torch.manual_seed(seed)
    folder = weights_folder(ENCODER)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    tokenizer.backend_tokenizer.no_padding()
    targets = TAGGING.read(learn.labels or ())
    tags, counts = targets.task.tags_wanted(targets)
    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=1 + 2 * len(targets.names))
    updates = EPOCHS * -(-len(learn) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    warm = max(1, round(WARM * updates))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (updates - step) / max(1, updates - warm)))
    )
    rng = np.random.default_rng(seed)
    model.train()
    for _ in range(EPOCHS):
        order = rng.permutation(len(learn))
        for first in range(0, len(order), BATCH):
            at = order[first : first + BATCH]
            batch, firsts = encoded(tokenizer, [learn.items[i] for i in at])
            labels = torch.full_like(batch["input_ids"], -100)
            for row, (i, words) in enumerate(zip(at, firsts, strict=True)):
                labels[row, words] = torch.from_numpy(tags[i, : counts[i]][: len(words)])
            model(**batch, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
    model.eval()
    found: list[Spans] = []
    with torch.inference_mode():
        for item in test.items:
            batch, (words,) = encoded(tokenizer, [item])
            best, bounds = model(**batch).logits[0, words].argmax(-1).numpy(), bounds_of(item)
            spans = stretches(best)
            found.append([(int(bounds[a, 0]), int(bounds[b, 1]), targets.names[c]) for a, b, c in spans])
    return found


def span_marker(learn: Dataset, test: Dataset, seed: int, python: str) -> list[Spans]:
    """What SpanMarker answers, in its own environment."""
    targets = TAGGING.read(learn.labels or ())
    tags, counts = targets.task.tags_wanted(targets)
    labels = ["O", *(f"{prefix}-{name}" for name in targets.names for prefix in "BI")]
    with tempfile.TemporaryDirectory(prefix="spans-") as folder:
        task, answers = Path(folder) / "task.json", Path(folder) / "answers.json"
        given = {
            "encoder": str(weights_folder(ENCODER)), "labels": labels, "seed": seed,
            "tokens": [words_of(item) for item in learn.items],
            "tags": [own[:n].tolist() for own, n in zip(tags, counts, strict=True)],
            "asked": [words_of(item) for item in test.items],
        }  # fmt: skip
        task.write_text(json.dumps(given), "utf-8")
        script = Path(__file__).with_name("span_marker_peer.py")
        subprocess.run([python, script, task, answers], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = json.loads(answers.read_text("utf-8"))
    every = [bounds_of(item) for item in test.items]
    return [
        [(int(bounds[first, 0]), int(bounds[end - 1, 1]), label) for first, end, label in own]
        for own, bounds in zip(said, every, strict=True)
    ]


def encoded(
    tokenizer: PreTrainedTokenizerFast, items: Sequence[str]
) -> tuple[dict[str, torch.Tensor], list[list[int]]]:
    """Words of texts as a batch of tokens, and where the first token of each word stands."""
    words = [words_of(item) for item in items]
    batch = tokenizer(
        words, is_split_into_words=True, padding=True, truncation=True, max_length=256, return_tensors="pt"
    )
    firsts = []
    for row in range(len(items)):
        owner = batch.word_ids(row)
        firsts.append([t for t, word in enumerate(owner) if word is not None and word != owner[t - 1]])
    return {key: batch[key] for key in ("input_ids", "attention_mask")}, firsts


def table(rows: Sequence[Row]) -> str:
    """Means, and mean differences with their 95 % intervals over draws."""
    head = (
        f"{'set':<16}{'rows':>5}{'draws':>6}{'ours':>7}{'looked up':>11}   {'ours - looked up':<24}{'least':>7}{'s':>6}"
    )
    lines = [head]
    each = sorted(cells(rows, "set", "rows").items(), key=lambda cell: (cell[0][0], int(cell[0][1])))
    for (name, size), some in each:
        ours, listed = (100 * values(some, column) for column in ("ours", "gazetteer"))
        seconds = float(np.median(values(some, "seconds")))
        lines.append(
            f"{name:<16}{size:>5}{len(some):>6}{ours.mean():>7.1f}{listed.mean():>11.1f}   "
            f"{over_draws(ours - listed, 1):<24}{(ours - listed).min():>+7.1f}{seconds:>6.0f}"
        )
    for peer, called in (("peer", "tokens"), ("marker", "SpanMarker")):
        faced = [row for row in rows if str(row.get(peer, ""))]
        for (name, size), some in cells(faced, "set", "rows").items():
            ours, theirs = (100 * values(some, column) for column in ("ours", peer))
            lines.append(
                f"{name}, {size} sentences: {called} {theirs.mean():.1f}, ours - {called} "
                f"{over_draws(ours - theirs, 1)} over {len(some)} draws, "
                f"{np.median(values(some, f'{peer}_seconds')):.0f} s"
            )
        for (size,), some in cells(faced, "rows").items():
            ours, theirs = (100 * values(some, column) for column in ("ours", peer))
            lines.append(f"all sets, {size} sentences: ours - {called} {over_draws(ours - theirs, 1)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
