"""Near duplicates: planted copies (exact, re-encoded, resized, slightly cropped): how many are found, and what else.

A draw has 200 rows of a set, and a changed copy of 40 of these. Everything that is found and was not planted counts as
wrong, also where the set itself holds two of a kind.

    python benchmarks/near_duplicates.py --draws 5 --out benchmarks/results/near_duplicates.csv
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from PIL import Image

from handful.data.dataset import Dataset
from handful.features.feature_set import extract_all
from handful.inspection.copies import near_pairs
from handful.inspection.labels import cosines
from handful.inspection.profile import duplicate_groups
from ledger import Ledger, Row, cells, mean, options
from pools import Set, load_backbones, open_pool

SETS = (
    Set("agnews", "agnews.csv", "text", ()),
    Set("banking77", "banking77.csv", "text", ()),
    Set("flowers12", "flowers12.zip", "image", ()),
    Set("hymenoptera2", "hymenoptera2.zip", "image", ()),
    Set("fsdd", "fsdd.zip", "sound", ()),
)
KINDS = {
    "text": ("exact", "case", "punctuation", "cropped"),
    "image": ("exact", "resized", "re-encoded", "cropped", "cropped-and-re-encoded"),
    "sound": ("exact", "re-encoded", "resampled", "cropped", "quieter"),
}
ROWS, COPIES = 200, 40
FIELDS = ("set", "modality", "draw", "planted", "recalled", "found", "missed")


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, ",".join(task.name for task in SETS), 5, "near_duplicates.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw"))
    for task in [task for task in SETS if task.name in args.sets.split(",") and not args.table]:
        data = open_pool(task, args.data).data
        for draw in range(args.draws):
            ledger.add(one_draw(task, data, draw))
            print(table(ledger.rows[-1:]), flush=True)
    print(table(ledger.rows))


def one_draw(task: Set, data: Dataset, draw: int) -> Row:
    """Plant copies in some rows and look for them."""
    rng = np.random.default_rng([draw, ROWS])
    rows = data.take(rng.permutation(len(data))[:ROWS])
    kinds = [KINDS[task.modality][i % len(KINDS[task.modality])] for i in range(COPIES)]
    folder = Path(tempfile.mkdtemp())
    copies = [changed(rows.items[i], kind, folder / str(i), rng) for i, kind in enumerate(kinds)]
    both = Dataset([*rows.items, *copies], task.modality)
    both, sight = extract_all(both, load_backbones("auto", task.modality))
    ids = duplicate_groups(both)
    alike = np.max([cosines(sight.items[name, at[0]]) for name, at in sight.depths.items()], axis=0)
    found = {(a, b) for a, b, _ in near_pairs(both, alike)}
    found |= {(a, b) for a in range(len(both)) for b in range(a + 1, len(both)) if ids[a] == ids[b]}
    shutil.rmtree(folder)
    planted = {(i, ROWS + i): kind for i, kind in enumerate(kinds)}
    missed = sorted(kind for pair, kind in planted.items() if pair not in found)
    return {
        "set": task.name,
        "modality": task.modality,
        "draw": draw,
        "planted": len(planted),
        "recalled": len(found & set(planted)),
        "found": len(found),
        "missed": " ".join(missed),
    }


def changed(item: Any, kind: str, place: Path, rng: np.random.Generator) -> Any:
    """A copy of an item; files are written to ``place`` with the suffix of their format."""
    if isinstance(item, str):
        return _changed_text(item, kind, rng)
    if kind == "exact":
        return Path(shutil.copy(item, place.with_suffix(item.suffix)))
    if item.suffix in (".wav", ".flac"):
        return _changed_sound(item, kind, place, rng)
    return _changed_picture(item, kind, place, rng)


def _changed_text(text: str, kind: str, rng: np.random.Generator) -> str:
    if kind == "case":
        return text.upper() if rng.random() < 0.5 else text.title()
    if kind == "punctuation":
        return re.sub(r"[^\w\s]", "", text) + str(rng.choice([".", "!", " ...", " ?!"]))
    words = text.split()
    gone = max(1, round(0.1 * len(words)))
    if kind == "cropped" and len(words) > 4:
        return " ".join(words[gone:] if rng.random() < 0.5 else words[:-gone])
    return text


def _changed_picture(file: Path, kind: str, place: Path, rng: np.random.Generator) -> Path:
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    if "cropped" in kind:  # to 85 to 97 % of each side
        sides = [round(side * rng.uniform(0.85, 0.97)) for side in picture.size]
        left, top = (int(rng.integers(0, side - kept + 1)) for side, kept in zip(picture.size, sides, strict=True))
        picture = picture.crop((left, top, left + sides[0], top + sides[1]))
    if kind == "resized":
        scale = rng.uniform(0.5, 0.9)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    low = "re-encoded" in kind
    out = place.with_suffix(".jpg" if low else ".png")
    picture.save(out, **({"quality": int(rng.integers(40, 75))} if low else {}))
    return out


def _changed_sound(file: Path, kind: str, place: Path, rng: np.random.Generator) -> Path:
    samples, rate = soundfile.read(file, dtype="float32")
    if kind == "cropped":
        start, end = (round(len(samples) * rng.uniform(0.02, 0.08)) for _ in range(2))
        samples = samples[start : len(samples) - end]
    if kind == "quieter":
        samples = samples * 0.3
    if kind == "resampled":
        samples, rate = soxr.resample(samples, rate, 11025), 11025
    if kind == "re-encoded":
        out = place.with_suffix(".ogg")
        packed = io.BytesIO()
        soundfile.write(packed, samples, rate, format="OGG", subtype="VORBIS")
        out.write_bytes(packed.getvalue())
        return out
    out = place.with_suffix(".wav")
    soundfile.write(out, samples, rate)
    return out


def table(rows: Sequence[Row]) -> str:
    """Recall and precision per set and modality."""
    lines = ["set / modality  draws  recall  precision  missed"]
    for keys in (("set",), ("modality",)):
        for (name,), some in cells(rows, *keys).items():
            recalled = mean(some, "recalled")
            missed = " ".join(str(row["missed"]) for row in some).split()
            lines.append(
                f"{name:<14}{len(some):>7}{recalled / mean(some, 'planted'):>8.3f}"
                f"{recalled / max(mean(some, 'found'), 1e-9):>11.3f}  "
                + ", ".join(f"{missed.count(word)} {word}" for word in dict.fromkeys(missed))
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
