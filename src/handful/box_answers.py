"""What a model of boxes says of whole sources, streamed: the boxes in each picture, and how many there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from handful.data.framed import SIDE, framed
from handful.data.streams import Source, stream
from handful.detection import map_name
from handful.export.finder import Counted, Finder
from handful.prediction import Answers, check_column, nothing_answered

CHUNK = 4
"""Pictures that are answered before any of them is written."""


def box_answers(
    model: Finder,
    source: Source,
    input: str | None = None,  # noqa: A002
    tick: Callable[[int], None] = lambda done: None,
    maps: Path | None = None,
) -> Iterator[Answers]:
    """What is said of every row of a source, a chunk at a time, in the order of the source.

    Beside the boxes stands how many there are, and of several labels how many of each.

    Args:
        model: the model of boxes.
        source: what ``prediction.answers`` takes.
        input: the column that holds the pictures.
        tick: called with the number of rows just answered.
        maps: a folder that is there, for every picture with its boxes as a PNG; None for none.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source.
    """
    if input:
        check_column(source, input)
    some = False
    for chunk in stream(source, modality=model.modality, input=input or model.input, chunk=CHUNK):
        failed = {i: chunk.failed[row] for i, row in enumerate(chunk.rows) if row in chunk.failed}
        pictures = [Counted()] * len(chunk.rows)
        readable = chunk.readable
        for i, one in zip(readable, model.finds([chunk.items[i] for i in readable]), strict=True):
            pictures[i] = one
            if one.failed:
                failed[i] = one.failed
            elif maps is not None:
                file = maps / map_name(chunk.rows[i], chunk.names[i])
                file.write_bytes(framed(chunk.items[i], one.boxes, model.names, SIDE))
        some = some or len(failed) < len(chunk.rows)
        counts = np.array([one.counts(model.names) for one in pictures])  # (B, C)
        beside = {"count": [str(count) for count in counts.sum(1).tolist()]}
        if len(model.names) > 1:
            beside |= {f"count {name}": list(map(str, counts[:, c].tolist())) for c, name in enumerate(model.names)}
        values = [one.values for one in pictures]
        words = [json.dumps(each, ensure_ascii=False) for each in values]
        sure = np.array([min(one.confidence, default=1.0) for one in pictures])
        yield Answers(chunk, counts.astype(np.float64), words, sure, failed, beside=beside, values=values)
        tick(len(chunk.rows))
    if not some:
        raise nothing_answered(source)
