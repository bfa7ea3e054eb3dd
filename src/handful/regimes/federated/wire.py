"""What goes over the wire: tensors and a few facts as one body, checked before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from handful.errors import DataError, HandfulError
from handful.readback import damage_is, plain_json
from handful.regimes.federated.heads import Maps
from handful.regimes.federated.sums import Floats, Sums
from handful.regimes.federated.terms import Terms
from handful.regimes.federated.votes import Choice, Setting, Votes

MOST_CLASSES = 1000
"""More classes than this no site may have."""
_LONGEST = 200
"""Letters of the name of a class."""
_FACTS = "facts"
_SUMS = ("counts", "totals")
# Eigenvalues below this share of the largest are rounding.
_TINY = 1e-14


def most_bytes(terms: Terms) -> int:
    """The largest body that a site can honestly send."""
    width = max(terms.width, 0 if terms.rounds is None else terms.rounds.width)
    products = width * (width + 1) // 2
    return 8 * terms.folds * (products + MOST_CLASSES * (width + 1)) + 1_000_000


def pack_sums(sums: Sums) -> bytes:
    """Sums as one body.

    Products of fewer rows than columns are sent as their root, of which they are the products again: the same said in
    fewer numbers, and nothing but a function of the products.
    """
    tensors: dict[str, NDArray[Any]] = {"counts": sums.counts, "totals": sums.totals}
    if sums.grams is not None:
        for fold, gram in enumerate(sums.grams):
            tensors[f"products{fold}"] = _packed_products(gram)
    return body_of(tensors, {"classes": list(sums.names)})


def unpack_sums(body: bytes, terms: Terms) -> Sums:
    """Read sums that a site sent.

    Raises:
        DataError: they are of other shapes or kinds than the terms ask for.
    """
    with damage_is(unread, SafetensorError):
        tensors, facts = opened(body)
        names = _names(facts)
        private = terms.epsilon is not None
        if private and names != terms.classes:
            raise DataError("its classes must be those that were named beforehand, got others")
        folds, width = 1 if private else terms.folds, terms.width
        expected = {*_SUMS, *(() if private else (f"products{fold}" for fold in range(folds)))}
        if set(tensors) != expected:
            raise DataError(
                f"it must send {', '.join(sorted(expected))}, got {', '.join(sorted(tensors)) or 'nothing'}"
            )
        require(tensors, {"counts": (folds, len(names)), "totals": (folds, len(names), width)})
        grams = None if private else np.stack([_products(tensors[f"products{fold}"], width) for fold in range(folds)])
        return Sums(names, tensors["counts"], tensors["totals"], grams)


def pack_maps(maps: Sequence[Maps], names: Sequence[str]) -> bytes:
    """The maps of K folds as one body, in float32, which is what answers are made with."""
    coef = np.stack([own.coef for own in maps]).astype(np.float32)
    intercept = np.stack([own.intercept for own in maps]).astype(np.float32)
    return body_of({"coef": coef, "intercept": intercept}, {"classes": list(names)})


def unpack_maps(body: bytes, terms: Terms) -> tuple[list[Maps], tuple[str, ...]]:
    """Read the maps of all folds and the classes of all sites.

    Raises:
        DataError: they are of other shapes or kinds than the terms say.
    """
    with damage_is(unread, SafetensorError):
        tensors, facts = opened(body)
        names = _names(facts)
        folds, penalties = shape_of(terms)
        coef, intercept = tensors["coef"], tensors["intercept"]
        require(
            tensors,
            {"coef": (folds, penalties, terms.width, len(names)), "intercept": (folds, penalties, len(names))},
            np.float32,
        )
        require_finite({"coef": coef, "intercept": intercept})
        return [
            Maps(one.astype(np.float64), two.astype(np.float64)) for one, two in zip(coef, intercept, strict=True)
        ], names


def shape_of(terms: Terms) -> tuple[int, int]:
    """How many folds and penalties maps are fitted for; with noise one of each."""
    return (1, 1) if terms.epsilon is not None else (terms.folds, len(terms.penalties))


def pack_votes(votes: Votes) -> bytes:
    """Votes as one body."""
    names = ("rows", "independent", "losses", "leads", "right")
    return body_of(dict(zip(names, votes.parts, strict=True)), {})


def unpack_votes(body: bytes, terms: Terms, factors: int) -> Votes:
    """Read votes that a site sent.

    Args:
        body: what came.
        terms: what was asked.
        factors: how many values of sharpness are tried, P.

    Raises:
        DataError: they are of other shapes or kinds than the terms ask for.
    """
    folds, penalties = shape_of(terms)
    with damage_is(unread, SafetensorError):
        tensors, _ = opened(body)
        shapes = {
            "rows": (folds,), "independent": (folds,), "losses": (folds, penalties, factors),
            "leads": (folds, penalties), "right": (folds, penalties),
        }  # fmt: skip
        require(tensors, shapes)
        return Votes(*(tensors[name] for name in shapes))


def pack_settings(settings: Sequence[Setting]) -> Floats:
    """What was taken for each of K folds, as (K, 2)."""
    return np.array([[setting.penalty, setting.sharpness] for setting in settings])


def unpack_settings(values: NDArray[Any], terms: Terms) -> tuple[Setting, ...]:
    """Read back what ``pack_settings`` gave.

    Raises:
        DataError: it is nothing of the kind.
    """
    folds, penalties = shape_of(terms)
    require({"by_fold": values}, {"by_fold": (folds, 2)})
    require_finite({"by_fold": values})
    if not (np.isin(values[:, 0], np.arange(penalties)).all() and (values[:, 1] > 0).all()):
        raise DataError("its choices must be of the penalties that were tried, got others")
    return tuple(Setting(int(penalty), float(sharp)) for penalty, sharp in values)


def pack_model(
    coef: Floats, intercept: Floats, names: Sequence[str], choice: Choice, facts: Mapping[str, Any],
    moved: Sequence[bool] = (),
) -> bytes:  # fmt: skip
    """The model, and by which choices of all sites it was made.

    Args:
        coef: (D, C), sharpened.
        intercept: (C,).
        names: C classes.
        choice: what was taken.
        facts: what was measured, as plain values.
        moved: for each fold, and last for the model itself, whether it reads weights that moved; empty: none did.
    """
    tensors: dict[str, NDArray[Any]] = {"coef": coef.astype(np.float32), "intercept": intercept.astype(np.float32)}
    tensors["by_fold"] = pack_settings(choice.by_fold)
    return body_of(tensors, {"classes": list(names), "measured": dict(facts), "moved": [bool(one) for one in moved]})


class Model:
    """The model as a site receives it."""

    def __init__(self, body: bytes, terms: Terms) -> None:
        """Read it.

        Raises:
            DataError: it is of other shapes or kinds than the terms say.
        """
        with damage_is(unread, SafetensorError):
            tensors, facts = opened(body)
            self.names = _names(facts)
            self.by_fold = unpack_settings(tensors.pop("by_fold"), terms)
            self.moved = tuple(bool(one) for one in facts["moved"])
            if len(self.moved) != (0 if terms.rounds is None else terms.folds + 1):
                raise DataError("it must say of every fold whether weights moved for it, got something else")
            width = terms.of_moved.width if self.reads_moved else terms.width
            require(tensors, {"coef": (width, len(self.names)), "intercept": (len(self.names),)}, np.float32)
            require_finite(tensors)
            self.coef, self.intercept = tensors["coef"], tensors["intercept"]
            measured = facts.get("measured")
            self.measured: dict[str, Any] = measured if isinstance(measured, dict) else {}

    @property
    def remarks(self) -> list[str]:
        """What is to be known of it, a sentence each."""
        said = self.measured.get("remarks")
        return [str(one) for one in said] if isinstance(said, list) else []

    @property
    def reads_moved(self) -> bool:
        """Whether it reads weights that moved."""
        return bool(self.moved and self.moved[-1])


def _packed_products(gram: Floats) -> Floats:
    """(D, D) symmetric → its upper triangle as (T,), or (R, D) of which it is the product, whichever is smaller."""
    width = len(gram)
    values, axes = np.linalg.eigh(gram)
    wide = values > _TINY * max(values[-1], 1.0)
    if int(wide.sum()) * width < width * (width + 1) // 2:
        return np.ascontiguousarray((axes[:, wide] * np.sqrt(values[wide])).T)
    return gram[np.triu_indices(width)]


def _products(packed: NDArray[Any], width: int) -> Floats:
    """What ``_packed_products`` was given. (T,) or (R, D) → (D, D).

    Raises:
        DataError: it is neither.
    """
    if packed.dtype != np.float64:
        raise DataError(f"its products must be float64, got {packed.dtype.name}")
    if packed.ndim == 2 and packed.shape[1] == width and len(packed) <= width:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by whoever reads it
            return np.asarray(packed.T @ packed)
    if packed.shape != (width * (width + 1) // 2,):
        raise DataError(f"its products must be of features {width} wide, got numbers of shape {packed.shape}")
    gram = np.zeros((width, width))
    gram[np.triu_indices(width)] = packed
    return np.asarray(gram + np.triu(gram, 1).T)


def body_of(tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> bytes:
    """Tensors and facts as one body."""
    body: bytes = save({name: np.ascontiguousarray(one) for name, one in tensors.items()} | _as_tensor(facts))
    return body


def _as_tensor(facts: Mapping[str, Any]) -> dict[str, NDArray[np.uint8]]:
    return {_FACTS: np.frombuffer(json.dumps(dict(facts)).encode(), np.uint8)}


def opened(body: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What ``body_of`` was given; whatever else raises one of ``readback.FAILURES`` or SafetensorError.

    Raises:
        DataError: its facts have no names.
    """
    tensors = load(body)
    facts = plain_json(tensors.pop(_FACTS).tobytes())
    if not isinstance(facts, dict):
        raise DataError("its facts must be named, got others")
    return tensors, facts


