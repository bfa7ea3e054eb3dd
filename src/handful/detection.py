"""What a detector says of whole sources, streamed: what each item is called, how unusual it is, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from handful.data.heat import heat_map
from handful.data.streams import Source, stream
from handful.errors import OptionError
from handful.export.detector import Detector, Seen
from handful.prediction import Answers, check_column, nothing_answered

CHUNK = 16
"""Items that are looked at before any of them is written."""

# Pixels of the longer side of a heat map.
_SIDE = 1024
# Letters of the name of a file that the name of its heat map keeps.
_NAMED = 80


def detections(
    model: Detector,
    source: Source,
    input: str | None = None,  # noqa: A002
    tick: Callable[[int], None] = lambda done: None,
    maps: Path | None = None,
) -> Iterator[Answers]:
    """What is said of every row of a source, a chunk at a time, in the order of the source.

    Args:
        model: the detector.
        source: what ``prediction.answers`` takes.
        input: the column that holds the items; the one used in training by default.
        tick: called with the number of rows just looked at.
        maps: a folder that is there, for one picture per row with what is unusual in it coloured; None for none.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source, or maps are asked for of what is no picture.
    """
    if maps is not None and model.modality != "image":
        raise OptionError(f"--maps draws on pictures, got a model of {model.modality}s. Leave it out.")
    if input:
        check_column(source, input)
    some = False
    for chunk in stream(source, modality=model.modality, input=input or model.input, chunk=CHUNK):
        readable = chunk.readable
        failed = {i: chunk.failed[row] for i, row in enumerate(chunk.rows) if row in chunk.failed}
        scores = np.zeros(len(chunk.rows))
        for i, one in zip(readable, model.look([chunk.items[i] for i in readable]), strict=True):
            scores[i] = one.score
            if one.failed:
                failed[i] = one.failed
            elif maps is not None:
                _draw(model, chunk.items[i], one, maps / map_name(chunk.rows[i], chunk.names[i]))
        some = some or len(failed) < len(chunk.rows)
        yield Answers(
            chunk, scores[:, None], model.words(scores), np.abs(scores - model.promise.threshold), failed,
            beside={"score": [f"{score:.4f}" for score in scores.tolist()]},
        )  # fmt: skip
        tick(len(chunk.rows))
    if not some:
        raise nothing_answered(source)


def map_name(row: int, name: str) -> str:
    """What the heat map of a row is called: its number, so that no two are the same, and the name of its file."""
    plain = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in Path(name).stem)[:_NAMED]
    return f"{row:06d}_{plain or 'item'}.png"


def _draw(model: Detector, item: object, seen: Seen, file: Path) -> None:
    """Write the heat map of a picture."""
    file.write_bytes(heat_map(item, seen.heat, seen.place, model.normality.hot, _SIDE, "PNG"))
