"""Items as the numbers that a graph reads, by the preparation that lies beside it as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from handful.backbones.image import square
from handful.backbones.text import FastTokeniser, fast_tokeniser
from handful.data.pairs import Pair
from handful.data.sounds import load_sound

Feed = dict[str, NDArray[Any]]

_KEYS: Mapping[str, Mapping[str, type]] = {
    "text": {"ids": str, "mask": str, "side": int, "tokenizer": str, "prefix": str, "most_tokens": int, "pad": int},
    "image": {"pixels": str, "side": int},
    "sound": {"waves": str, "lengths": str, "rate": int, "seconds": float},
}

# The largest sizes that are believed: of a picture, of a text, and of a sound.
_SIDE, _TOKENS, _RATE, _SECONDS = 4_096, 100_000, 192_000, 3_600.0


class ItemReader:
    """What turns items into the arrays of a graph."""

    def __init__(self, modality: str, entries: Sequence[Mapping[str, Any]], files: Mapping[str, str]) -> None:
        """Read the preparation of each input.

        Args:
            modality: text, image or sound.
            entries: what ``graphs.Preparation`` says, one for each input.
            files: file name → content, of the tokenizers.

        Raises:
            ValueError: an entry is none.
            KeyError: a tokenizer is not there.
        """
        self.modality, self.entries = modality, entries
        for entry in entries:
            check_entry(entry, _KEYS[modality])
        self._tokenise = tokenisers(entries if modality == "text" else (), files)

    def feed(self, items: Sequence[Any]) -> Feed:
        """The arrays of N items.

        Raises:
            DataError: an item cannot be decoded; the message names it.
        """
        if self.modality == "image":
            return {e["pixels"]: np.stack([square(item, e["side"]) for item in items]) for e in self.entries}
        return self._texts(items) if self.modality == "text" else self._sounds(items)

    def _texts(self, items: Sequence[Any]) -> Feed:
        feed: Feed = {}
        for entry, tokenise in zip(self.entries, self._tokenise, strict=True):
            tokens = tokenise([_side(item, entry["side"]) for item in items])
            ids = np.full((len(items), max([1, *map(len, tokens)])), entry["pad"], np.int64)
            mask = np.zeros(ids.shape, np.float32)
            for row, own in enumerate(tokens):
                ids[row, : len(own)], mask[row, : len(own)] = own, 1
            feed |= {entry["ids"]: ids, entry["mask"]: mask}
        return feed

    def _sounds(self, items: Sequence[Any]) -> Feed:
        longest, rate = max(e["seconds"] for e in self.entries), self.entries[0]["rate"]
        sounds = [load_sound(item, rate, longest) for item in items]
        waves = np.zeros((len(sounds), max(map(len, sounds))), np.float32)
        for row, sound in enumerate(sounds):
            waves[row, : len(sound)] = sound
        lengths = np.array([len(sound) for sound in sounds], np.int64)
        return {name: x for e in self.entries for name, x in ((e["waves"], waves), (e["lengths"], lengths))}


def tokenisers(entries: Sequence[Mapping[str, Any]], files: Mapping[str, str]) -> list[FastTokeniser]:
    """What turns texts into ids for each input of a graph.

    Args:
        entries: of texts.
        files: file name → content.

    Raises:
        ValueError: a file holds no tokenizer.
        KeyError: it is not there.
    """
    return [fast_tokeniser(_tokenizer(files[e["tokenizer"]]), e["most_tokens"], e["prefix"]) for e in entries]


def _side(item: Any, side: int) -> str:
    """A text, or one of two."""
    if isinstance(item, Pair):
        return item.second if side else item.first
    return str(item)


def check_entry(entry: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    """Refuse a preparation that is none.

    Args:
        entry: what a file says.
        kinds: key → the type of its value.

    Raises:
        ValueError: it lacks one, or names a size that no machine can hold.
    """
    if not isinstance(entry, Mapping) or any(type(entry.get(name)) is not kind for name, kind in kinds.items()):
        raise ValueError(f"a preparation must have {', '.join(kinds)}")
    sizes = {"side": _SIDE, "most_tokens": _TOKENS, "rate": _RATE, "seconds": _SECONDS}
    if any(not (0 if name == "side" else 1e-9) <= entry[name] <= most for name, most in sizes.items() if name in entry):
        raise ValueError("a preparation must have sizes above 0 that a machine can hold")


def _tokenizer(text: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library has no type of its own for what holds no tokenizer
        raise ValueError(f"it holds no tokenizer ({error})") from error
