"""What is known of looks: about backbones of the catalogue, a dearer one against a cheaper one."""

import pytest

from handful.backbones import catalog, entries
from handful.strategies.frozen.known_looks import EXPERIENCE, SECOND_INPUT, inputs_of, known


@pytest.mark.parametrize(("below", "above"), EXPERIENCE)
def test_what_is_known_is_of_defaults_the_dearer_against_the_cheaper(below, above):
    (modality,) = {entries.find(name).modality for name in (*below, *above)}
    assert {*below, *above} <= {*catalog.defaults(modality), *catalog.defaults(modality, foreign=True)}
    assert entries.price_of(below) < entries.price_of(above)


def test_each_look_is_told_what_is_known_of_it_against_the_others():
    looks = [("minilm-l6",), ("toy-text",), ("bge-small-en",)]
    first, other, dearer = known(looks, list(map(inputs_of, looks)))
    assert (first, other) == ({}, {})
    assert dearer == {0: EXPERIENCE[("minilm-l6",), ("bge-small-en",)]}


def test_both_inputs_are_told_what_is_thought_of_a_second_one_against_each_alone():
    looks = [("efficientnet-lite0",), ("minilm-l6",), ("bge-small-en",), ("efficientnet-lite0", "minilm-l6")]
    image, text, other, both = known(looks, list(map(inputs_of, looks)))
    assert (image, text) == ({}, {})
    assert list(other) == [1]
    assert both == dict.fromkeys(range(3), SECOND_INPUT)
