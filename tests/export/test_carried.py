"""Backbones that travel with a bundle: what is carried, and what is refused when it is loaded."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from handful import api
from handful.backbones import catalog, weights
from handful.backbones.digests import content_digest
from handful.errors import BundleError, OptionError
from handful.export import carried
from handful.export.bundle import Bundle
from handful.export.record import digest

TEXTS = [f"{word} {filler}" for word in ("refund the money", "parcel is late") for filler in "abcdefg"]
LABELS = ["refund"] * 7 + ["delivery"] * 7


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A tuned model on real weights, exported with its backbone."""
    folder = tmp_path_factory.mktemp("merged") / "model"
    run = api.tune(api.load(TEXTS, labels=LABELS), backbone="minilm-l6", budget=0)
    run.model.save(folder, card=run.card(), merge=True)
    return run.model, folder


@pytest.mark.integration
def test_a_merged_model_needs_no_weights_of_this_machine(merged, monkeypatch):
    model, folder = merged

    def gone(*args, **options):
        raise AssertionError("the weights of this machine were asked for")

    monkeypatch.setattr(weights, "weights_folder", gone)
    copy = Bundle.load(folder)
    np.testing.assert_array_equal(copy.predict_proba(TEXTS), model.predict_proba(TEXTS))


@pytest.mark.integration
def test_the_card_of_a_merged_model_says_that_its_weights_are_there(merged, tmp_path):
    model, folder = merged
    card = (folder / "README.md").read_text("utf-8")
    assert "The weights of the backbone are in this folder, under `backbones/`" in card
    assert "not in this folder" not in card
    Bundle.load(folder).save(tmp_path / "plain", card=card)
    assert not (tmp_path / "plain" / "backbones").exists()
    assert "The weights of the backbone are not in this folder; handful gets" in (
        tmp_path / "plain" / "README.md"
    ).read_text("utf-8")


@pytest.mark.integration
def test_a_changed_backbone_is_found_out(merged):
    _, folder = merged
    file = folder / "backbones" / "0" / "text.json"
    before = file.read_text("utf-8")
    file.write_text(before + " ", "utf-8")
    try:
        with pytest.raises(BundleError) as error:
            Bundle.load(folder).predict(TEXTS)
    finally:
        file.write_text(before, "utf-8")
    assert str(error.value) == (f"{file} is missing or was changed after it was written. Restore it or export again.")


@pytest.mark.integration
def test_other_weights_under_a_known_name_are_found_out_whatever_the_record_says(merged, tmp_path):
    _, folder = merged
    copy = shutil.copytree(folder, tmp_path / "model")
    weights_file = copy / "backbones" / "0" / "model.safetensors"
    content = bytearray(weights_file.read_bytes())
    content[-2] ^= 64
    weights_file.write_bytes(content)
    record = json.loads((copy / "bundle.json").read_text("utf-8"))
    record["carried"]["minilm-l6"]["backbones/0/model.safetensors"] = content_digest(weights_file)
    del record["sha256"]
    record["sha256"] = digest(record)
    (copy / "bundle.json").write_text(json.dumps(record), "utf-8")
    with pytest.raises(BundleError) as error:
        Bundle.load(copy).predict(TEXTS)
    assert str(error.value) == (
        f"{copy}/backbones/0 must hold the weights that the catalogue knows as 'minilm-l6', but model.safetensors was "
        "changed or damaged (its content has another digest). Export again."
    )


TENSORS = save({"x": np.ones(3, np.float32)})


