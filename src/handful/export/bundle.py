"""The Bundle: a model as data, saved without pickle, checked before anything is built from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from handful.atomic import replaced_folder
from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.data.dataset import MODALITIES
from handful.data.items import make_items
from handful.errors import BundleError, DataError, OptionError
from handful.evaluation.calibration import probabilities
from handful.export import carried
from handful.features.cache import FeatureCache
from handful.features.extract import extract
from handful.features.view import MOVED, View, unit_rows

FORMAT = 3
"""Version of the files of a bundle; a reader refuses what is newer than itself."""

WITNESSES = 8
"""How many training rows a bundle keeps the features of, to test itself with when it is loaded."""

_WEIGHTS = "head.safetensors"
_RECORD = "bundle.json"
_MOVED = "moved.safetensors"
_PARTS = (_RECORD, _WEIGHTS, _MOVED, carried.FOLDER, "README.md")
# The self-test repeats a product of float32 numbers, perhaps on another machine.
_CLOSE = 1e-4


@dataclass(frozen=True)
class Moved:
    """The weights that moved."""

    tuner: str
    """Which tuner puts them in their place."""
    first: int
    """How many blocks at the bottom stayed as they were."""
    delta: dict[str, NDArray[np.float32]]
    """The weights by name."""


@dataclass
class Bundle:
    """A fitted model: backbones and one linear head on what they see.

    ``C`` classes, ``D`` width of the view.
    """

    modality: str
    """text, image or sound."""
    labels: tuple[str, ...]
    """C class names, sorted."""
    view: View
    """Which backbones are read, at which depth."""
    fingerprints: dict[str, str]
    """Backbone name → fingerprint of the weights that the head was fitted on."""
    head: str
    """Name of the strategy that made the head."""
    coef: NDArray[np.float32]
    """(D, C)."""
    intercept: NDArray[np.float32]
    """(C,); the softmax of the scores is calibrated."""
    input: str | None = None
    """The column that held the input in training; looked for first when predicting from a table."""
    witness: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(W, D) a few training features; loading recomputes their probabilities and compares."""
    loaded: dict[str, Backbone] = field(default_factory=dict, repr=False)
    """Backbones in memory, by their name in the view; the others are loaded when they are needed."""
    moved: Moved | None = None
    """What moved in the backbone whose name ends with ``MOVED``; None where all are frozen."""
    carried: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Backbone name → file within the bundle → its hash, for backbones whose files lie in the bundle."""
    place: Path | None = None
    """The folder that the bundle was read from."""

    @property
    def backbones(self) -> tuple[tuple[str, int], ...]:
        """Pairs of backbone name and depth."""
        return self.view.parts

    def probabilities_of(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities from features of the view. (N, D) → (N, C), rows sum to 1."""
        return probabilities(unit_rows(features) @ self.coef + self.intercept, 1.0)

    def predict_proba(self, items: Sequence[Any]) -> NDArray[np.float64]:
        """Calibrated probabilities of items. N items → (N, C), columns in the order of ``labels``.

        Raises:
            DataError: an item cannot be read.
            WeightsError: a backbone is not there and cannot be fetched.
            BundleError: a backbone is not the one that the head was fitted on.
        """
        if isinstance(items, str | Path):
            raise DataError(f"predict needs a list of items, got one {type(items).__name__}. Wrap it: [item].")
        values, failed = make_items(list(items), self.modality, None)
        proba = np.zeros((0, len(self.labels)))
        if not failed:
            proba, failed = self.answer(values)
        if failed:
            at = min(failed)
            name = values[at] if isinstance(values[at], Path) else f"item {at}"
            raise DataError(f"{name} cannot be read: {failed[at]}.")
        return proba

    def predict(self, items: Sequence[Any]) -> list[str]:
        """The most probable class of each item; raises as ``predict_proba``."""
        return [self.labels[i] for i in self.predict_proba(items).argmax(1)]

    def answer(
        self, items: Sequence[Any], cache: FeatureCache | None = None
    ) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Probabilities of what can be read, (N, C), and position → reason of what cannot."""
        failed: dict[int, str] = {}
        features = {}
        for name in self.view.backbones:
            seen = extract(self.backbone(name), items, self.view.depths_of(name), cache)
            features.update({(name, depth): matrix for depth, matrix in seen.matrices.items()})
            failed.update(seen.failed)
        if len(failed) == len(items):
            return np.zeros((len(items), len(self.labels))), failed
        matrix = self.view.matrix(features)
        if matrix.shape[1] != len(self.coef):
            raise BundleError(
                f"the features that the model reads must be {len(self.coef)} wide, but {self.view.name} gives "
                f"{matrix.shape[1]}. Restore the model or tune again."
            )
        return self.probabilities_of(matrix), failed

    def backbone(self, name: str) -> Backbone:
        """A backbone of the view, loaded when first asked for and compared with the one used in training."""
        if name not in self.loaded:
            if name.endswith(MOVED):
                found = self._with_moved(self.backbone(name.removesuffix(MOVED)))
            else:
                found = self._untouched(name)
            depths = range(len(found.blocks) + 1) if found.blocks else found.search_depths
            if any(depth not in depths for depth in self.view.depths_of(name)):
                raise BundleError(
                    f"the model reads {self.view.name}, but backbone {found.name!r} has no such depth. "
                    "Restore the model or tune again."
                )
            self.loaded[name] = found.to(default_device())
        return self.loaded[name]

    def _untouched(self, name: str) -> Backbone:
        try:
            files = self.carried.get(name)
            copy = None if files is None or self.place is None else carried.place_of(self.place, files)
            found = catalog.load(name, self.modality, place=copy)
        except OptionError as error:
            raise BundleError(f"backbone {name!r}, which the model was fitted on, cannot be loaded: {error}") from error
        if found.fingerprint != self.fingerprints[name]:
            raise BundleError(
                f"backbone {name!r} must be the one that the model was fitted on ({self.fingerprints[name]}), "
                f"got {found.fingerprint}. Tune again, or get the weights used then."
            )
        return found

    def _with_moved(self, backbone: Backbone) -> Backbone:
        assert self.moved is not None
        from handful.training.installation import installed  # a frozen model does without the training code

        try:
            return installed(backbone, self.moved.tuner, self.moved.first, self.moved.delta)
        except (KeyError, RuntimeError, IndexError, ValueError) as error:
            raise BundleError(
                f"the weights that moved do not fit into {backbone.name} ({error}). Restore the model or tune again."
            ) from error

    def save(self, folder: str | Path, card: str = "", merge: bool = False) -> None:
        """Write the bundle, read it back and compare, so that what was saved is what was scored.

        Args:
            folder: where; an earlier bundle there is replaced, any other folder is left alone.
            card: the model card, in Markdown.
            merge: put the backbones in as well, so that the folder is all that is needed.

        Raises:
            OptionError: the folder exists and is not a bundle.
            MachineError: the folder cannot be written, or the disk is full.
            BundleError: the copy read back is not what was written.
        """
        with replaced_folder(Path(folder), _PARTS) as target:
            self.write(target, card, merge)

    def write(self, folder: Path, card: str = "", merge: bool = False) -> None:
        """Write the files of the bundle into a folder that is there, and read them back.

        Raises:
            OSError: they cannot be written.
            BundleError: the copy read back is not what was written.
        """
        tensors = {"coef": self.coef, "intercept": self.intercept, "witness": self.witness}
        tensors["witness_proba"] = self.probabilities_of(self.witness).astype(np.float32)
        (folder / _WEIGHTS).write_bytes(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
        files = [_WEIGHTS]
        if self.moved is not None:
            files.append(_MOVED)
            (folder / _MOVED).write_bytes(save({k: np.ascontiguousarray(v) for k, v in self.moved.delta.items()}))
        names = list(self.fingerprints)
        record = {
            "format": FORMAT,
            "written_by": f"handful {_version()}",
            "task": f"{self.modality} classification",
            "modality": self.modality,
            "labels": list(self.labels),
            "input": self.input,
            "backbones": [self._part(name, depth) for name, depth in self.view.parts],
            "head": self.head,
            "moved": None if self.moved is None else {"tuner": self.moved.tuner, "first": self.moved.first},
            "carried": carried.carry(names, self.modality, folder) if merge else {},
            "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
        }
        record["sha256"] = _digest(record)
        (folder / _RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(card or f"# {record['task']}\n", encoding="utf-8")
        copy = Bundle.load(folder)
        if not np.array_equal(copy.coef, self.coef) or not np.array_equal(copy.intercept, self.intercept):
            raise BundleError("the model was read back differently from what was written. Save it again.")

    def _part(self, name: str, depth: int) -> dict[str, Any]:
        base, moved = name.removesuffix(MOVED), name.endswith(MOVED)
        return {"name": base, "depth": depth, "fingerprint": self.fingerprints[base], "moved": moved}

    @classmethod
    def load(cls, folder: str | Path) -> Bundle:
        """Read a bundle, checking version, hashes and shapes before anything is built.

        Args:
            folder: a bundle, or the run folder that holds one in ``model/``.

        Raises:
            BundleError: it is missing, changed, damaged or newer than this handful.
        """
        place = Path(folder)
        place = place / "model" if (place / "model" / _RECORD).exists() else place
        record = _record(place)
        labels = tuple(record["labels"])
        tensors = _tensors(place, record)
        view = View(tuple((b["name"] + MOVED * b["moved"], b["depth"]) for b in record["backbones"]))
        fingerprints = {str(b["name"]): str(b["fingerprint"]) for b in record["backbones"]}
        bundle = cls(
            record["modality"], labels, view, fingerprints, record["head"],
            tensors["coef"], tensors["intercept"], record["input"], tensors["witness"],
            moved=_moved(place, record), carried=record["carried"], place=place,
        )  # fmt: skip
        if not np.allclose(bundle.probabilities_of(bundle.witness), tensors["witness_proba"], atol=_CLOSE):
            raise BundleError(f"{place} does not reproduce its own test answers. Restore or tune it again.")
        return bundle


def _version() -> str:
    from importlib.metadata import version

    return version("handful")


def _record(place: Path) -> dict[str, Any]:
    file = place / _RECORD
    if not file.is_file():
        raise BundleError(
            f"{place} must be a run folder or its model folder, but there is no {_RECORD} in it. "
            "Name the folder that `handful tune` wrote."
        )
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        version = record["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read ({error}). Restore it or tune again.") from error
    if version != FORMAT:
        raise BundleError(
            f"{file} must have format {FORMAT}, got {version} ({record.get('written_by', 'unknown writer')}). "
            "Update handful, or tune again with this version."
        )
    if record.pop("sha256", None) != _digest(record):
        raise BundleError(f"{file} was changed after it was written: its hash differs. Restore it or tune again.")
    wrong = [name for name, holds in _ENTRIES.items() if not holds(record.get(name))]
    if wrong:
        raise BundleError(f"{file} has a missing or wrong entry ({', '.join(wrong)}). Restore it or tune again.")
    return {"input": None, "moved": None, **record}


def _digest(record: dict[str, Any]) -> str:
    """The hash of all entries, in any order."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _holds(value: Any, **kinds: type) -> bool:
    """Whether a value is a dictionary with entries of just these kinds."""
    return isinstance(value, dict) and all(type(value.get(name)) is kind for name, kind in kinds.items())


