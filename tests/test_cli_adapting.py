"""The command `handful adapt`: what it says, and what is said in place of a traceback."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from handful import api
from handful.backbones import catalog
from handful.export.bundle import Bundle
from handful.regimes import domain_adaptive
from handful.regimes.pool_training import RECIPES

LINES = [f"{['ants', 'bees'][i % 2]} hill {i} leaf {i % 7}" for i in range(110)]


@pytest.fixture
def short(monkeypatch):
    """Trainings of few updates."""
    monkeypatch.setattr(domain_adaptive, "RECIPES", {"text": replace(RECIPES["text"], updates=12)})


@pytest.fixture
def pool(tmp_path):
    """A text file with 110 different lines."""
    file = tmp_path / "pool.txt"
    file.write_text("\n".join(LINES), "utf-8")
    return file


def test_a_pool_becomes_a_base_that_tune_compares_with_its_original(handful, pool, table, tmp_path, short):
    done = handful("adapt", pool, "--out", "bases/mine", "--backbone", "toy-text", "--budget", "1min", "--seed", "3")
    assert done.code == 0, done.err
    first, second, last = done.out.splitlines()
    assert first.startswith("bases/mine is toy-text with the upper 1 of 2 blocks moved by 12 updates on 110 texts, in ")
    assert second.startswith("Of the 5 nearest neighbours of an item among 60 general sentences, ")
    assert last == "whether it is better, held-out rows say: handful tune ROWS --backbone toy-text,bases/mine"
    tuned = handful("tune", table(), "--backbone", "toy-text,bases/mine", "--budget", "0", "--out", "run")
    assert tuned.code == 0, tuned.err
    assert handful("predict", "run", pool).code == 0


def test_a_name_with_a_blank_is_quoted(handful, pool, short):
    done = handful("adapt", pool, "--out", "my bases/mine", "--backbone", "toy-text")
    assert done.out.splitlines()[-1].endswith("--backbone 'toy-text,my bases/mine'")


def test_what_cannot_be_done_is_one_sentence(handful, pool, tmp_path, leftovers):
    done = handful("adapt", pool, "--out", "mine", "--backbone", "toy-text", "--budget", "0")
    assert (done.code, done.out) == (1, "")
    assert done.err == "handful: budget must be more than 0 to move weights, got '0'. Try '5 min'.\n"
    assert handful("adapt", tmp_path / "no.txt", "--out", "mine").code == 1
    assert handful("adapt", pool).code == 2
    assert leftovers() == []


@pytest.mark.slow
@pytest.mark.integration
def test_a_base_of_real_weights_travels_with_its_model(handful, tmp_path, monkeypatch):
    (tmp_path / "pool.txt").write_text("\n".join(f"{word} number {i}" for i in range(50) for word in WORDS), "utf-8")
    done = handful("adapt", "pool.txt", "--out", "bases/mine", "--budget", "40s")
    assert done.code == 0, done.err
    assert done.out.startswith("bases/mine is minilm-l6 with the upper 2 of 6 blocks moved by ")
    data = api.load(
        [f"{word} {i}" for i in range(7) for word in WORDS], labels=["refund", "refund", "lost", "lost"] * 7
    )
    run = api.tune(data, backbone="bases/mine", budget=0)
    run.model.save("model", merge=True)
    assert (tmp_path / "model" / "backbones" / "0" / "original" / "model.safetensors").is_file()
    (tmp_path / "bases").rename(tmp_path / "gone")
    monkeypatch.setattr(catalog, "weights_folder", None)  # whoever asks for the weights of this machine fails
    copy = Bundle.load("model")
    np.testing.assert_array_equal(copy.predict_proba(data.items), run.model.predict_proba(data.items))


WORDS = ("refund the money", "charged twice", "parcel is late", "courier lost it")
