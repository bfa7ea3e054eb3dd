"""Specimens: a few public items, the same for every model, by which a loaded model shows that it is the saved one.

They are made by formula, of whole numbers alone, so that they are the same on every machine. What a model sees in them
is kept when it is saved, and compared when its backbone is first loaded: from the first layer to the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.backbones.language import LanguageBackbone
from handful.backbones.vectors import Vectors
from handful.data.conversations import Conversation, Message
from handful.data.vectors import Vector
from handful.errors import BundleError
from handful.features.extract import extract
from handful.features.view import Matrix, View, unit_rows

APART = 0.02
"""How far what is seen may be from what was seen, both scaled to length one: machines round differently."""

APART_TOKEN = 0.01
"""How far the loss of an answer may be from what it was, in nats per token."""

_TEXTS = (
    "The parcel came late, and one cup was broken.",
    "Please cancel order 7301 and send the money back!",
    "no",
)

_SIDE = 96
_RATE = 16_000

_QUESTION, _ANSWER = "Count from one to five.", "One, two, three, four, five."


def items_of(modality: str) -> list[Any]:
    """The items of a modality: texts, pictures as arrays, or sounds as samples and their rate."""
    return {"text": _texts, "image": _pictures, "sound": _sounds}[modality]()


def _texts() -> list[Any]:
    return list(_TEXTS)


def _pictures() -> list[Any]:
    """Squares and rings, each channel its own way, (96, 96, 3) of whole numbers from 0 to 255."""
    y, x = np.mgrid[:_SIDE, :_SIDE]
    squares = (255 * ((x // 12 + y // 12) % 2), 200 * ((x // 24) % 2), 90 + 0 * x)
    rings = (((x - 48) ** 2 + (y - 48) ** 2) // 8, (x - 20) ** 2 // 4, (y - 70) ** 2 // 4)
    return [np.stack(channels, axis=2).astype(np.uint8) for channels in (squares, rings)]


def _sounds() -> list[Any]:
    """A tone with overtones that rises, a second long, with a beat; 16-bit samples."""
    at = np.arange(_RATE, dtype=np.int64)
    loud = 1 + at % 4000 // 400  # ten steps, four times a second
    rising = ((at * at // 40 + at * 150) % _RATE - _RATE // 2) * loud // 8
    return [(rising.astype(np.int16), _RATE)]


def _vectors(width: int) -> list[Any]:
    """A row of zeros, and one of small whole numbers."""
    return [Vector(np.zeros(width)), Vector((np.arange(width) % 7).astype(np.float64))]


def loss_of(backbone: LanguageBackbone) -> float:
    """The loss of the public answer to the public question, in nats per token."""
    asked = backbone.chat.tokens(Conversation((Message("user", _QUESTION),), _ANSWER), backbone.context)
    total, count = backbone.losses([asked])
    return float(total[0] / max(1, count[0]))


def alike_loss(loss: float, before: float) -> bool:
    """Whether the loss is what it was when the model was saved, but for rounding."""
    return abs(loss - before) <= APART_TOKEN


def seen_by(backbone: Backbone, depths: Sequence[int], own: Sequence[Any] = ()) -> list[Matrix]:
    """What a backbone sees in the specimens of its modality, (S, D) at each depth; zeros where it fails.

    Args:
        backbone: whose eyes are tested.
        depths: where it is read.
        own: further items, which a model brings of its own.
    """
    public = _vectors(len(backbone.centre)) if isinstance(backbone, Vectors) else items_of(backbone.modality)
    seen = extract(backbone, [*public, *own], depths).matrices
    return [seen[depth] for depth in depths]


def alike(seen: Matrix, before: Matrix) -> bool:
    """Whether what is seen is what was seen, but for rounding.

    Args:
        seen: (S, D) now.
        before: (S, D) when the model was saved, rows of length one.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # changed weights may give huge numbers, which are not alike
        return seen.shape == before.shape and bool((np.linalg.norm(unit_rows(seen) - before, axis=1) <= APART).all())


def check_alike(seen: Sequence[Matrix], before: Sequence[Matrix], name: str, moved: bool) -> None:
    """Refuse a backbone that sees something else than when the model was saved.

    Args:
        seen: (S, D) at each depth now.
        before: the same when the model was saved, rows of length one.
        name: of the backbone.
        moved: whether some of its weights moved.

    Raises:
        BundleError: it does.
    """
    if not all(map(alike, seen, before)):
        raise BundleError(
            f"backbone {name!r}{' with the weights that moved' if moved else ''} must see in a few test items what it "
            "saw when the model was saved, got something else: its weights were changed, or this machine counts "
            "differently. Restore the model or tune again."
        )


def by_part(
    view: View, loaded: Mapping[str, Backbone], items: Sequence[Any], kept: tuple[NDArray[np.float32], ...]
) -> tuple[NDArray[np.float32], ...]:
    """What each part of a view sees in the specimens, (S, D) each with rows of length one.

    Args:
        view: what is read.
        loaded: the backbones in memory, by their names in the view.
        items: training items that travel with the model.
        kept: what was read with the model: the answer where the backbones are not in memory.
    """
    if not all(name in loaded for name in view.backbones):
        return kept
    return tuple(unit_rows(seen_by(loaded[name], [depth], items)[0]) for name, depth in view.parts)
