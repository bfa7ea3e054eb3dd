"""Events: seconds are counted as sed_eval does, runs become events, and what the task says of targets and answers."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from handful.data.tracks import Track
from handful.errors import DataError, OptionError
from handful.tasks.events import EVENTS_TASK
from handful.tasks.events.metrics import active
from handful.tasks.part_layout import unpacked

TRACKS = [
    Track(4.0, ((0.2, 1.4, "bell"), (2.4, 2.8, "knock"))),
    Track(2.0, ()),
    Track(3.0, ((1.0, 2.0, "bell"),)),
]


@pytest.fixture
def targets():
    return EVENTS_TASK.read([track.cell for track in TRACKS])


def answers(targets, tracks, sure=0.96):
    """Answers that say these tracks, and are nearly sure."""
    wanted = EVENTS_TASK.coded([track.cell for track in tracks], targets.names)
    design = targets.task.design(wanted)
    width = design.shape[1]
    return targets.task.gathered(np.where(design > 0, sure, (1 - sure) / (width - 1)), targets)


def test_runs_are_stretches_of_one_tag():
    assert EVENTS_TASK.runs(np.array([1, 1, 0, 2, 1, 1])) == [(0, 1, 0), (3, 3, 1), (4, 5, 0)]
    assert EVENTS_TASK.runs(np.array([0, 0])) == []


def test_a_label_is_active_in_every_second_that_it_touches():
    tags = np.zeros((1, 12), np.int64)
    tags[0, 4:6], tags[0, 11] = 1, 2  # bell from 0.8 to 1.2 s, knock from 2.2 s on
    assert active(tags, 2).astype(int).tolist() == [[[1, 0], [1, 0], [0, 1]]]


def test_the_f1_of_seconds_is_that_of_sed_eval(targets):
    said = [
        Track(
            4.0, ((0.8, 2.2, "bell"), (2.4, 2.8, "bell"))
        ),  # bell in seconds 0, 1, 2; wanted: 0, 1; knock in 2 missed
        Track(2.0, ((0.2, 0.6, "knock"),)),  # one second too many
        Track(3.0, ((1.2, 1.8, "bell"),)),  # right
    ]
    outputs = answers(targets, said)[None]
    # By hand: 3 right, 2 too many (bell in second 2, knock), 1 missed (knock): 2·3 / (2·3 + 2 + 1).
    metric = targets.task.metrics["segment_f1"]
    assert metric.of(outputs, targets).value == pytest.approx(6 / 9)
    assert targets.task.metrics["event_f1"].of(outputs, targets).value == pytest.approx(2 * 2 / (3 + 4))
    assert metric.of(answers(targets, TRACKS)[None], targets).value == 1.0


def test_an_event_is_found_where_one_of_its_label_meets_it_whatever_its_ends(targets):
    said = [Track(4.0, ((0.8, 2.2, "bell"), (2.4, 2.8, "bell"))), Track(2.0, ()), Track(3.0, ((1.2, 1.8, "bell"),))]
    scores = {score.name: score for score in targets.task.per_label(answers(targets, said)[None], targets)}
    assert (scores["bell"].recall.value, scores["knock"].recall.value) == (1.0, 0.0)
    assert scores["bell"].precision.value == pytest.approx(2 / 3)


def test_seconds_are_those_of_the_package_itself(targets):
    sed_eval = pytest.importorskip("sed_eval")
    rng = np.random.default_rng(0)
    tags = rng.integers(0, 3, (2, 4, 20)) * (rng.random((2, 4, 20)) > 0.6)
    metrics = sed_eval.sound_event.SegmentBasedMetrics(event_label_list=["0", "1"], time_resolution=1.0)
    for n in range(4):
        wanted, said = (
            [{"event_label": str(c), "event_onset": a / 5, "event_offset": (b + 1) / 5, "file": str(n)}
             for a, b, c in EVENTS_TASK.runs(own[n])] for own in tags
        )  # fmt: skip
        metrics.evaluate(wanted, said, evaluated_length_seconds=4.0)
    own, given = active(tags[0], 2), active(tags[1], 2)
    ours = 2 * (own & given).sum() / (own.sum() + given.sum())
    assert metrics.results_overall_metrics()["f_measure"]["f_measure"] == pytest.approx(ours)


def test_targets_say_what_was_marked(targets):
    assert [json.loads(text) for text in targets.task.wanted(targets)] == [
        [[0.2, 1.4, "bell"], [2.4, 2.8, "knock"]], [], [[1.0, 2.0, "bell"]],
    ]  # fmt: skip
    assert targets.names == ("bell", "knock")
    rows = targets.task.row_targets(targets)
    assert len(rows) == 20 + 10 + 15
    assert np.bincount(rows.values).tolist() == [45 - 6 - 2 - 5, 6 + 5, 2]


def test_answers_are_told_in_seconds_with_their_confidence(targets):
    outputs = answers(targets, TRACKS)
    (first, nothing, _) = targets.task.values(outputs, targets.names)
    assert first == [
        {"start": 0.2, "end": 1.4, "label": "bell", "confidence": 0.96},
        {"start": 2.4, "end": 2.8, "label": "knock", "confidence": 0.96},
    ]
    assert nothing == []
    assert targets.task.words(outputs, targets.names) == targets.task.wanted(targets)


def test_right_answers_cost_least_and_the_reference_answers_alike_everywhere(targets):
    right = targets.task.losses(answers(targets, TRACKS), targets)
    reference = targets.task.reference_answers(targets, [], np.zeros((2, 3), np.int64))
    assert reference.shape[:2] == (2, 3)
    assert (right < targets.task.losses(reference[0], targets)).all()
    shares = unpacked(reference[0], 3).rest[0, :20]
    assert_allclose(shares, np.tile(shares[0], (20, 1)))


def test_labels_that_a_model_has_never_seen_are_wrong_answers(targets):
    new = [Track(4.0, ((0.2, 1.4, "alarm"),)).cell, TRACKS[1].cell, TRACKS[2].cell]
    outputs, wider = targets.task.against(answers(targets, TRACKS), new, targets.names)
    assert wider.names == ("alarm", "bell", "knock")
    # Bell in two seconds and knock in one of the first are not wanted there, alarm in two is not found; one is right.
    assert wider.task.metrics["segment_f1"].of(outputs[None], wider).value == pytest.approx(2 / (2 + 3 + 2))
    assert targets.task.score(answers(targets, TRACKS), [track.events for track in TRACKS], targets.names) == 1.0


def test_what_makes_no_sense_of_events_is_refused(targets):
    with pytest.raises(OptionError, match="sets are for classes, labels and numbers, got events of recordings"):
        targets.task.within(np.zeros((1, 6)), 0.5, targets.names)
    with pytest.raises(DataError, match="must have events in some of them, got none"):
        EVENTS_TASK.read([TRACKS[1].cell])
    with pytest.raises(DataError, match="labels must be one per item"):
        targets.task.score(answers(targets, TRACKS), [[]], targets.names)


def test_settings_of_a_record_are_checked(targets):
    good = targets.task.settings
    assert EVENTS_TASK.restored(json.loads(json.dumps(good))) == targets.task
    for bad in ({"outside": 2.0}, {"transitions": [[0.0, 1.0]]}, {"other": 1}):
        with pytest.raises(ValueError):
            EVENTS_TASK.restored({**good, **bad})
