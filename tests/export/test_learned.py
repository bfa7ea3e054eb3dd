"""A model that learned from corrections is a plain model: its answers are those of the sum, whatever it reads."""

from dataclasses import replace

import numpy as np
import pytest

from handful import api
from handful.export.bundle import Bundle
from handful.export.learned import known_rows, seen_by, with_learned
from handful.features.view import View
from handful.regimes.corrections import learn

ITEMS = ["hive hill", "buzz buzz", "leaf"]


@pytest.fixture(scope="module")
def model():
    rows = [f"{word} {i}" for word in ("hill", "leaf", "hive", "buzz") for i in range(5)]
    return api.tune(api.load(rows, labels=["ants"] * 10 + ["bees"] * 10), backbone="toy-text", budget=0).bundle


def elsewhere(model):
    """The model with a reference that reads something else, as that of a model whose weights moved does."""

    def twice(matrix):
        return np.concatenate([matrix, matrix], 1) / np.sqrt(2)

    kept = model.reference
    reference = replace(
        kept, view=View(model.view.parts * 2), rows=twice(kept.rows).astype(np.float16),
        novelty=replace(kept.novelty, means=twice(kept.novelty.means).astype(np.float32)),
    )  # fmt: skip
    return replace(model, reference=reference)


@pytest.mark.parametrize("labels", [("ants", "ants", "bees"), ("ants", "wasps", "bees")])
@pytest.mark.parametrize("made", [lambda model: model, elsewhere])
def test_answers_are_those_of_the_sum(model, made, labels, tmp_path):
    one = made(model)
    judged = one.judge(ITEMS)
    rows = seen_by(one, judged, range(3), labels)
    learned = learn(one.task, one.labels, known_rows(one), rows)
    after = with_learned(one, learned)
    wanted = one.task.outputs(learned.scores(judged.features, judged.scores))
    assert np.allclose(after.outputs(ITEMS), wanted, atol=1e-4)
    assert after.labels == tuple(sorted({*one.labels, *labels}))
    assert after.predict(ITEMS) == list(labels)
    # Rows that are known are still found, and called as they were.
    near = after.reference.like(after.judge(["hill 0"]).features, 1)[0][0]
    assert near.label == "ants"
    # It can be saved as any other model.
    after.save(tmp_path / "model")
    assert np.allclose(Bundle.load(tmp_path / "model").outputs(ITEMS), wanted, atol=1e-4)


def test_known_rows_are_scored_as_the_model_scores_them(model):
    known = known_rows(model)
    assert len(known) == 20
    assert np.allclose(
        model.task.outputs(known.scores), model.outputs_of(model.reference.rows.astype(np.float32)), atol=1e-6
    )
    heart = known_rows(elsewhere(model))
    assert model.task.words(model.task.outputs(heart.scores), model.labels) == list(heart.labels)
