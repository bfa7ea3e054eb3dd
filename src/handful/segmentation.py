"""What a model of masks says of whole sources, streamed: how much of each class is in a picture, and its mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from handful.data.mask_files import written
from handful.data.streams import Source, stream
from handful.detection import map_name
from handful.export.segmenter import Segmenter
from handful.prediction import Answers, check_column, nothing_answered

CHUNK = 4
"""Pictures that are answered before any of them is written."""

NO_FILE = ""
"""Stands in place of the name of a mask where none was written."""


def segmentations(
    model: Segmenter,
    source: Source,
    input: str | None = None,  # noqa: A002
    tick: Callable[[int], None] = lambda done: None,
    masks: Path | None = None,
) -> Iterator[Answers]:
    """What is said of every row of a source, a chunk at a time, in the order of the source.

    Args:
        model: the model of masks.
        source: what ``prediction.answers`` takes.
        input: the column that holds the pictures.
        tick: called with the number of rows just answered.
        masks: a folder that is there, for the mask of every picture as a PNG of its size; None for none.

    Raises:
        DataError: the source cannot be read, or none of its rows.
        OptionError: ``input`` is named and is no column of the source.
    """
    if input:
        check_column(source, input)
    some, count = False, len(model.names)
    for chunk in stream(source, modality=model.modality, input=input or model.input, chunk=CHUNK):
        failed = {i: chunk.failed[row] for i, row in enumerate(chunk.rows) if row in chunk.failed}
        shares, sure = np.full((len(chunk.rows), count), 1 / count), np.zeros(len(chunk.rows))
        files = [NO_FILE] * len(chunk.rows)
        readable = chunk.readable
        for i, one in zip(readable, model.segments([chunk.items[i] for i in readable]), strict=True):
            if one.failed:
                failed[i] = one.failed
                continue
            shares[i], sure[i] = one.shares(count), one.confidence
            if masks is not None:
                files[i] = map_name(chunk.rows[i], chunk.names[i])
                written(one.classes, model.names).save(masks / files[i])
        some = some or len(failed) < len(chunk.rows)
        beside = {"confidence": [f"{each:.4f}" for each in sure.tolist()]}
        if masks is not None:
            beside["mask"] = files
        yield Answers(chunk, shares, model.words(shares), sure, failed, beside=beside)
        tick(len(chunk.rows))
    if not some:
        raise nothing_answered(source)
