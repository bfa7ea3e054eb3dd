"""The Bundle: a model as data, saved without pickle, checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from handful.atomic import replaced_folder
from handful.backbones.base import Backbone, default_device
from handful.data.handed_items import handed_items
from handful.data.items import make_items
from handful.data.label_types import TEXT, as_given
from handful.data.pairs import check_pairs
from handful.errors import BundleError, DataError, OptionError
from handful.evaluation.conformal import limit_of
from handful.evaluation.scores import Scores, unproven
from handful.export import carried, own_items, reference, specimens
from handful.export.card import model_card, with_weights
from handful.export.kept_parts import Moved, items_of, moved_part, reference_of, view_of
from handful.export.loading import check_depths, check_width, columns_read, untouched, with_moved
from handful.export.part_answers import part_scores
from handful.export.record import MOVED_WEIGHTS, SPECIMEN, WEIGHTS, head_of, read_record, write_record
from handful.export.reference import Judged, Reference
from handful.features.cache import FeatureCache
from handful.features.extract import extract
from handful.features.view import MOVED, View, unit_rows
from handful.run_folder import HEAD, RECORD, model_folder
from handful.tasks.base import HeadTask
from handful.tasks.registry import head_task

WITNESSES = 8
"""How many training rows a bundle keeps the features of, to test itself with when it is loaded."""

_PARTS = (RECORD, WEIGHTS, MOVED_WEIGHTS, reference.FILE, own_items.FILE, carried.FOLDER, "README.md")
# The self-test repeats a product of float32 numbers, perhaps on another machine.
_CLOSE = 1e-4


@dataclass(eq=False)
class Bundle:
    """A fitted model: backbones and one linear head on what they see.

    ``K`` numbers of an answer to one item, of a class the C probabilities; ``D`` width of the view.
    """

    task: HeadTask
    """What is answered to an item."""
    modality: str
    """text, image, sound or vectors."""
    labels: tuple[str, ...]
    """The names of what is answered, sorted: C classes, labels or ratings; empty for numbers."""
    view: View
    """Which backbones are read, at which depth."""
    fingerprints: dict[str, str]
    """Backbone name → fingerprint of the weights that the head was fitted on."""
    head: str
    """Name of the strategy that made the head."""
    coef: NDArray[np.float32]
    """(D, K)."""
    intercept: NDArray[np.float32]
    """(K,); what the task makes of the scores is calibrated."""
    input: str | None = None
    """The column that held the input in training; looked for first when predicting from a table."""
    target: str | None = None
    """The column that held what was wanted, by which answers are called; None for folders and lists."""
    pairs: bool = False
    """Whether an item is two texts."""
    witness: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(W, D) a few training features; loading recomputes the answers to them and compares."""
    specimens: tuple[NDArray[np.float32], ...] = ()
    """What each part of the view sees in the specimens, (S, D) with rows of length one; compared with what it sees when
    its backbone is first loaded. Empty in a model that was made by hand."""
    items: tuple[Any, ...] = ()
    """A few short training items for the self-test, where their owner lets them travel; see ``own_items``."""
    loaded: dict[str, Backbone] = field(default_factory=dict, repr=False)
    """Backbones in memory, by their name in the view; the others are loaded when they are needed."""
    moved: Moved | None = None
    """What moved in the backbone whose name ends with ``MOVED``; None where all are frozen."""
    carried: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Backbone name → file within the bundle → its hash, for backbones whose files lie in the bundle."""
    place: Path | None = None
    """The folder that the bundle was read from."""
    reference: Reference | None = None
    """What is kept of the training rows; None in a bundle that was made by hand."""
    language: str | None = None
    """Code of the language of at least half of the training texts; None where that is not clear, or not known."""
    targets: tuple[str, ...] = ()
    """The columns of 0 and 1 that held what was wanted in training, where these were several."""
    group: str | None = None
    """The column that said what belongs together in training; None where none did."""
    label_type: str = TEXT
    """What labels were before they were written as text, see ``data.label_types``: ``predict`` answers in it."""
    beats_reference: bool | None = None
    """Whether held-out rows show it to be better than an answer that looks at no item; None where that is not known."""

    @property
    def backbones(self) -> tuple[tuple[str, int], ...]:
        """Pairs of backbone name and depth."""
        return self.view.parts

    def outputs_of(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What is answered to features of the view, calibrated; of classes their probabilities. (N, D) → (N, K)."""
        return self.task.outputs(self.scores_of(features))

    def scores_of(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The sums that answers are made of. (N, D) → (N, K)."""
        return np.asarray(unit_rows(features) @ self.coef + self.intercept, np.float64)

    @property
    def limit(self) -> float | None:
        """The misfit that nine of ten held-out rows stayed below; None where too few were held out to say."""
        return None if self.reference is None else limit_of(self.reference.misfit)

    def outputs(self, items: Sequence[Any], cache: FeatureCache | None = None) -> NDArray[np.float64]:
        """What is answered to items, calibrated, as the task has it. N items → (N, K).

        Of a DataFrame, a list of dictionaries or a dictionary of columns the column that was learned from is taken.
        What backbones see is looked up in a cache where one is given, and kept there.

        Raises:
            DataError: an item cannot be read, or a table has no such column.
            WeightsError: a backbone is not there and cannot be fetched.
            BundleError: a backbone is not the one that the head was fitted on.
        """
        values, failed = make_items(handed_items(items, self.input, numbers=columns_read(self)), self.modality, None)
        outputs = self.task.gathered_items(np.zeros((0, len(self.intercept))), ())
        if not failed:
            outputs, failed = self.answer(values, cache)
        if failed:
            at = min(failed)
            name = values[at] if isinstance(values[at], Path) else f"item {at}"
            raise DataError(f"{name} cannot be read: {failed[at]}.")
        return outputs

    def predict_proba(self, items: Sequence[Any]) -> NDArray[np.float64]:
        """Calibrated probabilities of items. N items → (N, C), columns in the order of ``labels``.

        Raises:
            OptionError: numbers are answered, which have no probabilities.
            DataError, WeightsError, BundleError: as ``outputs``.
        """
        outputs = self.outputs(items)
        found = self.task.probabilities(outputs, self.labels)
        if not found:
            raise OptionError(f"predict_proba is for names, got a model of {self.task.name}. Use predict or outputs.")
        return np.stack(list(found.values()), 1)

    def predict(self, items: Sequence[Any], cache: FeatureCache | None = None) -> list[Any]:
        """The answer to each item: its class or rating in the type of the labels, a list of labels, or a number.

        Takes and raises what ``outputs`` does.
        """
        outputs = self.outputs(items, cache)
        return [as_given(value, self.label_type) for value in self.task.values(outputs, self.labels)]

    def score(self, items: Sequence[Any], labels: Sequence[Any]) -> float:
        """How well N labelled items are answered, more is better: accuracy for classes, else see ``HeadTask.score``."""
        return self.task.score(self.outputs(items), labels, self.labels)

    @property
    def classes_(self) -> NDArray[Any]:
        """What may be answered, (C,), in the order of ``labels`` and as these were given; there are none of numbers."""
        if not self.labels:
            raise AttributeError(f"classes_ are names, got a model of {self.task.name}")
        return np.array([as_given(name, self.label_type) for name in self.labels])

    def __repr__(self) -> str:
        classes = f", {len(self.labels)} {self.task.nouns[1]}" if self.labels else ""
        return f"Bundle({self.modality} {self.task.name}{classes}; {self.head} on {self.view.name})"

    def __getstate__(self) -> dict[str, Any]:
        """All but the backbones in memory, which are loaded again, and compared, when a copy needs them."""
        return {**vars(self), "loaded": {}}

    def answer(
        self, items: Sequence[Any], cache: FeatureCache | None = None
    ) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Answers to what can be read, (N, K), and position → reason of what cannot."""
        if self.task.grain:
            rows, unread = part_scores(items, self.view, self.task.grain, self.backbone, cache, self._of_parts)
            return self.task.gathered_items(rows, items), unread
        features, failed = self._read(items, self.view.parts, cache)
        return self._outputs(self._scored(items, features, failed), len(items) == len(failed)), failed

    def _of_parts(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Answers to parts, (P, D) → (P, K); of those of items that could not be read nothing is answered."""
        none = np.zeros((len(matrix), len(self.intercept)))
        return self._outputs(self._scores_of_read(matrix), False) if matrix.shape[1] else none

    def judge(self, items: Sequence[Any], cache: FeatureCache | None = None) -> Judged:
        """Answers to what can be read, with the features that the reference needs.

        Raises:
            BundleError: the bundle keeps nothing of its training rows.
        """
        known = self.known_rows()
        own = () if self.task.grain else self.view.parts
        features, failed = self._read(items, tuple(dict.fromkeys(own + known.view.parts)), cache)
        matrix = known.view.matrix(features)
        if len(failed) < len(items):
            check_width(matrix, known.rows.shape[1], "the features of the training rows are", known.view)
        if self.task.grain:
            return Judged(self.answer(items, cache)[0], matrix, failed, None)
        scores = self._scored(items, features, failed)
        return Judged(self._outputs(scores, len(items) == len(failed)), matrix, failed, scores)

    def known_rows(self) -> Reference:
        """What is kept of the training rows.

        Raises:
            BundleError: nothing is.
        """
        if self.reference is None:
            raise BundleError(
                "the model keeps nothing of its training rows, so that nothing can be compared with them. Tune again."
            )
        return self.reference

    def _read(
        self, items: Sequence[Any], parts: Sequence[tuple[str, int]], cache: FeatureCache | None
    ) -> tuple[dict[tuple[str, int], NDArray[np.float32]], dict[int, str]]:
        """(backbone, depth) → (N, D), and position → reason of what cannot be read."""
        check_pairs(items, self.pairs)
        features, failed = {}, {}
        for name in dict.fromkeys(name for name, _ in parts):
            self.backbone(name).check(items)
            seen = extract(self.backbone(name), items, [depth for other, depth in parts if other == name], cache)
            features.update({(name, depth): matrix for depth, matrix in seen.matrices.items()})
            failed.update(seen.failed)
        return features, failed

    def _outputs(self, scores: NDArray[np.float64], none: bool) -> NDArray[np.float64]:
        return scores if none else self.task.outputs(scores)  # of what cannot be read nothing is answered

    def _scored(
        self, items: Sequence[Any], features: dict[tuple[str, int], NDArray[np.float32]], failed: dict[int, str]
    ) -> NDArray[np.float64]:
        if len(failed) == len(items):
            return np.zeros((len(items), len(self.intercept)))
        return self._scores_of_read(self.view.matrix(features))

    def _scores_of_read(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        check_width(matrix, len(self.coef), "the features that the model reads must be", self.view)
        return self.scores_of(matrix)

    def backbone(self, name: str) -> Backbone:
        """A backbone of the view, loaded when first asked for and compared with the one used in training."""
        if name not in self.loaded:
            if self.moved is not None and name.endswith(MOVED):
                base = self.backbone(name.removesuffix(MOVED))
                backbone = with_moved(base, self.moved.tuner, self.moved.first, self.moved.delta)
            else:
                files = self.carried.get(name)
                copy = None if files is None or self.place is None else carried.place_of(self.place, name, files)
                backbone = untouched(name, self.modality, self.fingerprints[name], copy)
            views = [self.view] if self.reference is None else [self.view, self.reference.view]
            check_depths(backbone, self.view.name, [depth for view in views for depth in view.depths_of(name)])
            self.loaded[name] = self._tested(name, backbone.to(default_device()))
        return self.loaded[name]

    def _tested(self, name: str, backbone: Backbone) -> Backbone:
        """A backbone that sees in the specimens what it saw when the model was saved."""
        own = [(i, depth) for i, (other, depth) in enumerate(self.view.parts) if other == name]
        if self.specimens and own:
            before = [self.specimens[i] for i, _ in own]
            seen = specimens.seen_by(backbone, [depth for _, depth in own], self.items)
            specimens.check_alike(seen, before, backbone.name, name.endswith(MOVED))
        return backbone

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
        """Name, depths and whether it moved of each backbone."""
        return self.view.reads

    @property
    def columns(self) -> tuple[str, str]:
        """How columns of labels and of answers are called: the first like that of the source, unless it is taken."""
        answer = self.task.answer_column
        taken = {"row", "input", "predicted", "refused", "set", answer, *self.task.columns}
        return "label" if self.target is None or self.target in taken else self.target, answer

    @property
    def warning(self) -> str:
        """What to know before its answers are used: that it is not shown to be better than a guess; else empty."""
        reference = self.task.reference.words
        return unproven("The model", reference, self.task.nothing_shown) if self.beats_reference is False else ""

    def card(self, scores: Scores, source: str) -> str:
        """The model card, in Markdown, with what a run on this source measured."""
        return model_card(self, scores, source)

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
        tensors["witness_proba"] = self.outputs_of(self.witness).astype(np.float32)
        tensors |= {
            f"{SPECIMEN}{i}": seen
            for i, seen in enumerate(specimens.by_part(self.view, self.loaded, self.items, self.specimens))
        }
        (folder / WEIGHTS).write_bytes(save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))
        files = [WEIGHTS]
        if self.moved is not None:
            files.append(self.moved.write(folder))
        if self.reference is not None:
            files.append(reference.FILE)
            (folder / reference.FILE).write_bytes(save(self.reference.tensors()))
        if self.items:
            files.append(own_items.FILE)
            (folder / own_items.FILE).write_bytes(save(own_items.packed(self.items)))
        names, kept = list(self.fingerprints), self.reference and self.reference.view.parts
        entries = {
            "settings": self.task.settings,
            "modality": self.modality,
            "labels": list(self.labels),
            "label_type": self.label_type,
            "input": self.input,
            "target": self.target,
            "targets": list(self.targets),
            "group": self.group,
            "beats_reference": self.beats_reference,
            "pairs": self.pairs,
            "language": self.language,
            "backbones": [self._part(name, depth) for name, depth in self.view.parts],
            "head": self.head,
            "moved": self.moved and self.moved.entry,
            "reference": kept and [self._part(name, depth) for name, depth in kept],
            "carried": carried.carry(names, self.modality, folder, self.backbone, merge),
        }
        write_record(folder, HEAD, self.task, entries, files)
        plain = f"# {self.modality.capitalize()} {self.task.name}\n"
        (folder / "README.md").write_text(with_weights(card, self, merge) if card else plain, encoding="utf-8")
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
        place = model_folder(folder)
        record = read_record(place)
        labels, task = tuple(record["labels"]), head_task(record["task"]).restored(record["settings"])
        tensors = head_of(place, record)
        view, kept = view_of(record["backbones"]), record["reference"] or ()
        fingerprints = {str(b["name"]): str(b["fingerprint"]) for b in (*record["backbones"], *kept)}
        bundle = cls(
            task, record["modality"], labels, view, fingerprints, record["head"],
            tensors["coef"], tensors["intercept"], record["input"], record["target"], record["pairs"],
            tensors["witness"],
            tuple(tensors[f"{SPECIMEN}{i}"] for i in range(len(view.parts)) if f"{SPECIMEN}{i}" in tensors),
            items=items_of(place, record), moved=moved_part(place, record), carried=record["carried"], place=place,
            reference=reference_of(place, record, task), language=record["language"],
            targets=tuple(record["targets"] or ()), group=record["group"],
            beats_reference=record["beats_reference"], label_type=record["label_type"] or TEXT,
        )  # fmt: skip
        with np.errstate(over="ignore", invalid="ignore"):  # what is out of range is not what was written
            same = np.allclose(bundle.outputs_of(bundle.witness), tensors["witness_proba"], atol=_CLOSE)
        if not same:
            raise BundleError(f"{place} does not reproduce its own test answers. Restore or tune it again.")
        return bundle
