"""Moving weights for moments of recordings: which backbone moves, and a model that reads it beside others."""

from __future__ import annotations

import numpy as np

from handful.backbones.toy import ToySound
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.evaluation.decision import Prior
from handful.export.bundle import Bundle
from handful.export.packing import packed_winner
from handful.features.view import MOVED
from handful.features.words import extract_words
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.strategies.tuned import cost
from handful.strategies.tuned.ladder import Terms, run_ladder
from handful.tasks.events.task import EVENTS_TASK
from marked_recordings import recordings


class Other(ToySound):
    """Hears the same under another name."""

    name = "other-sound"


def test_the_first_backbone_moves_also_where_the_frozen_model_reads_another_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "known", lambda *known: Prior(0.9, 0.01))
    items, cells = recordings(12)
    data = Dataset(items, "sound", tuple(cells), task="events")
    backbones = {"toy-sound": ToySound(), "other-sound": Other()}
    sight = extract_words(items, {"other-sound": backbones["other-sound"]})
    terms = SearchTerms(("logistic",), 0.0, 0, Inline())
    frozen = run_frozen(EVENTS_TASK.read(cells), data, sight, terms)
    assert set(frozen.model.view.backbones) == {"other-sound"}
    assert frozen.base(backbones) == "toy-sound"
    above = run_ladder(data, backbones["toy-sound"], frozen, Terms(("partial",), named=True, budget=60.0))
    assert above.chosen is not None
    made = packed_winner(above, frozen, data, sight, backbones)
    assert "toy-sound" + MOVED in made.view.backbones
    made.save(tmp_path / "model")
    copy = Bundle.load(tmp_path / "model")
    copy.loaded["other-sound"] = backbones["other-sound"]  # which no catalogue has
    np.testing.assert_allclose(copy.answer(items)[0], made.answer(items)[0])
    assert [[one["label"] for one in own] for own in copy.predict(items)] == [["tone"]] * 12
