"""The command export: what goes with which format, and what is said of a copy for elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from exportable import TEXTS, model, text
from handful.backbones import catalog
from handful.errors import OptionError
from handful.export.onnx import exporting
from handful.export.segmenter import Segmenter
from handful.features.pixels import FILTERS, filtered
from handful.strategies.frozen.pixels import PixelMap

LABELS = ["late", "money", "other", "money", "late"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run folder with a small model of texts, and the rows that it names as its source."""
    made = model([text()], 2)
    made.save(tmp_path / "run" / "model")
    rows = "text,label\n" + "".join(f"{item},{label}\n" for item, label in zip(TEXTS, LABELS, strict=False))
    (tmp_path / "rows.csv").write_text(rows)
    plan = {"source": {"value": str(tmp_path / "rows.csv"), "from": "command line"}}
    (tmp_path / "run" / "plan.yaml").write_text(json.dumps(plan))
    load = catalog.load
    monkeypatch.setattr(catalog, "load", lambda name, *a, **k: text() if name == "tiny-text" else load(name, *a, **k))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "onx"], "--format must be one of handful, onnx, static, web, got 'onx'. Did you mean 'onnx'?"),
        (["--int8"], "--int8 is for --format onnx or web, got --format handful. Leave one of them out."),
        (
            ["--merge", "--format", "onnx"],
            "--merge is for --format handful, got --format onnx. Leave one of them out.",
        ),
        (
            ["--runtime", "x", "--format", "onnx"],
            "--runtime is for --format web, got --format onnx. Leave one of them out.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(handful, run, words, said):
    ended = handful("export", run, "--out", "copy", *words)
    assert (ended.code, ended.err) == (1, f"handful: {said}\n")


def test_a_copy_is_compared_with_the_rows_of_the_run(handful, run, tmp_path):
    ended = handful("export", run, "--out", tmp_path / "copy", "--format", "onnx")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("compared: 100% of 26 answers are the same (")
    assert lines[0].count("the loss changes by") == 1
    assert lines[1].startswith(f"written: {tmp_path / 'copy'} (float32 ")
    assert lines[2] == f"use it: python {tmp_path / 'copy' / 'run.py'} ITEM"


def test_a_language_model_has_no_copy_in_onnx(handful, toy):
    ended = handful("export", toy, "--out", "copy", "--format", "onnx")
    assert (ended.code, ended.err) == (
        1,
        "handful: --format onnx is for models of labelled items, got a language model. Export it with --merge, for "
        "transformers.\n",
    )


def test_a_task_without_a_link_is_refused(tmp_path, monkeypatch):
    made = model([text()], 2)
    monkeypatch.setattr(type(made.task), "link", None)
    with pytest.raises(OptionError) as error:
        exporting.export_onnx(made, tmp_path / "copy", exporting.KnownRows(), exporting.ExportOptions())
    assert str(error.value) == (
        "the answers of classification cannot be expressed in ONNX. Export without --format, for handful."
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--unlabelled", "x.txt"], "--unlabelled is for --distil NAME, which learns from it. Leave it out."),
        (
            ["--distil", "minilm-l6", "--format", "static"],
            "--distil is for --format handful or onnx or web, got --format static. Leave one of them out.",
        ),
        (
            ["--rows", "x.csv"],
            "--rows is for --format onnx or static or web, got --format handful. Leave one of them out.",
        ),
        (
            ["--distil", "minilm-l7"],
            "backbone must be a name of the catalogue, a local folder or a Hugging Face id such as owner/model, got",
        ),
    ],
)
def test_what_does_not_go_with_a_smaller_model_is_refused(handful, run, words, said):
    ended = handful("export", run, "--out", "copy", *words)
    assert ended.code == 1
    assert ended.err.startswith(f"handful: {said}")


def test_a_language_model_is_not_distilled(handful, toy):
    ended = handful("export", toy, "--out", "copy", "--distil", "minilm-l6")
    assert (ended.code, ended.err) == (
        1, "handful: --distil is for models of labelled items, got a language model. Leave it out.\n",
    )  # fmt: skip


def test_a_smaller_model_needs_the_answers_of_the_run(handful, run):
    ended = handful("export", run, "--out", "copy", "--distil", "toy-text")
    assert ended.code == 1
    assert "--distil needs the run folder with its labelled rows" in ended.err


@pytest.mark.parametrize(
    ("task", "called"),
    [("tagging", "spans"), *((name, name) for name in ("events", "defects", "masks", "boxes"))],
)
@pytest.mark.parametrize("words", [["--format", "static"], ["--format", "web"], ["--distil", "minilm-l6"]])
def test_a_model_of_parts_has_no_copy_that_answers_wholes(handful, run, monkeypatch, task, called, words):
    monkeypatch.setattr("handful.cli.exporting.record_of", lambda place: {"task": task})
    ended = handful("export", run, "--out", "copy", *words)
    assert (ended.code, ended.err) == (
        1,
        f"handful: {' '.join(words)} is for models that answer items as wholes, got one of {called}. Use --format onnx "
        "without it.\n",
    )


@pytest.fixture
def masks(tmp_path):
    """A run of masks by filters alone, with its folder of pictures."""
    rng, source = np.random.default_rng(0), tmp_path / "cells"
    for part in ("images", "masks"):
        (source / part).mkdir(parents=True)
    for number in range(4):
        pixels = rng.integers(0, 90, (40, 48, 3)).astype(np.uint8)
        pixels[10:30, 5 + number : 30] += 120
        mask = np.zeros((40, 48), np.uint8)
        mask[10:30, 5 + number : 30] = 255
        Image.fromarray(pixels).save(source / "images" / f"{number}.png")
        Image.fromarray(mask).save(source / "masks" / f"{number}.png")
    width = filtered(pixels).shape[-1]
    looks = PixelMap((FILTERS,), np.zeros(width, np.float32), np.ones(width, np.float32),
                     rng.normal(size=(width, 2)).astype(np.float32), np.zeros(2, np.float32))  # fmt: skip
    Segmenter("", "", looks, ("0", "255")).save(tmp_path / "run" / "model")
    plan = {"source": {"value": str(source), "from": "command line"}}
    (tmp_path / "run" / "plan.yaml").write_text(json.dumps(plan))
    return tmp_path / "run"


def test_a_copy_of_masks_is_compared_with_the_masks_of_the_run(handful, masks, tmp_path):
    ended = handful("export", masks, "--out", tmp_path / "copy", "--format", "onnx")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("compared: 100% of the pixels of 17 items are the same (")
    assert "the loss changes by" in ended.out
    assert (tmp_path / "copy" / "run.py").is_file()


def test_a_model_of_parts_is_copied_for_handful_without_its_backbone(handful, masks, tmp_path):
    ended = handful("export", masks, "--out", tmp_path / "copy")
    assert (ended.code, ended.out) == (0, f"use it: handful predict {tmp_path / 'copy'} NEW\n")
    assert Segmenter.load(tmp_path / "copy").names == ("0", "255")
    ended = handful("export", masks, "--out", tmp_path / "copy", "--merge")
    assert (ended.code, ended.err) == (
        1, "handful: --merge is for models that answer items as wholes, got one of parts. Leave it out.\n",
    )  # fmt: skip
