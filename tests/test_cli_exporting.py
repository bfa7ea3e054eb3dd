"""The command export: what goes with which format, and what is said of a copy for elsewhere."""

from __future__ import annotations

import json

import pytest

from exportable import TEXTS, model, text
from handful.backbones import catalog
from handful.errors import OptionError
from handful.export.onnx import exporting

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


def test_a_detector_has_no_copy_in_onnx(handful, run, monkeypatch):
    monkeypatch.setattr("handful.cli.exporting.is_detector", lambda place: True)
    ended = handful("export", run, "--out", "copy", "--format", "onnx")
    assert (ended.code, ended.err) == (
        1,
        "handful: --format onnx is for models that answer with a linear map, got a model of defects, which compares "
        "with normal items. Export it without --format, for handful.\n",
    )
