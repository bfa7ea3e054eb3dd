"""Masks: five marked pictures against hand-made filters with a random forest and a small U-Net from scratch.

membrane_masks (electron microscopy, inside of cells against membranes): of each draw five pictures are learned from and
ten others are answered; Dice is the mean over the two classes, over all pixels of the ten. Draws are taken from the
pictures 15 to 29; pictures 0 to 14 were used while this was made.

The forest is that of scikit-image's own example of trainable segmentation (multiscale basic features, 50 trees of depth
10 on a twentieth of the pixels), in an environment with scikit-image; the U-Net has four levels of 16 to 128 channels,
learns from random crops of 128 pixels, turned and mirrored, and is taken as it is after the last step. ``unturned`` is
the same with crops as they lie: masks of this set lie half a pixel above and left of what is seen, which only such
a network can learn.

    python benchmarks/masks.py --draws 3 --peer PYTHON --out benchmarks/results/masks.csv
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from handful.api import tune
from handful.data.mask_files import mask_of
from handful.data.masks import read_masks
from ledger import Ledger, Row, cells, mean, options, over_draws, values

FIELDS = ("arm", "draw", "dice", "claimed", "low", "high", "seconds")
ARMS = ("handful", "forest", "unet", "unturned")
FIRST, LAST, LEARNED, ANSWERED = 15, 30, 5, 10

STEPS, BATCH, CROP, RATE = 500, 4, 128, 2e-3


def main() -> None:
    """Run the draws, write one line per draw and arm, print the table."""
    parser = options(__doc__, "membrane_masks", 3, "masks.csv")
    parser.add_argument("--peer", default="", help="a Python with scikit-image, for the forest")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("arm", "draw"))
    if not args.table:
        with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(Path(args.data) / "membrane_masks.zip") as archive:
            archive.extractall(place)
            for draw in range(args.draws):
                for arm in ARMS:
                    if not ledger.has(arm=arm, draw=draw) and (arm != "forest" or args.peer):
                        ledger.add(one_draw(Path(place), arm, draw, args.peer))
    print(table(ledger.rows))


def one_draw(folder: Path, arm: str, draw: int, peer: str) -> Row:
    """One way on five pictures."""
    order = FIRST + np.random.default_rng(draw).permutation(LAST - FIRST)
    learn, answer = sorted(order[:LEARNED].tolist()), sorted(order[LEARNED : LEARNED + ANSWERED].tolist())
    start, claimed = time.perf_counter(), ("", "", "")
    if arm == "handful":
        said, claimed = ours(folder, learn, answer, draw)
    elif arm != "forest":
        said = unet(folder, learn, answer, draw, turned=arm == "unet")
    else:
        said = forest(folder, learn, answer, draw, peer)
    seconds = time.perf_counter() - start
    row: Row = {"arm": arm, "draw": draw, "dice": round(dice(said, [truth(folder, i) for i in answer]), 4)}
    row |= dict(zip(("claimed", "low", "high"), claimed, strict=True)) | {"seconds": round(seconds, 1)}
    print(row, flush=True)
    return row


def picture(folder: Path, i: int) -> Path:
    """The file of a picture."""
    return folder / "images" / f"{i:02d}.jpg"


def truth(folder: Path, i: int) -> NDArray[np.uint8]:
    """The mask of a picture: 1 within cells."""
    return (np.asarray(Image.open(folder / "masks" / f"{i:02d}.png")) > 127).astype(np.uint8)


def dice(said: Sequence[NDArray[np.integer]], wanted: Sequence[NDArray[np.integer]]) -> float:
    """Twice the common area over both areas, mean over the two classes."""
    found = []
    for c in (0, 1):
        common = sum(int(((a == c) & (b == c)).sum()) for a, b in zip(said, wanted, strict=True))
        both = sum(int((a == c).sum() + (b == c).sum()) for a, b in zip(said, wanted, strict=True))
        found.append(2 * common / both)
    return float(np.mean(found))


def ours(
    folder: Path, learn: Sequence[int], answer: Sequence[int], draw: int
) -> tuple[list[NDArray[np.uint8]], tuple[float, float, float]]:
    """What a run as it is typed answers, and what it claims of itself."""
    files = [path for i in learn for path in (picture(folder, i), folder / "masks" / f"{i:02d}.png")]
    run = tune(read_masks(folder, files), seed=draw)
    claimed = run.scores.estimate
    assert np.array_equal(
        mask_of((run.data.labels or ())[0], run.data.classes, run.data.items[0]), truth(folder, learn[0])
    )
    return run.predict([picture(folder, i) for i in answer]), (
        round(claimed.value, 4), round(claimed.low, 4), round(claimed.high, 4),
    )  # fmt: skip


def forest(folder: Path, learn: Sequence[int], answer: Sequence[int], draw: int, peer: str) -> list[NDArray[np.uint8]]:
    """What scikit-image's filters and a forest answer, in their own environment."""
    script = Path(__file__).with_name("masks_forest.py")
    asked = {"folder": str(folder), "learn": list(learn), "answer": list(answer), "seed": draw}
    done = subprocess.run([peer, str(script)], input=json.dumps(asked), capture_output=True, text=True, check=True)
    return [np.frombuffer(bytes.fromhex(one), np.uint8).reshape(256, 256) for one in json.loads(done.stdout)]


