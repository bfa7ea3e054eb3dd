"""What is said of confidence is what held-out rows show, and nothing where they show nothing."""

import numpy as np
import pytest

from handful.evaluation.scores import HeldOut
from handful.report.confidence import confidence_note
from handful.report.page import render

SAME = "always answering the same class"


def answers(count, sure, right):
    """Half of the answers less sure than the other half, each half right as often as told."""
    half = count // 2
    made = [(sure[0], i < right[0] * half) for i in range(half)] + [(sure[1], i < right[1] * half) for i in range(half)]
    return [HeldOut(i, "a", "a" if true else "b", p, 0.5) for i, (p, true) in enumerate(made)]


def test_a_model_like_a_coin_is_not_called_calibrated():
    for count in (40, 400):
        assert confidence_note(answers(count, (0.5, 0.5), (0.5, 0.5)), False, SAME, None) == (
            "Its confidence says nothing yet: the model is not shown to be better than always answering the same class."
        )


def test_few_rows_do_not_say_how_far_confidence_holds():
    assert confidence_note(answers(40, (0.7, 0.9), (0.7, 0.9)), True, SAME, None) == (
        "Its confidence was fitted on 40 held-out rows, too few to say how far it holds: on the mean it was 80% sure "
        "and 80% right (65\N{EN DASH}90%)."
    )


def test_confidence_that_was_measured_on_enough_rows_is_told_with_what_was_measured():
    assert confidence_note(answers(200, (0.7, 0.9), (0.7, 0.9)), True, SAME, None) == (
        "Its confidence agrees with what was measured: on 200 held-out rows the less sure half of its answers was 70% "
        "sure and 70% right (60\N{EN DASH}78%), the surer half 90% sure and 90% right (83\N{EN DASH}94%). Of answers "
        "with 80%, about 80 of 100 should be right."
    )


def test_confidence_that_is_off_is_called_so():
    note = confidence_note(answers(200, (0.7, 0.99), (0.7, 0.85)), True, SAME, None)
    assert note.startswith("Its confidence does not agree with what was measured: on 200 held-out rows")
    assert "should be right" not in note


def test_rows_of_few_groups_are_fewer_than_they_seem():
    made = answers(200, (0.7, 0.99), (0.7, 0.9))
    groups = [str(i) for i in np.arange(200) // 50]
    assert confidence_note(made, True, SAME, None) != confidence_note(made, True, SAME, groups)


@pytest.mark.parametrize("skill", [0.95, 0.2])
def test_the_page_says_of_confidence_what_its_rows_show(make_run, tmp_path, skill):
    run = make_run([f"text {i}" for i in range(60)], ["a", "b", "c"] * 20, skill=skill)
    page = render(run, tmp_path)
    assert "is calibrated" not in page
    assert ("Its confidence says nothing yet" in page) == (skill == 0.2)
    assert ("too few to say how far it holds" in page) == (skill == 0.95)
