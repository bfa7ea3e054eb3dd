"""Normal and bad items are read: which class is the normal one, when defects are offered, and what is refused."""

from __future__ import annotations

import pytest

import handful
from handful.data.normal import bad_name, is_normal_name, normal_name
from handful.errors import DataError, OptionError


@pytest.mark.parametrize("name", ["good", "OK", "Normal", "defect-free", "no_defect", "nominal"])
def test_names_of_normal_classes(name):
    assert is_normal_name(name)
    assert not is_normal_name(f"{name} scratch")


def test_the_normal_class_is_known_by_its_name():
    assert normal_name(["crack", "good"], "photos") == "good"
    assert bad_name(["crack", "good"], "good") == "crack"
    assert bad_name(["crack", "dent", "good"], "good") == "defect"
    assert bad_name(["good"], "good") == "defect"
    with pytest.raises(
        DataError, match=r"photos must have one class of normal items that is called good, ok or normal"
    ):
        normal_name(["crack", "dent"], "photos")
    with pytest.raises(DataError, match="which all are"):
        normal_name(["good", "ok"], "photos")


def test_a_folder_of_good_pictures_alone_is_one_of_defects(pictures):
    data = handful.load(pictures({"good": 6}))
    assert data.task == "defects"
    assert 'task: defects, because "good" is the only class to learn from' in data.notes[-1]


def test_few_bad_pictures_beside_good_ones_are_no_class(pictures):
    data = handful.load(pictures({"bad": 3, "good": 8}))
    assert data.task == "defects"
    assert 'beside 8 of "good" there are 3 others, too few for classes' in data.notes[-1]
    assert handful.load(pictures(), task="classification").task == "classification"


def test_many_bad_pictures_are_a_class(pictures):
    assert handful.load(pictures({"bad": 6, "good": 8})).task == "classification"
    assert handful.load(pictures({"bad": 6, "good": 8}), task="defects").task == "defects"


def test_another_single_class_is_offered_and_not_taken(pictures):
    folder = pictures({"screws": 6})
    with pytest.raises(DataError, match="if all of them show good things, --task defects learns what is unlike them"):
        handful.load(folder)
    assert handful.load(folder, task="defects").classes == ("screws",)


def test_pictures_in_no_folder_of_a_class_are_good_where_that_is_said(pictures):
    bare = pictures({"screws": 6}) / "screws"
    with pytest.raises(DataError, match="--task defects learns what is unlike them"):
        handful.load(bare)
    assert handful.load(bare, task="defects").labels == ("normal",) * 6
    good = bare.rename(bare.with_name("good_parts"))
    assert handful.load(good).task == "defects"
    assert "its name says good ones" in handful.load(good).notes[-1]


def test_too_few_good_pictures_are_refused(pictures):
    with pytest.raises(
        DataError, match=r'has 1 normal item to learn from \("good"\); how much they differ takes at least'
    ):
        handful.load(pictures({"good": 1}), task="defects")


def test_a_list_of_items_may_be_all_normal():
    data = handful.load([f"line {i}" for i in range(5)], task="defects")
    assert data.labels == ("normal",) * 5


def test_folders_hold_classes_or_normal_items(pictures):
    with pytest.raises(OptionError, match="task must be classification, defects, masks or boxes for a folder"):
        handful.load(pictures(), task="regression")


def test_a_table_says_which_rows_are_good(table, sentences):
    data = handful.load(table(sentences({"good": 9, "odd": 3})), task="defects")
    assert data.task == "defects"
    assert data.counts == {"good": 9, "odd": 3}
    with pytest.raises(DataError, match="must have one class of normal items that is called good, ok or normal, got"):
        handful.load(table(sentences({"ants": 9, "bees": 3})), task="defects")


def test_bad_pictures_may_be_in_the_test_alone(pictures):
    folder = pictures({"good": 8, "scratch": 12})
    for part, kind in (("train", "good"), ("test", "scratch")):
        (folder / part).mkdir()
        (folder / kind).rename(folder / part / kind)
    data = handful.load(folder)
    assert data.task == "defects"
    assert data.split.count("test") == 12
