"""A smaller model learns what a model answers; its cost is measured by who does not know the rows held out."""

from __future__ import annotations

import numpy as np
import pytest

from exportable import image, model
from handful.backbones.base import weights_fingerprint
from handful.backbones.toy import ToyText
from handful.errors import OptionError
from handful.export.bundle import Bundle
from handful.export.distilling import check_smaller, distil
from handful.export.students import Lesson, Student, stand_in, taught
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.multilabel import MULTILABEL

WORDS = {"late": ["the parcel is late", "parcel late", "late is late"], "money": ["money back", "refund money", "back"]}
ITEMS = [f"{item} {more}".strip() for rows in WORDS.values() for item in rows for more in ("", "a", "b", "please")]
LABELS = [label for label, rows in WORDS.items() for _ in rows for _ in range(4)]


class Larger(ToyText):
    """A toy with one block more than the other."""

    name = "larger"

    def __init__(self):
        super().__init__()
        self.blocks = (*self.blocks, *ToyText().blocks[:1])
        self.fingerprint = weights_fingerprint(self.blocks, self.name)


def teacher():
    """A model that knows its rows, on more weights than the toy has."""
    larger = Larger()
    made = model([larger], 3, labels=("late", "money"))
    seen = larger.encode(ITEMS, [3])[3]
    wanted = np.array([[4.0, -4.0] if label == "late" else [-4.0, 4.0] for label in LABELS])
    student = Student.of(seen, wanted, 1e-6)
    made.coef, made.intercept = student.coef, student.intercept
    return made


def test_a_smaller_model_answers_as_its_teacher_and_is_told_with_its_cost(tmp_path):
    made, right = teacher(), [i % 2 == 0 for i in range(len(ITEMS))]
    result = distil(made, "toy-text", (ITEMS, LABELS), right, ["parcel back", "money is late"])
    assert result.model.view.backbones == ("toy-text",)
    assert np.mean([a == b for a, b in zip(result.model.predict(ITEMS), made.predict(ITEMS), strict=True)]) > 0.8
    assert result.cost.before == 0.5
    assert result.sentence.startswith("on toy-text@")
    assert " of the rows are answered right while held out, with it 50%: " in result.sentence
    assert result.sentence.endswith(tuple("0123456789"))
    assert result.model.reference is not None
    result.model.save(tmp_path / "small")
    assert Bundle.load(tmp_path / "small").predict(ITEMS) == result.model.predict(ITEMS)


def test_one_that_loses_too_much_is_refused_with_the_figure():
    random = [LABELS[(7 * i) % len(LABELS)] for i in range(len(LABELS))]
    with pytest.raises(OptionError) as error:
        distil(teacher(), "toy-text", (ITEMS, random), [True] * len(ITEMS))
    told = str(error.value)
    assert told.startswith("a distilled copy must cost at most 3 points, got more: on toy-text@")
    assert told.endswith(". Name another backbone, or add --even-if-answers-change.")
    assert distil(teacher(), "toy-text", (ITEMS, random), [True] * len(ITEMS), anyway=True).cost.too_much


@pytest.mark.parametrize("rows", [(ITEMS, []), ([], [])])
def test_without_labelled_rows_nothing_is_distilled(rows):
    with pytest.raises(OptionError) as error:
        distil(teacher(), "toy-text", rows, [])
    assert str(error.value) == (
        "--distil needs the run folder with its labelled rows, and a model that answers whole items with names. Name "
        "the rows with --rows, or tune on a smaller backbone with --backbone."
    )


def test_a_backbone_that_is_no_smaller_is_refused():
    made = model([image()], 8)
    with pytest.raises(OptionError) as error:
        check_smaller(made, "tiny-image", image())
    told = str(error.value)
    assert told.startswith("--distil must name a backbone with fewer than the ")
    assert told.endswith(" million. See handful models list.")


@pytest.mark.parametrize("task", [CLASSIFICATION, MULTILABEL])
def test_labels_by_chance_are_not_learned_through_a_teacher_that_knows_them(task):
    """The teacher has all rows by heart, and reads what the student reads: its scores would give the labels away."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 80)).astype(np.float32)
    others = rng.normal(size=(200, 80)).astype(np.float32)
    labels = rng.permutation(["a", "b"] * 30).tolist()
    targets = task.coded(labels, ("a", "b"))
    design = 8 * task.design(targets).astype(np.float64) - 4
    memory = Student.of(features, design, 1e-6)
    wanted, told, right = [memory.scores(features)], memory.scores(others), np.ones(60, bool)
    assert np.mean((wanted[0] > 0) == (design > 0)) == 1, "it has them by heart"
    seen = Lesson([features], others)
    careless = taught(task, targets, [seen], (wanted, told), lambda rows: (wanted, told), right)
    assert careless.right > 0.9, "and gives them away"
    made = taught(task, targets, [seen], (wanted, told), stand_in(task, targets, seen, task.outputs(wanted[0])), right)
    assert made.right < 0.7
    assert made.too_much
