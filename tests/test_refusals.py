"""What commands say of models that they cannot take: of defects, masks and boxes, each with what to do instead."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from handful.api import tune
from test_tune_boxes import laid as laid_boxes
from test_tune_masks import laid as laid_masks

QUICK = {"backbone": "toy-image"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind, and what it learned from."""
    place = tmp_path_factory.mktemp("refusals")
    (place / "defects").mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(100, 140, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(place / "defects" / f"{i}.png")
    laid_masks(place / "masks", 3)
    laid_boxes(place / "boxes", 3)
    for task in ("defects", "masks", "boxes"):
        tune(place / task, task=task, out=place / f"run_{task}", **QUICK)
    return place


KINDS = ("defects", "masks", "boxes")
NO_ITEMS = "must hold a model of labelled items, got one of {}. Use `handful predict`."


@pytest.mark.parametrize("kind", KINDS)
def test_serve(runs, handful, kind):
    ended = handful("serve", str(runs / f"run_{kind}"), "--port", "0")
    assert ended.code == 1
    assert NO_ITEMS.format(kind) in ended.err


def test_export(runs, tmp_path, handful):
    ended = handful("export", str(runs / "run_boxes"), "--out", str(tmp_path / "out"))
    assert ended.code == 1
    assert NO_ITEMS.format("boxes") in ended.err


@pytest.mark.parametrize("kind", ("masks", "boxes"))
@pytest.mark.parametrize("command", ("check", "explain"))
def test_check_and_explain(runs, handful, kind, command):
    ended = handful(command, str(runs / f"run_{kind}"), str(runs / "boxes" / "images" / "0.png"))
    assert ended.code == 1
    assert NO_ITEMS.format(kind) in ended.err


@pytest.mark.parametrize("kind", KINDS)
def test_update_says_to_tune_again(runs, handful, kind):
    ended = handful("update", str(runs / f"run_{kind}"), str(runs / kind))
    assert ended.code == 1
    assert (
        f"run_{kind} must be a run of labelled items or of a language model to be updated, got one of {kind}. Put old "
        "and new items into one folder, and tune again."
    ) in ended.err


@pytest.mark.parametrize("kind", KINDS)
def test_chat(runs, handful, kind):
    ended = handful("chat", str(runs / f"run_{kind}"))
    assert ended.code == 1
    assert f"must hold a language model, got {kind}. Use `handful predict` with it." in ended.err