@pytest.fixture
def source(tmp_path):
    """A folder with a model in it, and much else."""
    folder = tmp_path / "my-encoder"
    files = {
        "config.json": b"{}", "model.safetensors": TENSORS, "1_Pooling/config.json": b"{}", "vocab.txt": b"a",
        "tokenizer.model": b"x", "chat_template.jinja": b"", "LICENSE": b"", "NOTICE.md": b"", "modeling.py": b"evil()",
        "pytorch_model.bin": b"a pickle", "model.pkl": b"", "model.pt": b"", "optimizer.pth": b"", "run.sh": b"",
        ".git/config.json": b"{}", ".hidden.json": b"{}", "README.md": b"",
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def never(name):
    """What gives a backbone: nobody asks where none learned from rows."""
    raise AssertionError(name)


@pytest.fixture
def carried_along(source, tmp_path):
    """A bundle with that folder in it, and what its record says of it."""
    folder = tmp_path / "model"
    folder.mkdir()
    return folder, carried.carry([str(source)], "text", folder, never, merge=True)[str(source)]


def test_numbers_settings_and_licences_are_carried_and_neither_code_nor_pickles(carried_along):
    folder, files = carried_along
    assert sorted(name.removeprefix("backbones/0/") for name in files) == [
        "1_Pooling/config.json", "LICENSE", "NOTICE.md", "chat_template.jinja", "config.json", "model.safetensors",
        "tokenizer.model", "vocab.txt",
    ]  # fmt: skip
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == sorted(files)
    assert carried.place_of(folder, "my-encoder", files) == folder / "backbones" / "0"


def test_weights_in_a_pickle_cannot_be_carried(source, tmp_path):
    (source / "model.safetensors").unlink()
    with pytest.raises(OptionError) as error:
        carried.carry([str(source)], "text", tmp_path / "model", never, merge=True)
    assert str(error.value) == (
        f"backbone '{source}' must hold its weights in .safetensors files to be carried along, got none of these. "
        "Save it anew with save_pretrained, and tune with that folder as --backbone."
    )


def refusal(folder, files) -> str:
    with pytest.raises(BundleError) as error:
        carried.place_of(folder, "my-encoder", files)
    return str(error.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "1_Pooling/config.json"])
def test_a_file_that_is_missing_or_was_changed(carried_along, name):
    folder, files = carried_along
    file = folder / "backbones" / "0" / name
    expected = f"{file} is missing or was changed after it was written. Restore it or export again."
    file.write_bytes(b"changed")
    assert refusal(folder, files) == expected
    file.unlink()
    assert refusal(folder, files) == expected


@pytest.mark.parametrize("name", ["adapter_config.json", "modeling.py", "1_Pooling/x.json"])
def test_a_file_that_was_put_there(carried_along, name):
    folder, files = carried_along
    file = folder / "backbones" / "0" / name
    file.write_bytes(b"{}")
    expected = f"{file} was put there after the model was written. Delete it or export again."
    assert refusal(folder, files) == expected


@pytest.mark.parametrize(
    "name",
    [
        "../x.json", "/x.json", "/etc/passwd.txt", "C:/x.json", "backbones/0/C:x.json", "backbones/0/../0/x.json",
        "backbones/0/./x.json", "backbones/0/..", "backbones\\0\\x.json", "backbones/0/x\\y.json",
        "backbones/0//x.json", "backbones/1/x.json", "backbones/0", "backbones", "", "head.safetensors",
        "other/0/x.json", "//host/x.json", "backbones/0/x.py", "backbones/0/x.pkl", "backbones/0/x.bin",
        "backbones/0/x.pt", "backbones/0/x", "backbones/0/x.json\n", "backbones/0/\x00.json", "~/x.json",
    ],
)  # fmt: skip
def test_a_name_that_no_carried_file_has(carried_along, name):
    folder, files = carried_along
    for told in ({**files, name: "0" * 64}, {name: "0" * 64, **files}):
        message = refusal(folder, told)
        assert message.startswith(f"{folder} must carry settings, vocabularies and .safetensors files of a backbone in")
        assert message.endswith("Restore it or export again.")


@given(name=st.text(alphabet="./\\:~0abckbones jtx\0", max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_leads_out_of_the_folder(carried_along, name):
    folder, files = carried_along
    if name not in files:
        refusal(folder, {**files, name: "0" * 64})


def test_a_backbone_without_files_cannot_be_carried():
    with pytest.raises(OptionError) as error:
        catalog.files_of("owner/model", "text")
    assert str(error.value) == (
        "backbone 'owner/model' must be one of the catalogue or a folder to be carried along, got another. "
        "Save the model into a folder, and tune with that as --backbone."
    )
