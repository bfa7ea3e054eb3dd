"""Items whose parts are answered as the numbers that a graph reads, and what it answers to their words or moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.frames import Cuts
from handful.backbones.graph_items import check_entry, tokenisers
from handful.backbones.parts import FRAMES, TOKENS
from handful.data.sentences import bounds_of
from handful.data.sounds import load_sound
from handful.data.tracks import moments
from handful.errors import DataError
from handful.export.onnx.windows import TOGETHER, Feed, Windows, joined_feeds, windows_of_sound, windows_of_text
from handful.features.moments import length_of, moments_of, pieces_of
from handful.features.word_forms import forms_of

_JOINED = {"window": str, "cell": str, "first": str, "end": str}
_KEYS: Mapping[str, Mapping[str, type]] = {
    TOKENS: {"ids": str, "mask": str, "tokenizer": str, "prefix": str, "most_tokens": int, "pad": int, "forms": str},
    FRAMES: {"waves": str, "lengths": str, "rate": int, "cuts": dict},
}
# Samples and frames of a stretch at most, that are believed.
_SAMPLES, _FRAMES = 10_000_000, 100_000


class PartReader:
    """What turns the words of texts, or the moments of recordings, into the arrays of a graph."""

    def __init__(self, grain: str, entries: Sequence[Mapping[str, Any]], files: Mapping[str, str]) -> None:
        """Read the preparation of each input.

        Args:
            grain: tokens or frames.
            entries: what ``graphs.Preparation`` says, one for each backbone.
            files: file name → content, of the tokenizers.

        Raises:
            ValueError: an entry is none.
            KeyError: a tokenizer is not there.
        """
        self.grain, self.entries = grain, entries
        for entry in entries:
            check_entry(entry, {**_JOINED, **_KEYS[grain]})
        if grain == FRAMES:
            for entry in entries:
                check_cuts(entry["cuts"])
        self._tokenise = tokenisers(entries if grain == TOKENS else (), files)

    def feeds(self, item: Any) -> Iterator[Feed]:
        """The arrays of the words or moments of an item, some at a time, in their order.

        Raises:
            DataError: it cannot be decoded.
        """
        if self.grain == FRAMES:
            for piece in pieces_of(item):
                sounds = self._sounds(piece)
                yield from joined_feeds(self.entries, sounds, moments(length_of(piece)), TOGETHER[FRAMES])
            return
        texts = [windows_of_text(e, own, item) for e, own in zip(self.entries, self._tokenise, strict=True)]
        yield from joined_feeds(self.entries, texts, bounds_of(item), TOGETHER[TOKENS], forms_of(item))

    def _sounds(self, piece: Any) -> list[Windows]:
        sound = load_sound(piece, self.entries[0]["rate"])
        return [windows_of_sound(entry, sound) for entry in self.entries]

    def answered(
        self, graph: Callable[[Feed], NDArray[np.float64]], items: Sequence[Any], width: int
    ) -> tuple[NDArray[np.float64], dict[int, str]]:
        """What a graph says of the P parts of N items, (P, K), and position → why one could not be read.

        Args:
            graph: arrays → (W, K).
            items: N items.
            width: K.
        """
        rows, failed = [np.zeros((0, width))], dict[int, str]()
        for i, item in enumerate(items):
            try:
                rows += [graph(feed) for feed in self.feeds(item)]
            except DataError as error:
                failed[i] = str(error).rstrip(".")
                rows.append(np.zeros((len(moments_of(item)), width)))
        return np.concatenate(rows), failed


def check_cuts(said: Mapping[str, Any]) -> None:
    """Refuse what cannot be how a sound is cut.

    Args:
        said: what a file says.

    Raises:
        ValueError: it says nothing of the kind, or names a size that no machine can hold.
    """
    try:
        cuts = Cuts(**said)
        sizes = {"step": _SAMPLES, "seen": _FRAMES, "before": _FRAMES, "after": _SAMPLES}
        fits = all(
            type(getattr(cuts, name)) is int and 0 <= getattr(cuts, name) <= most for name, most in sizes.items()
        )
    except TypeError as error:
        raise ValueError(f"stretches of sounds must have {', '.join(Cuts.__dataclass_fields__)}") from error
    if not fits or not cuts.step or cuts.seen <= 2 * (cuts.margin or 0):
        raise ValueError("stretches of sounds must have sizes above 0 that a machine can hold")