def _names(facts: Mapping[str, Any]) -> tuple[str, ...]:
    names = facts["classes"]
    fine = isinstance(names, list) and all(isinstance(name, str) and 0 < len(name) <= _LONGEST for name in names)
    if not fine or not 0 < len(names) <= MOST_CLASSES or len(set(names)) != len(names):
        raise DataError(f"its classes must be 1 to {MOST_CLASSES} different names, got something else")
    return tuple(names)


def require(
    tensors: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]], kind: type[np.floating] = np.float64
) -> None:
    """Refuse tensors of other shapes or kinds, by name.

    Raises:
        DataError: one is missing, or of another shape or kind.
    """
    for name, shape in shapes.items():
        found = tensors.get(name)
        if found is None or found.shape != shape or found.dtype != kind:
            got = "nothing" if found is None else f"{found.dtype.name} of shape {found.shape}"
            raise DataError(f"its {name} must be {np.dtype(kind).name} of shape {shape}, got {got}")


def require_finite(tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse NaN and infinity, by name. Raises DataError."""
    for name, found in tensors.items():
        if not np.isfinite(found).all():
            raise DataError(f"its {name} must be finite numbers, got NaN or infinity")


def unread(why: str) -> HandfulError:
    """What is said of a body that is none."""
    return DataError(f"what it sent cannot be read: {why}")
