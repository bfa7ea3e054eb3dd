"""Two inputs: the better one alone is found, both are set against it, and each case has its sentence."""

from __future__ import annotations

import numpy as np
import pytest

from handful.evaluation.inputs import BOTH, Inputs, alone, arm_of, compared_inputs
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.tasks.classification import CLASSIFICATION

IMAGE, TEXT = alone("image"), alone("text")
ACCURACY = CLASSIFICATION.metrics["accuracy"]


def compared(image: int, text: int, both: int, reads: str) -> Inputs:
    """Of 40 rows so many are answered rightly by each arm, the first ones."""
    targets = CLASSIFICATION.read(["a", "b"] * 20, "rows")
    right = np.eye(2)[np.arange(40) % 2]
    held = {
        name: ACCURACY.of(np.where(np.arange(40)[:, None] < count, right, 1 - right)[None], targets)
        for name, count in ((IMAGE, image), (TEXT, text), (BOTH, both))
    }
    return compared_inputs(held, reads, None, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("counts", "reads", "best", "sentence"),
    [
        ((20, 24, 38), BOTH, TEXT, "Image and text together answer better than the text alone; accuracy differs by 35 "
         "points (+17 to +50). The model reads both."),
        ((20, 24, 38), TEXT, TEXT, "Image and text together answer better than the text alone; accuracy differs by 35 "
         "points (+17 to +50). The model reads the text alone, since both lower the loss on held-out rows by too "
         "little: name that column alone, and it asks for nothing else."),
        ((36, 20, 37), IMAGE, IMAGE, "The image alone is as good as image and text together: these rows cannot tell "
         "them apart; accuracy differs by 2 points (−6 to +11). The model reads the image alone: name that column "
         "alone, and it asks for nothing else."),
        ((36, 20, 37), BOTH, IMAGE, "These rows cannot tell image and text together from the image alone; accuracy "
         "differs by 2 points (−6 to +11). The model reads both, whose loss on held-out rows is lower."),
        ((20, 38, 20), TEXT, TEXT, "The text alone answers better than image and text together; accuracy differs by 45 "
         "points (+26 to +60). The model reads the text alone: name that column alone, and it asks for nothing else."),
    ],
)  # fmt: skip
def test_each_case_has_its_sentence(counts, reads, best, sentence):
    inputs = compared(*counts, reads)
    assert (inputs.best, inputs.reads, inputs.sentence) == (best, reads, sentence)


def test_what_is_read_back_is_what_was_written():
    inputs = compared(20, 24, 38, BOTH)
    assert Inputs.from_dict(inputs.as_dict()) == inputs
    assert isinstance(inputs.gain, Estimate) and Scale().percent


def test_an_arm_is_called_after_what_it_reads():
    sides = {"a": "image", "b": "text", "c": "text"}
    assert [arm_of(read, sides) for read in (("a",), ("b", "c"), ("a", "c"))] == [IMAGE, TEXT, BOTH]
