"""Protocols: how many folds and repeats for how many rows, classes and groups."""

import numpy as np
import pytest

from handful.evaluation.protocol import draw_folds, protocol_for
from handful.seeding import generator


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (6, "nested 5x3 stratified"),
        (9, "nested 5x4 stratified"),
        (12, "nested 5x5 stratified"),
        (200, "nested 5x5 stratified"),
        (201, "nested 2x5 stratified"),
    ],
)
def test_the_number_of_rows_decides(rows, name):
    assert protocol_for(np.arange(rows) % 2, np.arange(rows), False, affordable_repeats=2).name == name


def test_a_class_of_one_row_still_leaves_three_folds():
    assert protocol_for(np.array([0, 0, 0, 1]), np.arange(4), False).folds == 3


@pytest.mark.parametrize(
    ("rows", "name"), [(6, "nested 1x3 stratified"), (9, "nested 1x3 stratified"), (300, "nested 1x3 stratified")]
)
def test_what_costs_a_training_is_held_out_once_in_three_folds(rows, name):
    assert protocol_for(np.arange(rows) % 2, np.arange(rows), False).fewest.name == name


@pytest.mark.parametrize(("count", "name"), [(3, "nested leave-one-group-out"), (6, "nested 1x3 stratified grouped")])
def test_groups_stay_whole_in_three_folds(count, name):
    groups = np.repeat(np.arange(count), 10)
    truth = np.arange(len(groups)) % 5
    few = protocol_for(truth, groups, True).fewest
    assert few.name == name
    (folds,) = draw_folds(few, truth, groups, generator(0, "folds"))
    assert len(np.unique(folds)) == 3
    assert all(len(np.unique(folds[groups == g])) == 1 for g in range(count))


def test_few_groups_are_left_out_one_by_one():
    groups = np.repeat(np.arange(6), 10)
    protocol = protocol_for(np.arange(len(groups)) % 3, groups, True)
    assert protocol.name == "nested leave-one-group-out"
    folds = draw_folds(protocol, np.arange(60) % 10, groups, generator(0, "folds"))
    assert folds.shape == (1, 60)
    assert all(len(np.unique(folds[0, groups == g])) == 1 for g in range(6))


def test_many_groups_are_dealt_whole():
    groups = np.repeat(np.arange(30), 3)
    protocol = protocol_for(np.arange(len(groups)) % 3, groups, True)
    assert protocol.name == "nested 5x5 stratified grouped"
    folds = draw_folds(protocol, np.arange(90) % 3, groups, generator(0, "folds"))
    assert folds.shape == (5, 90)
    assert all(len(np.unique(folds[r, groups == g])) == 1 for r in range(5) for g in range(30))
    assert not (folds[0] == folds[1]).all()
