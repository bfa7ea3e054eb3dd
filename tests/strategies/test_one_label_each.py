"""Labels as strategies take them: one per row, of any plain type, which comes back."""

import numpy as np
import pandas as pd
import pytest
import torch

from handful.errors import DataError
from handful.features.encoder import Encoder
from handful.strategies.frozen.heads import Ridge
from handful.strategies.frozen.prototypes import Prototypes
from handful.strategies.labels import numbered

TEXTS = ["ants walk", "bees fly"] * 4


@pytest.mark.parametrize(
    "labels",
    [[3, 7], [True, False], ["a", "b"], np.array([3, 7]), torch.tensor([3, 7]), pd.Series([True, False])],
)
def test_the_type_that_came_in_comes_out(labels):
    wanted = list(np.tile(np.asarray(labels), 4))
    x = np.eye(2, dtype=np.float32)[[0, 1] * 4]
    answers = Ridge().fit(x, wanted).predict(x)
    assert answers.tolist() == wanted
    assert answers.dtype == np.asarray(wanted).dtype


def test_a_column_is_one_label_per_row():
    assert numbered("Ridge", np.array([[1], [0], [1]]))[1].tolist() == [1, 0, 1]
    assert numbered("Ridge", [["b"], ["a"]])[0].tolist() == ["a", "b"]


@pytest.mark.parametrize("labels", [np.eye(2), [["a"], ["a", "b"]], [{"a": 1}, {"b": 2}], [[1, 0], [0, 1]]])
def test_lists_and_objects_are_refused(labels):
    with pytest.raises(DataError) as error:
        Ridge().fit(np.eye(2), labels)
    assert str(error.value) == (
        "Ridge needs one class per row, got a list or an object for each. Of rows of 0 and 1 give labels.argmax(1); "
        "several labels of a row are for handful.tune."
    )


def test_a_frame_of_one_column_is_its_items_and_of_several_is_refused():
    frame, labels = pd.DataFrame({"text": TEXTS}), ["ants", "bees"] * 4
    model = Prototypes("toy-text").fit(frame, labels)
    assert model.predict(frame).tolist() == model.predict(TEXTS).tolist()
    with pytest.raises(DataError) as error:
        model.predict(frame.assign(id=1))
    assert str(error.value) == (
        "transform needs one column of items, got the DataFrame with several (columns: text, id). Give the column of "
        "the items alone."
    )
    with pytest.raises(DataError, match="fit needs one column of items"):
        Prototypes("toy-text").fit(frame.assign(id=1), labels)
    assert Encoder("toy-text").fit(frame).transform(frame).shape[0] == 8
