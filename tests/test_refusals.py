"""What commands say of models that they cannot take: of defects, masks and boxes, each with what to do instead."""

from __future__ import annotations

import pytest

KINDS = ("defects", "masks", "boxes")


def test_export_without_parts(part_runs, tmp_path, handful):
    ended = handful("export", str(part_runs / "run_boxes"), "--out", str(tmp_path / "out"), "--format", "static")
    assert ended.code == 1
    assert ended.err == (
        "handful: --format static is for models that answer items as wholes, got one of boxes. Use --format onnx "
        "without it.\n"
    )


@pytest.mark.parametrize("kind", ("masks", "boxes"))
def test_explain_says_what_to_look_at(part_runs, handful, kind):
    run, item = str(part_runs / f"run_{kind}"), str(part_runs / "boxes" / "images" / "0.png")
    ended = handful("explain", run, item)
    assert ended.code == 1
    assert (
        "explain is for models whose answer hangs on something that can be left out, got a model of "
        f"{kind}, which tells all that it sees. Look at it: handful predict {run} {item} --maps FOLDER"
    ) in ended.err


@pytest.mark.parametrize("kind", ("masks", "boxes"))
def test_check_needs_pictures_with_what_is_right_beside_them(part_runs, handful, kind):
    run, item = str(part_runs / f"run_{kind}"), str(part_runs / "boxes" / "images" / "0.png")
    ended = handful("check", run, item)
    assert ended.code == 1
    assert (
        f"new pictures must be a folder with {kind} beside them, got the file {item}. Name a folder as `handful tune "
        f"FOLDER --task {kind}` reads it."
    ) in ended.err
    ended = handful("check", run, str(part_runs / kind), "--label", "topic")
    assert ended.code == 1
    assert (
        f"labels and columns are those of lists and tables, got a model of {kind}: put {kind} beside the pictures, and "
        "leave label and input out."
    ) in ended.err


@pytest.mark.parametrize("kind", KINDS)
def test_chat(part_runs, handful, kind):
    ended = handful("chat", str(part_runs / f"run_{kind}"))
    assert ended.code == 1
    assert f"must hold a language model, got {kind}. Use `handful predict` with it." in ended.err
