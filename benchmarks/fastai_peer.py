"""The fine-tuning recipe of fastai against a whole tuned run on the same draws and weights: accuracy and seconds.

fastai itself needs torchvision, which these environments do not have; this is what its ``vision_learner`` and
``fine_tune(epochs)`` do, in plain torch: the pooled head, one epoch with only the head and all batch norms moving, then
the epochs with everything moving, one-cycle rates and momentum, two groups of rates (a body without a split of its own
has two: body and head), decoupled weight decay on all but norms and biases, norms on the statistics of the batch. Three
things differ, all but the first in favour of the peer:

- of the augmentations, only the place of the crop and the flip are there; warp, zoom, rotation and lighting are not;
- pictures are decoded once, not once per epoch;
- where there are fewer rows than a batch holds, all of them are one batch; fastai would drop it and learn nothing.

The norms of the body follow the batches as slowly as the network has it (0.01). With torch's own 0.1, which timm
gives it, the peer lost three to five points on two draws of hymenoptera2; ``--norm-momentum 0.1`` measures it.

Seconds are those of everything from labelled files to a model, nothing cached: loading the weights, decoding, training;
here also the choice among settings and their held-out scores. What a run does after that, and the peer does not, is
told apart: what slight changes do to answers, and which parts of the pictures that it doubts most carry them.

    python benchmarks/fastai_peer.py --draws 5
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from handful import api
from handful.backbones import catalog
from handful.backbones.base import Backbone
from handful.data.images import load_image
from handful.files import cache_folder
from handful.seeding import generator
from ledger import Ledger, Row, cells, mean, median, numbers, options, spread, values
from pools import Pool, by_name, draws, open_pool

FIELDS = (
    "set", "per_class", "draw", "norm_momentum", "batch", "rows", "handful", "handful_seconds", "handful_checks",
    "fastai", "fastai_seconds",
)  # fmt: skip
SIDE = 224


@dataclass(frozen=True)
class Recipe:
    """The defaults of fastai, but for the rows per update."""

    epochs: int = 10
    """Passes over the rows with everything moving."""
    rate: float = 2e-3
    """``base_lr``: the highest rate of the frozen epoch; half of it is that of the head afterwards."""
    ratio: float = 100.0
    """``lr_mult``: how much slower the body moves than the head."""
    decay: float = 1e-2
    """Decoupled weight decay."""
    batch: int = 8
    """Rows per update; its default of 64 leaves a handful of rows eleven updates, or none."""
    norm_momentum: float = 0.01
    """How fast the statistics of the body's norms follow the batches: the network's own, or torch's 0.1, as in timm."""


def main() -> None:
    """Run the draws, print and write one line per draw."""
    parser = options(__doc__, "flowers12,trashnet6,hymenoptera2,textile3", 5, "fastai.csv")
    parser.add_argument("--per-class", default="5,20")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--norm-momentum", type=float, default=Recipe.norm_momentum)
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "draw", "norm_momentum", "batch"))
    recipe = Recipe(epochs=args.epochs, norm_momentum=args.norm_momentum, batch=args.batch)
    if not args.table:
        for task in by_name(args.sets):
            pool = open_pool(task, args.data)
            for per_class in numbers(args.per_class):
                for seed, train, rest in draws(pool, per_class, args.draws):
                    of_peer = {"norm_momentum": recipe.norm_momentum, "batch": recipe.batch}
                    if ledger.has(set=task.name, per_class=per_class, draw=seed, **of_peer):
                        continue
                    ledger.add(one_draw(pool, per_class, seed, train, rest, recipe))
                    print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def one_draw(pool: Pool, per_class: int, seed: int, train: np.ndarray, rest: np.ndarray, recipe: Recipe) -> Row:
    """Both on one draw, scored on the rows left over."""
    data, test = pool.data.take(train), pool.data.take(rest)
    with nothing_cached():
        start = time.perf_counter()
        run = api.tune(data, seed=seed)
        ours = time.perf_counter() - start
    right = np.mean(np.array(run.model.predict(test.items)) == np.asarray(test.labels))
    classes, truth = np.unique(np.asarray(data.labels), return_inverse=True)
    with torch.random.fork_rng():  # the dropout and the first weights of the head throw torch's global dice
        torch.manual_seed(seed)
        start = time.perf_counter()
        network = Network(catalog.load("efficientnet-lite0", "image"), len(classes), recipe.norm_momentum)
        fine_tune(network, [load_image(item) for item in data.items], truth, recipe, generator(seed, "fastai"))
        theirs = time.perf_counter() - start
    peer = np.mean(classes[predicted(network, test.items)] == np.asarray(test.labels))
    return {
        "set": pool.task.name,
        "per_class": per_class,
        "draw": seed,
        "norm_momentum": recipe.norm_momentum,
        "batch": recipe.batch,
        "rows": len(train),
        "handful": round(float(right), 4),
        "handful_seconds": round(ours, 2),
        "handful_checks": round(run.scores.seconds["checks"], 2),
        "fastai": round(float(peer), 4),
        "fastai_seconds": round(theirs, 2),
    }