class UNet(nn.Module):
    """Four levels, each two convolutions; what goes down is laid beside what comes up."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        widths = (16, 32, 64, 128)
        self.down = nn.ModuleList(_double(a, b) for a, b in zip((1, *widths), widths, strict=False))
        self.up = nn.ModuleList(_double(a + b, b) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.last = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) → scores (B, 2, H, W)."""
        beside = []
        for i, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if i else x)
            beside.append(x)
        for block, other in zip(self.up, beside[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, other], 1))
        return self.last(x)


def _double(before: int, after: int) -> nn.Sequential:
    def one(a: int) -> list[nn.Module]:
        return [nn.Conv2d(a, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]

    return nn.Sequential(*one(before), *one(after))


def unet(
    folder: Path, learn: Sequence[int], answer: Sequence[int], draw: int, turned: bool
) -> list[NDArray[np.uint8]]:  # fmt: skip
    """What a small U-Net answers that learned from five pictures alone."""
    torch.manual_seed(draw)
    rng, network = np.random.default_rng(draw), UNet()
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2 * RATE, STEPS)
    pairs = [(grey(folder, i), truth(folder, i)) for i in learn]
    for _ in range(STEPS):
        crops = [crop(rng, *pairs[rng.integers(len(pairs))], turned) for _ in range(BATCH)]
        x = torch.from_numpy(np.stack([a for a, _ in crops]))[:, None]
        y = torch.from_numpy(np.stack([b for _, b in crops])).long()
        loss = functional.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.inference_mode():
        return [
            network(torch.from_numpy(grey(folder, i))[None, None])[0].argmax(0).numpy().astype(np.uint8) for i in answer
        ]


def grey(folder: Path, i: int) -> NDArray[np.float32]:
    """A picture as numbers around 0. (H, W)."""
    return (np.asarray(Image.open(picture(folder, i)).convert("L"), np.float32) - 128) / 64


def crop(
    rng: np.random.Generator, x: NDArray[np.float32], y: NDArray[np.uint8], turned: bool
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A square of a picture and of its mask, a little brighter or darker, and turned and mirrored at random or not."""
    top, left = rng.integers(x.shape[0] - CROP + 1), rng.integers(x.shape[1] - CROP + 1)
    turns, mirrored = (int(rng.integers(4)), bool(rng.integers(2))) if turned else (0, False)
    parts = [np.rot90(part[top : top + CROP, left : left + CROP], turns) for part in (x, y)]
    x, y = (np.ascontiguousarray(part[:, ::-1] if mirrored else part) for part in parts)
    return (x * np.float32(rng.uniform(0.8, 1.2)) + np.float32(rng.normal(0, 0.2))), y


def table(rows: Sequence[Row]) -> str:
    """Per arm: Dice, how far ours is above it on the same draws, and seconds; of ours what it claims of itself."""
    lines = ["arm       draws    Dice   ours above, points       claimed   held   seconds"]
    by_arm = {str(arm): {str(row["draw"]): row for row in some} for (arm,), some in cells(rows, "arm").items()}
    own = by_arm.get("handful", {})
    for arm, some in sorted(by_arm.items(), key=lambda each: ARMS.index(each[0])):
        both = [draw for draw in some if draw in own]
        apart = np.array([100 * (float(str(own[d]["dice"])) - float(str(some[d]["dice"]))) for d in both])
        above = f"{over_draws(apart, 1):<25}" if arm != "handful" else f"{'':<25}"
        listed = list(some.values())
        claims = f"{'':>7}{'':>7}"
        if arm == "handful":
            held = np.mean([float(str(r["low"])) <= float(str(r["dice"])) <= float(str(r["high"])) for r in listed])
            claims = f"{100 * mean(listed, 'claimed'):>7.1f}{held:>7.0%}"
        dices = f"{100 * float(values(listed, 'dice').mean()):>8.1f}"
        lines.append(f"{arm:<10}{len(listed):>5}{dices}   {above}{claims}{mean(listed, 'seconds'):>10.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
