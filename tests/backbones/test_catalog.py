"""The catalogue: names, suggestions, and which way a name is loaded."""

from __future__ import annotations

import importlib
import re

import pytest

from handful.backbones import catalog, entries
from handful.data.dataset import MODALITIES
from handful.errors import OptionError


def test_names_are_unique():
    names = [entry.name for entry in entries.ENTRIES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("entry", entries.ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry):
    assert entry.modality in MODALITIES
    assert entry.licence
    assert entry.parameters > 0 or entry.weightless
    assert entry.price > 0
    assert len(entry.what) <= 100
    if entry.uses:
        assert entry.wheel is None
        assert not entry.files
        assert entries.find(entry.uses).wheel
        assert entry.weights == entry.uses
    elif entry.weightless:
        assert not entry.files
    else:
        assert entry.weights == entry.name
        assert entry.version
        assert entry.members
        assert entry.download > 1_000_000
        assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert {"LICENSE", "model.safetensors"} <= set(entry.files)
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in entry.files.values())
        assert len({member.rpartition("/")[2] for member in entry.members}) == len(entry.members)


@pytest.mark.parametrize("entry", entries.ENTRIES, ids=lambda entry: entry.name)
def test_the_module_of_an_entry_converts_and_loads(entry):
    module = importlib.import_module(f"handful.backbones.{entry.module}")
    assert entry.weightless or callable(module.convert)
    assert callable(module.load)


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("modality", ["text", "image", "sound"])
def test_defaults_are_entries_of_their_modality_the_cheapest_first(modality, foreign):
    found = [entries.find(name) for name in catalog.defaults(modality, foreign)]
    assert found
    assert {entry.modality for entry in found} == {modality}
    prices = [entry.price for entry in found]
    assert prices == sorted(prices)


def test_a_look_costs_what_its_backbones_cost_together():
    assert entries.price_of(["minilm-l6", "bge-small-en"]) == pytest.approx(3)
    assert entries.price_of(["toy-text", "owner/model"]) == 2


def test_an_unknown_modality_is_refused():
    with pytest.raises(
        OptionError,
        match=r"^modality must be one of text, image, sound, language, vectors, image\+text, got 'smell'\.$",
    ):
        catalog.defaults("smell")


def test_finding_a_misspelt_name_suggests_the_right_one():
    with pytest.raises(
        OptionError, match=r"^backbone must be one of minilm-l6, .*got 'minilm'\. Did you mean 'minilm-l6'\?$"
    ):
        entries.find("minilm")


def test_loading_a_misspelt_name_lists_what_fits_the_items():
    expected = (
        r"^backbone for image must be one of efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, toy-image, "
        r"a local folder or a Hugging Face id such as owner/model, got 'eficientnet-lite0'\. "
        r"Did you mean 'efficientnet-lite0'\?$"
    )
    with pytest.raises(OptionError, match=expected):
        catalog.load("eficientnet-lite0", "image")


def test_a_sound_backbone_has_to_be_one_of_ours(tmp_path):
    for name in ("facebook/wav2vec2-base", str(tmp_path)):
        with pytest.raises(OptionError, match=r"^backbone for sound must be one of [\w, -]+, got "):
            catalog.load(name, "sound")


ONES = "efficientnet-lite0, efficientnet-lite2"


@pytest.mark.parametrize("name", ["minilm-l6", "toy-text"])
def test_a_backbone_for_other_items_is_refused(name):
    expected = rf"^backbone '{name}' is for text, but the items are image: choose one of {ONES}\.$"
    with pytest.raises(OptionError, match=expected):
        catalog.load(name, "image")


def test_an_unknown_modality_is_refused_whatever_the_name():
    with pytest.raises(OptionError, match="^modality must be one of"):
        catalog.load("minilm-l6", "smell")


def test_toys_load_by_name():
    assert catalog.load("toy-sound", "sound").name == "toy-sound"


@pytest.mark.parametrize(("modality", "module"), [("text", "text_hub"), ("image", "image")])
def test_folders_and_hub_ids_go_through_transformers(modality, module, tmp_path, monkeypatch):
    module = importlib.import_module(f"handful.backbones.{module}")
    monkeypatch.setattr(module, "load_pretrained", lambda source: ("loaded", source))
    assert catalog.load(str(tmp_path), modality) == ("loaded", str(tmp_path))
    assert catalog.load("owner/model", modality) == ("loaded", "owner/model")


@pytest.mark.parametrize("name", ["./nowhere", "../no/where", "/no/where", "no/such/folder"])
def test_a_folder_that_is_not_there_is_no_hub_id(name):
    with pytest.raises(OptionError, match=re.escape(f"got {name!r}.")):
        catalog.load(name, "text")


def test_a_backbone_for_other_items_is_refused_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr(catalog, "weights_folder", lambda *args, **named: pytest.fail("fetched"))
    with pytest.raises(OptionError, match="backbone 'minilm-l6' is for text, but the items are language"):
        catalog.files_of("minilm-l6", "language")