@contextlib.contextmanager
def nothing_cached() -> Iterator[None]:
    """An empty feature cache that shares the weights of the user's, for as long as a block lasts."""
    before, weights = os.environ.get("HANDFUL_CACHE"), cache_folder() / "weights"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "weights").symlink_to(weights.resolve(), target_is_directory=True)
        os.environ["HANDFUL_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("HANDFUL_CACHE")
            if before is not None:
                os.environ["HANDFUL_CACHE"] = before


class Network(nn.Module):
    """The body of EfficientNet-Lite0 with fastai's head: uint8 (B, 3, S, S) → scores (B, C)."""

    def __init__(self, backbone: Backbone, classes: int, momentum: float) -> None:
        """Take the weights of a freshly loaded backbone, which the training will move."""
        super().__init__()
        self.backbone = backbone
        self.body = nn.ModuleList(backbone.modules())
        for norm in norms(self.body):
            norm.momentum = momentum
        wide = 2 * 1280
        self.head = nn.Sequential(
            nn.BatchNorm1d(wide), nn.Dropout(0.25), nn.Linear(wide, 512, bias=False), nn.ReLU(),
            nn.BatchNorm1d(512), nn.Dropout(0.5), nn.Linear(512, classes, bias=False),
        )  # fmt: skip
        for layer in self.head:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalise as the network expects, run it, pool highest and mean of each channel, score."""
        state = self.backbone.stem(pictures)
        for block in self.backbone.blocks:
            state = block(state)
        scores: Tensor = self.head(torch.cat([state.x.amax((2, 3)), state.x.mean((2, 3))], 1))  # (B, 2560) → (B, C)
        return scores


def norms(module: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    """All batch norms."""
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]


def fine_tune(
    network: Network, pictures: Sequence[Image.Image], truth: np.ndarray, recipe: Recipe, rng: np.random.Generator
) -> None:
    """The head and the batch norms of the body first, then everything; one cycle and a new optimiser each."""
    for weight in network.body.parameters():
        weight.requires_grad_(False)
    for norm in norms(network.body):
        for weight in norm.parameters():
            weight.requires_grad_(True)
    top = recipe.rate
    one_cycle(network, pictures, truth, recipe, rng, epochs=1, rates=(top / 10, top), rise=0.99, div=25.0)
    for weight in network.parameters():
        weight.requires_grad_(True)
    top = recipe.rate / 2
    rates = (top / recipe.ratio, top)
    one_cycle(network, pictures, truth, recipe, rng, epochs=recipe.epochs, rates=rates, rise=0.3, div=5.0)


def one_cycle(
    network: Network, pictures: Sequence[Image.Image], truth: np.ndarray, recipe: Recipe, rng: np.random.Generator,
    *, epochs: int, rates: tuple[float, float], rise: float, div: float,
) -> None:  # fmt: skip
    """Some epochs of Adam whose rate rises and falls along cosines while its momentum falls and rises."""
    size = min(recipe.batch, len(pictures))
    groups = [
        {"params": weights, "top": rate, "weight_decay": recipe.decay * heavy}
        for part, rate in zip((network.body, network.head), rates, strict=True)
        for heavy in (True, False)
        if (weights := [w for w in part.parameters() if w.requires_grad and (w.dim() > 1) == heavy])
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.95, 0.99), eps=1e-5)
    updates = epochs * (len(pictures) // size)
    batches = itertools.chain.from_iterable(shuffled(len(pictures), size, rng) for _ in range(epochs))
    network.train()
    for number, at in enumerate(batches):
        done = number / updates
        for group in optimizer.param_groups:
            group["lr"] = cosines(done, rise, group["top"] / div, group["top"], group["top"] / 1e5)
            group["betas"] = (cosines(done, rise, 0.95, 0.85, 0.95), 0.99)
        scores = network(torch.from_numpy(np.stack([changed(pictures[i], rng) for i in at])).permute(0, 3, 1, 2))
        loss = nn.functional.cross_entropy(scores, torch.from_numpy(truth[at]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def shuffled(count: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The full batches of an epoch; what is left over waits for another one."""
    order = rng.permutation(count)
    return [order[start : start + size] for start in range(0, count - size + 1, size)]


def cosines(done: float, rise: float, first: float, middle: float, last: float) -> float:
    """From ``first`` to ``middle`` in the share ``rise`` of the run, then to ``last``, along half a cosine each."""
    start, end, share = (first, middle, done / rise) if done < rise else (middle, last, (done - rise) / (1 - rise))
    return start + (1 - math.cos(math.pi * share)) * (end - start) / 2


def changed(picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """A square from anywhere along the longer side, flipped or not, (S, S, 3) uint8."""
    found = square(picture, float(rng.random()))
    return found[:, ::-1] if rng.random() < 0.5 else found


def square(picture: Image.Image, where: float) -> np.ndarray:
    """The largest square, at a share ``where`` of the way along the longer side, (S, S, 3) uint8."""
    width, height = picture.size
    side = min(width, height)
    left, top = where * (width - side), where * (height - side)
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))


