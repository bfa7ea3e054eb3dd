"""Shortcuts: traits that give the label away, and chance that does not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.data.dataset import Dataset
from handful.inspection.shortcuts import shortcuts, shortcuts_in

LABELS = ["a"] * 8 + ["b"] * 8 + ["c"] * 8


def rng():
    return np.random.default_rng(0)


def rules(values, labels=LABELS, name="width"):
    return [(rule.trait, rule.label) for rule in shortcuts_in([{name: v} for v in values], labels, rng())]


def test_a_class_of_another_size_is_found_also_in_the_middle():
    noise = rng().integers(0, 5, 24)
    values = [float(n + {"a": 0, "b": 100, "c": 200}[label]) for n, label in zip(noise, LABELS, strict=True)]
    assert rules(values) == [("width", "a"), ("width", "b"), ("width", "c")]
    only_b = [float(n + 50 * (label == "b")) for n, label in zip(noise, LABELS, strict=True)]
    assert rules(only_b) == [("width", "b")]


def test_a_class_of_another_format_is_found():
    assert rules(["PNG" if label == "c" else "JPEG" for label in LABELS], name="format") == [("format", "c")]


def test_what_is_unknown_for_one_class_only_is_found():
    found = [{"rate": 8000.0} | ({"bytes per second": 1.0} if label == "a" else {}) for label in LABELS]
    assert [(rule.trait, rule.label) for rule in shortcuts_in(found, LABELS, rng())] == [("bytes per second", "a")]


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_not_reported(seed):
    noise = np.random.default_rng(seed).normal(size=(24, 6))
    found = [{f"trait {j}": float(v) for j, v in enumerate(row)} for row in noise]
    assert shortcuts_in(found, LABELS, rng()) == []


def test_what_contents_explain_has_to_be_almost_perfect():
    values = [10.0 if label == "a" else 1.0 for label in LABELS]
    values[0] = 1.0  # seven of eight: strong, but texts of one class may well be longer
    assert rules(values, name="length") == []
    assert rules(values) == [("width", "a")]


def test_a_name_that_spells_the_label_is_no_shortcut_and_another_is():
    assert rules(LABELS, name="name starts with") == []
    assert rules(["dsc"] * 8 + ["img"] * 16, ["ant"] * 8 + ["bee"] * 8 + ["wasp"] * 8, "name starts with") == [
        ("name starts with", "ant")
    ]


@pytest.mark.parametrize(("values", "labels"), [([1.0] * 24, LABELS), ([1.0, 2.0], ["a", "b"]), ([1.0] * 8, ["a"] * 8)])
def test_constant_traits_few_rows_and_one_class(values, labels):
    assert rules(values, labels) == []


def test_a_class_saved_at_another_jpeg_quality(tmp_path):
    items = []
    for i, label in enumerate(LABELS):
        pixels = np.random.default_rng(i).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        items.append(tmp_path / f"{i}.jpg")
        Image.fromarray(pixels).save(items[-1], quality=50 if label == "b" else 90)
    data = Dataset(items, "image", tuple(LABELS), rows=tuple(range(24)))
    found = {finding.message.split(" alone")[0]: finding for finding in shortcuts(data, rng())}
    said = found['class "b" can be told by JPEG quality']
    assert said.kind == "shortcut"
    assert said.rows == tuple(range(8, 16))
    assert said.message == (
        'class "b" can be told by JPEG quality alone: a rule on it holds 100% more of "b" than of the others '
        "(p 0.005, corrected for all rules tried)"
    )
    assert said.advice == (
        "Collect or save all classes in the same way: a model may learn how the files were made in place of what they "
        "show."
    )


def test_rows_without_labels_and_files_that_have_gone():
    assert list(shortcuts(Dataset(["t"], "text"), rng())) == []
    gone = Dataset([Path("gone.jpg")] * 24, "image", tuple(LABELS))
    assert list(shortcuts(gone, rng())) == []
