"""Adapted bases: written, found by the catalogue, and refused with a reason where anything is wrong with one."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from handful.backbones import adapted, adapted_record, catalog, entries
from handful.backbones.adapted_record import Record
from handful.backbones.toy import ToyText
from handful.errors import OptionError, WeightsError

ADVICE = "Restore the base, or make it again with `handful adapt`."
TEXTS = ["one two", "three four five", "six"]


def record_of(**other):
    known = Record("text", "toy-text", ToyText().fingerprint, "blocks", 1, "InfoNCE(temperature=0.05)", 5, 100, 0, "")
    return replace(known, **other)


@pytest.fixture
def base(tmp_path):
    """A base of toy-text whose upper block is the mirror image of what it was."""
    folder = tmp_path / "bases" / "mine"
    folder.mkdir(parents=True)
    adapted.write(folder, record_of(), {"0.weight": -ToyText().blocks[1].weight})
    return folder


def refused(folder, modality="text", error=WeightsError):
    with pytest.raises(error) as caught:
        catalog.load(str(folder), modality)
    return str(caught.value)


def signed(folder, **other):
    """Change entries of the record and sign it anew."""
    entries_of = json.loads((folder / "adapted.json").read_text("utf-8"))
    del entries_of["sha256"]
    entries_of.update(other)
    entries_of["sha256"] = adapted_record._digest(entries_of)
    (folder / "adapted.json").write_text(json.dumps(entries_of), "utf-8")


def test_the_catalogue_loads_a_base_by_its_folder(base):
    toy, made = ToyText(), catalog.load(str(base), "text")
    before, after = (backbone.encode(TEXTS, (1, 2)) for backbone in (toy, made))
    np.testing.assert_array_equal(before[1], after[1])
    assert not np.allclose(before[2], after[2])
    assert made.name == str(base)
    assert made.fingerprint.startswith(f"{toy.fingerprint}+")
    assert made.fingerprint == catalog.load(str(base), "text").fingerprint
    assert not any(weight.requires_grad for weight in made.blocks[1].parameters())


def test_a_base_of_other_weights_has_another_fingerprint(base):
    first = catalog.load(str(base), "text").fingerprint
    adapted.write(base, record_of(), {"0.weight": ToyText().blocks[1].weight})
    assert catalog.load(str(base), "text").fingerprint != first


def test_a_base_is_found_again_from_any_other_folder(base, monkeypatch):
    monkeypatch.chdir(base.parent)
    assert catalog.located("mine") == str(base)
    assert catalog.located("./mine") == str(base)


def test_a_base_costs_what_its_original_costs(base):
    adapted.write(base, record_of(original="bge-small-en"), {"0.weight": ToyText().blocks[1].weight})
    assert entries.price_of([str(base)]) == entries.price_of(["bge-small-en"]) == 2
    (base / "adapted.json").write_text("{}")  # whoever loads it says what is wrong
    assert entries.price_of([str(base)]) == 1


def test_a_base_is_for_the_items_of_its_original(base):
    assert refused(base, "image", OptionError) == (
        f"backbone '{base}' is for text, but the items are image: choose another."
    )


def test_a_record_that_is_no_json(base):
    (base / "adapted.json").write_text("{")
    assert re.fullmatch(rf"{base}/adapted\.json cannot be read \(.+\)\. {re.escape(ADVICE)}", refused(base))


def test_a_record_that_was_changed(base):
    file = base / "adapted.json"
    file.write_text(file.read_text("utf-8").replace('"items": 100', '"items": 900'))
    assert refused(base) == f"{file} was changed after it was written: its hash differs. {ADVICE}"


def test_a_record_of_another_format(base):
    signed(base, format=2)
    assert refused(base) == (
        f"{base}/adapted.json must have format 1, got '2'. Update handful, or make the base again with `handful adapt`."
    )


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("modality", "smell"), ("original", ""), ("original", "//server/share"), ("original", "a\x00b"),
        ("original", "x" * 2000), ("fingerprint", ""), ("tuner", "lora"), ("first", -1), ("objective", ""),
        ("updates", -1), ("items", -1), ("weights", "abc"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be(base, entry, value):
    signed(base, **{entry: value})
    assert refused(base) == f"{base}/adapted.json has a wrong entry ({entry}). {ADVICE}"


@pytest.mark.parametrize(("entry", "value"), [("first", "1"), ("original", 3), ("seed", None), ("updates", True)])
def test_an_entry_of_another_kind(base, entry, value):
    signed(base, **{entry: value})
    assert refused(base) == f"{base}/adapted.json cannot be read ({entry} cannot be {value!r}). {ADVICE}"


@pytest.mark.parametrize("content", ["[]", "3", "null", '{"format": 1}'])
def test_what_is_no_record(base, content):
    (base / "adapted.json").write_text(content)
    assert str(base / "adapted.json") in refused(base)


def test_weights_that_were_changed(base):
    file = base / "adapted.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert refused(base) == f"{file} was changed after it was written: its hash differs. {ADVICE}"


def test_weights_that_are_gone(base):
    (base / "adapted.safetensors").unlink()
    assert refused(base).startswith(f"{base}/adapted.safetensors cannot be read (")


@pytest.mark.parametrize(
    "delta",
    [
        {"0.weight": torch.zeros(3, 3)}, {"weight": torch.zeros(32, 32)}, {},
        {"0.weight": torch.zeros(32, 32), "1.weight": torch.zeros(1)},
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(base, delta):
    adapted.write(base, record_of(), delta)
    assert refused(base) == f"{base}/adapted.safetensors must hold the weights of toy-text above block 1. {ADVICE}"


@pytest.mark.parametrize("first", [2, 9])
def test_more_frozen_blocks_than_there_are(base, first):
    adapted.write(base, record_of(first=first), {"0.weight": torch.zeros(32, 32)})
    assert "must hold the weights of toy-text above block" in refused(base)


@pytest.mark.parametrize("weight", [torch.full((32, 32), torch.nan), torch.zeros(32, 32, dtype=torch.float64)])
def test_weights_that_are_no_numbers(base, weight):
    adapted.write(base, record_of(), {"0.weight": weight})
    assert refused(base) == f"{base}/adapted.safetensors: 0.weight must be finite float32 numbers. {ADVICE}"


def test_what_is_no_file_of_tensors(base):
    (base / "adapted.safetensors").write_bytes(b"rubbish")
    signed(base, weights=hashlib.sha256(b"rubbish").hexdigest())
    assert refused(base).startswith(f"{base}/adapted.safetensors cannot be read (")


def test_an_original_that_is_gone(base, tmp_path):
    signed(base, original=str(tmp_path / "gone"))
    message = refused(base)
    assert message.startswith(f"base {base} must find its original '{tmp_path}/gone', which cannot be loaded: backbone")
    assert message.endswith(". Get it back, or make the base again with `handful adapt`.")


def test_an_original_that_was_never_fetched_from_its_hub_is_not_asked_for(base):
    signed(base, original="owner/model")
    assert refused(base) == (
        f"base {base} must find its original 'owner/model', which cannot be loaded: it must have been fetched before; "
        "if you trust it: hf download owner/model. Get it back, or make the base again with `handful adapt`."
    )


def test_an_original_that_is_another_one_now(base):
    signed(base, fingerprint="0123456789abcdef")
    assert refused(base) == (
        f"base {base} must have the original that it began from, 'toy-text' (0123456789abcdef), got "
        f"{ToyText().fingerprint}. Get the weights used then, or make it again with `handful adapt`."
    )


def test_bases_that_name_each_other_end(base):
    other = base.with_name("other")
    shutil.copytree(base, other)
    signed(base, original=str(other))
    signed(other, original=str(base))
    assert "which cannot be loaded: it is a base itself. " in refused(base)


def test_a_copy_of_the_original_that_the_catalogue_does_not_know(base):
    signed(base, original="minilm-l6")
    (base / "original").mkdir()
    save_file({"x": torch.zeros(1)}, base / "original" / "model.safetensors")
    assert "the copy beside it must be what the catalogue knows, but LICENSE is missing. " in refused(base)