@torch.inference_mode()
def predicted(network: Network, items: Sequence[Any]) -> np.ndarray:
    """The class numbers of items, from their central squares."""
    network.eval()
    found = []
    for start in range(0, len(items), 32):
        stacked = np.stack([square(load_image(item), 0.5) for item in items[start : start + 32]])
        found.append(network(torch.from_numpy(stacked).permute(0, 3, 1, 2)).argmax(1).numpy())
    return np.concatenate(found)


def table(rows: Sequence[Row]) -> str:
    """One line per set and size, and what handful gains on average."""
    head = (
        f"{'set':<14}{'rows':>4}{'momentum':>10}{'batch':>7}{'fastai':>8}{'handful':>9}  gain and its 95 % interval  "
    )
    lines = [head + "median seconds: fastai, handful, with its checks"]
    found = cells(rows, "set", "per_class", "norm_momentum", "batch")
    ratios, whole = [], []
    for (name, per_class, momentum, batch), some in found.items():
        fastai, handful = 100 * mean(some, "fastai"), 100 * mean(some, "handful")
        theirs, scored, ours = times(some)
        ratios.append(theirs / scored)
        whole.append(theirs / ours)
        lines.append(
            f"{name:<14}{per_class:>4}{momentum:>10}{batch:>7}{fastai:>8.1f}{handful:>9.1f}  "
            f"{spread(some, 'handful', 'fastai'):<28}{theirs:>10.1f}{scored:>9.1f}{ours:>7.1f}"
        )
    gains = [100 * (mean(some, "handful") - mean(some, "fastai")) for some in found.values()]
    lines.append(
        f"mean gain over {len(gains)} cells {np.mean(gains):+.1f} points; times faster to a scored model: median "
        f"{np.median(ratios):.1f}, lowest {min(ratios):.1f}; with the checks {np.median(whole):.1f}, {min(whole):.1f}"
    )
    return "\n".join(lines)


def times(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Median seconds of the peer, of handful until there are a model and its scores, and with its checks."""
    scored = values(rows, "handful_seconds") - values(rows, "handful_checks")
    return median(rows, "fastai_seconds"), float(np.median(scored)), median(rows, "handful_seconds")


if __name__ == "__main__":
    main()
