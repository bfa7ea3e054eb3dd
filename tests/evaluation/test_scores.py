"""Scores as a file and as a table."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.cells import shown_json
from handful.energy import Energy
from handful.errors import BundleError
from handful.evaluation.curves import Curve, Point
from handful.evaluation.intervals import Estimate
from handful.evaluation.scores import Arm, Scores
from handful.evaluation.slices import Slice
from handful.evaluation.stability import Changed, Kept
from handful.tasks.classification.details import ClassDetails
from handful.tasks.name_scores import NameScore
from junk import JSON, places, put

DETAILS = ClassDetails(
    np.array([[10, 0], [1 / 3, 9 + 2 / 3]]),
    (
        NameScore("ants", 10, Estimate(1.0, 0.7, 1.0), Estimate(0.9, 0.6, 1.0)),
        NameScore("süß", 10, Estimate(0.9, 0.6, 1.0), None),
    ),
)


def scores(**changed):
    arms = (
        Arm("majority", 0, Estimate(0.5, 0.3, 0.7), "worse", "Worse.", "ridge", Estimate(-0.5, -0.7, -0.2), 0.0, None),
        Arm("ridge", 0, Estimate(1.0, 0.84, 1.0), "chosen", "Best.", "majority", Estimate(0.5, 0.2, 0.7), 0.125,
            {"head": "ridge", "view": "toy@2", "penalty": 1.0, "name_weight": 0.0}),
    )  # fmt: skip
    fields = dict(
        metric="accuracy", n=20, protocol="nested 5x5 stratified", chosen="ridge",
        estimate=Estimate(1 / 3, 0.2, 0.6), arms=arms, details=DETAILS.as_dict(),
        seconds={"read": 0.1, "extract": 1.25}, sentence="accuracy 33%.",
    )  # fmt: skip
    return Scores(**{**fields, **changed})


def written(folder, found):
    (folder / "scores.json").write_text(json.dumps(found.as_dict()), encoding="utf-8")
    return folder / "scores.json"


def test_the_file_has_the_keys_of_the_design(tmp_path):
    found = scores().as_dict()
    assert {"metric", "level", "n", "labels", "protocol", "chosen", "estimate", "arms", "seconds"} <= found.keys()
    assert found["estimate"] == {"value": 0.333333, "low": 0.2, "high": 0.6}
    assert found["arms"][1] == {
        "name": "ridge", "rung": 0, "value": 1.0, "low": 0.84, "high": 1.0, "seconds": 0.125, "versus": "majority",
        "difference": {"value": 0.5, "low": 0.2, "high": 0.7}, "verdict": "chosen", "reason": "Best.",
        "setting": {"head": "ridge", "view": "toy@2", "penalty": 1.0, "name_weight": 0.0},
    }  # fmt: skip
    assert found["confusion"] == [[10.0, 0.0], [0.333, 9.667]]
    assert (found["level"], found["test"]) == (0.95, None)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("test", [(None, 0), (Estimate(0.8, 0.5, 0.9), 12)])
def test_what_was_written_is_read_back(tmp_path, test):
    before = scores(test=test[0], test_n=test[1], estimate=Estimate(0.25, 0.125, 0.5))
    after = Scores.read(written(tmp_path, before))
    assert after.as_dict() == before.as_dict()
    assert str(after) == str(before)
    assert after.arms == before.arms
    assert ClassDetails.from_dict(after.details).classes == DETAILS.classes
    assert (after.test, after.test_n) == test


@pytest.mark.parametrize("classes", [150, 2000])
def test_the_table_of_many_classes_is_told_by_its_fields(tmp_path, classes):
    table = np.zeros((classes, classes))
    table[np.arange(classes), np.arange(classes) // 2] = 1.5
    labels = tuple(f"class number {i}" for i in range(classes))
    some = tuple(NameScore(name, 3, Estimate(0.5, 1 / 3, 2 / 3), None) for name in labels)
    before = scores(details=ClassDetails(table, some).as_dict())
    file = written(tmp_path, before)
    np.testing.assert_array_equal(ClassDetails.from_dict(Scores.read(file).details).confusion, table)
    assert ("confusion" in before.as_dict()) == (classes == 150)
    assert len(shown_json(before.as_dict())) < 2e6
    if classes > 150:
        assert before.as_dict()["confusions"][3] == [3, 1, 1.5]


def test_an_arm_without_a_difference(tmp_path):
    lone = scores(arms=(Arm("ridge", 0, Estimate(1.0, 0.84, 1.0), "chosen", "Alone."),))
    assert "difference" not in lone.as_dict()["arms"][0]
    assert Scores.read(written(tmp_path, lone)).arms == lone.arms


def test_no_scores_there(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError) as error:
            Scores.read(place / "scores.json")
        assert str(error.value) == (
            f"{place} must be a run folder, but there is no scores.json in it. "
            "Name the folder that `handful tune` wrote."
        )


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"metric": "accuracy"}', "nonsense", "[" * 100_000, '{"estimate": {"x": 1}}']
)
def test_a_file_that_holds_no_scores(tmp_path, text):
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(BundleError) as error:
        Scores.read(tmp_path / "scores.json")
    assert str(error.value).startswith(f"{tmp_path}/scores.json cannot be read as the scores of a run (")
    assert str(error.value).endswith("). Name another run folder, or tune again.")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "scores.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="cannot be read as the scores of a run"):
        Scores.read(tmp_path / "scores.json")


def test_the_table_is_aligned_whatever_the_names():
    long = Arm("speech-embedding+voice-encoder", 0, Estimate(0.9, 0.7, 1.0), "tie", "Tie.")
    lines = str(scores(arms=(*scores().arms, long), metric="balanced_accuracy")).splitlines()
    assert len({line.index(" to ") for line in lines[1:-1]}) == 1
    assert lines[0].split() == ["arm", "balanced_accuracy", "95%", "interval", "verdict"]
    assert lines[-2].split() == ["speech-embedding+voice-encoder", "90%", "70%", "to", "100%", "tie"]
    assert lines[-1] == "accuracy 33%."


def test_the_curve_is_read_back_and_told(tmp_path):
    curve = Curve(20, (Point(4, Estimate(0.5, 0.3, 0.7)),), 0.0625, 0.01, 0.03, ("ants", "süß"), ("ants", "süß"))
    before = scores(curve=curve, estimate=Estimate(0.25, 0.125, 0.5))
    after = Scores.read(written(tmp_path, before))
    assert after.curve == before.curve
    assert str(after).splitlines()[-1] == curve.sentence
    assert before.as_dict()["curve"]["forecast"]["more"] == 20


def test_a_file_may_have_none_of_what_a_budget_of_0_leaves_out(tmp_path):
    assert not {"curve", "slices", "stability", "kept"} & scores().as_dict().keys()
    after = Scores.read(written(tmp_path, scores()))
    assert after.curve is None


def full() -> Scores:
    """With everything that a scores file can hold."""
    some = Estimate(0.5, 0.25, 0.75)
    return scores(
        curve=Curve(20, (Point(4, some), Point(16, some)), 0.0625, 0.01, 0.03, ("ants", "süß"), ("ants", "süß")),
        slices=(Slice("class", "ants", 10, some, 0.5, 0.01),), test=some, test_n=12,
        stability=(Changed("one letter left out", 20, some, test_rows=3, frozen=some, difference=some),),
        kept=Kept("the training rows", 20, some),
    )  # fmt: skip


def test_everything_is_read_back(tmp_path):
    assert Scores.read(written(tmp_path, full())).as_dict() == full().as_dict()


@given(st.data())
def test_junk_anywhere_in_the_file_is_refused_in_one_sentence_or_can_be_told(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("junk") / "scores.json"
    good = full().as_dict()
    file.write_text(json.dumps(put(good, data.draw(st.sampled_from(places(good))), data.draw(JSON))))
    try:
        found = Scores.read(file)
    except BundleError as error:
        assert str(error).startswith(f"{file} cannot be read as the scores of a run (")
    else:
        assert str(found) and found.as_dict() and isinstance(found.cautions, list)


@pytest.mark.parametrize(
    ("place", "junk", "why"),
    [
        (("chosen",), "centroid", "no arm is called 'centroid'"), (("arms",), [], "no arm is called 'ridge'"),
        (("estimate", "value"), "high", "value cannot be 'high'"), (("n",), 20.5, "n cannot be 20.5"),
        (("arms", 0, "rung"), None, "rung cannot be None"),
        (("seconds",), {"read": "long"}, "seconds cannot be {'read': 'long'}"),
        (("metric",), [1], "metric cannot be [1]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, place, junk, why):
    file = tmp_path / "scores.json"
    file.write_text(json.dumps(put(full().as_dict(), place, junk)))
    with pytest.raises(BundleError) as error:
        Scores.read(file)
    assert str(error.value) == (
        f"{file} cannot be read as the scores of a run ({why}). Name another run folder, or tune again."
    )


def test_energy_is_told_per_right_answer_frozen_against_tuned():
    frozen = scores().arms
    tuned = replace(frozen[1], name="lora", rung=1, estimate=Estimate(0.5, 0.3, 0.7))
    taken = {"extract": 3.0, "train": 1.0}
    found = scores(arms=(*frozen, tuned), energy=Energy(40.0, 200.0, "a test"), seconds=taken)
    # 20 of 20 right with three quarters of the energy, 10 of 20 with all of it.
    assert found.energy_per_right == {"frozen": (1.5, 7.5), "tuned": (4.0, 20.0)}
    told = found.as_dict()["energy"]
    assert told["joules_per_right_answer"] == {"frozen": [1.5, 7.5], "tuned": [4.0, 20.0]}
    assert scores(energy=Energy(40.0, 200.0, "a test")).energy_per_right == {"frozen": (2.0, 10.0)}
    assert scores(energy=Energy(40.0, 200.0, "a test"), metric="macro-F1").energy_per_right == {}
    assert scores().energy_per_right == {}


@given(st.floats(0.02, 1), st.floats(1e-3, 1e4), st.floats(1e-3, 1e4), st.floats(1e-3, 1e6))
def test_energy_of_any_run_is_the_same_after_writing_and_reading(tmp_path_factory, right, extract, train, joules):
    frozen = scores().arms
    tuned = replace(frozen[1], name="lora", rung=1, estimate=Estimate(right, 0.0, 1.0))
    seconds = {"extract": extract, "train": train}
    made = scores(arms=(*frozen, tuned), seconds=seconds, energy=Energy(joules, 5 * joules, "a test"))
    file = written(tmp_path_factory.mktemp("run"), made)
    assert Scores.read(file).as_dict() == made.as_dict()
