"""What commands say of models that they cannot take: of defects, masks and boxes, each with what to do instead."""

from __future__ import annotations

import pytest

KINDS = ("defects", "masks", "boxes")
NO_ITEMS = "must hold a model of labelled items, got one of {}. Use `handful predict`."


def test_export(part_runs, tmp_path, handful):
    ended = handful("export", str(part_runs / "run_boxes"), "--out", str(tmp_path / "out"))
    assert ended.code == 1
    assert NO_ITEMS.format("boxes") in ended.err


@pytest.mark.parametrize("kind", ("masks", "boxes"))
@pytest.mark.parametrize("command", ("check", "explain"))
def test_check_and_explain(part_runs, handful, kind, command):
    ended = handful(command, str(part_runs / f"run_{kind}"), str(part_runs / "boxes" / "images" / "0.png"))
    assert ended.code == 1
    assert NO_ITEMS.format(kind) in ended.err


@pytest.mark.parametrize("kind", KINDS)
def test_update_says_to_tune_again(part_runs, handful, kind):
    ended = handful("update", str(part_runs / f"run_{kind}"), str(part_runs / kind))
    assert ended.code == 1
    assert (
        f"run_{kind} must be a run of labelled items or of a language model to be updated, got one of {kind}. Put old "
        "and new items into one folder, and tune again."
    ) in ended.err


@pytest.mark.parametrize("kind", KINDS)
def test_chat(part_runs, handful, kind):
    ended = handful("chat", str(part_runs / f"run_{kind}"))
    assert ended.code == 1
    assert f"must hold a language model, got {kind}. Use `handful predict` with it." in ended.err