def _is_part(value: Any) -> bool:
    return _holds(value, name=str, depth=int, fingerprint=str, moved=bool)


# Entry of the record → whether its value can be what it must be.
_ENTRIES: dict[str, Callable[[Any], bool]] = {
    "modality": lambda value: value in MODALITIES,
    "labels": lambda value: isinstance(value, list) and len(value) > 1 and all(isinstance(x, str) for x in value),
    "input": lambda value: value is None or isinstance(value, str),
    "backbones": lambda value: isinstance(value, list) and len(value) > 0 and all(map(_is_part, value)),
    "head": lambda value: isinstance(value, str),
    "files": lambda value: isinstance(value, dict),
    "moved": lambda value: value is None or _holds(value, tuner=str, first=int),
    "carried": lambda value: isinstance(value, dict) and all(isinstance(v, dict) and v for v in value.values()),
}


def _moved(place: Path, record: dict[str, Any]) -> Moved | None:
    if record["moved"] is None:
        return None
    delta = _checked(place, _MOVED, record)
    if not any(part["moved"] for part in record["backbones"]):
        raise BundleError(f"{place / _RECORD} names weights that moved, but reads none. Restore it or tune again.")
    for name, found in delta.items():
        if found.dtype != np.float32 or not np.isfinite(found).all():
            raise BundleError(f"{place / _MOVED}: {name} must be finite float32 numbers. Restore it or tune again.")
    return Moved(record["moved"]["tuner"], record["moved"]["first"], delta)


def _checked(place: Path, name: str, record: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The tensors of a file whose hash is the one in the record."""
    file = place / name
    if not file.is_file():
        raise BundleError(f"{file} is missing. Restore it or tune again.")
    try:
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != record["files"].get(name):
            raise BundleError(f"{file} was changed after it was written: its hash differs. Restore it or tune again.")
        tensors: dict[str, NDArray[np.float32]] = load(content)
    except (OSError, SafetensorError, KeyError) as error:  # KeyError: a kind of number that NumPy lacks
        raise BundleError(f"{file} cannot be read ({error}). Restore it or tune again.") from error
    return tensors


def _tensors(place: Path, record: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    file, tensors = place / _WEIGHTS, _checked(place, _WEIGHTS, record)
    classes = len(record["labels"])
    width, rows = (len(tensors[name]) if name in tensors and tensors[name].ndim else 0 for name in ("coef", "witness"))
    shapes = {
        "coef": (width, classes), "intercept": (classes,), "witness": (rows, width), "witness_proba": (rows, classes),
    }  # fmt: skip
    for name, shape in shapes.items():
        found = tensors.get(name)
        if found is None or found.shape != shape or found.dtype != np.float32 or not np.isfinite(found).all():
            raise BundleError(
                f"{file}: {name} must be finite float32 numbers of shape {shape}. Restore it or tune again."
            )
    return tensors
