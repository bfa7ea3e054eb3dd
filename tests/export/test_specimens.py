"""The self-test from the first layer to the last: what moved and was changed since is seen when it is first used."""

from __future__ import annotations

import json
from hashlib import sha256

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_bundle import TEXTS, Bundle, forge, made, moved, small, tuned  # noqa: F401  # fixtures too

from handful.backbones.toy import ToyImage, ToySound, ToyText
from handful.backbones.toy_language import ToyLanguage
from handful.errors import BundleError
from handful.export import specimens
from handful.export.kept_parts import Moved
from handful.export.language_model import LanguageModel
from handful.export.record import digest
from handful.progress import silent
from handful.training.apply_delta import arrays_of
from handful.training.body import Body
from handful.training.tuners import TUNERS


def signed(folder, **entries):
    """Change entries of the record, and make all hashes fit again."""
    record = json.loads((folder / "bundle.json").read_text())
    record.update(entries)
    record["files"] = {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.safetensors")}
    del record["sha256"]
    record["sha256"] = digest(record)
    (folder / "bundle.json").write_text(json.dumps(record))


CHANGED = (
    "backbone 'small-text' with the weights that moved must see in a few test items what it saw when the model was "
    "saved, got something else: its weights were changed, or this machine counts differently. Restore the model or "
    "tune again."
)


@pytest.mark.parametrize("kind", [ToyText, ToyImage, ToySound])
def test_specimens_can_be_read_are_told_apart_and_are_the_same_each_time(kind):
    backbone = kind()
    first, again = (specimens.seen_by(backbone, [2])[0] for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert np.isfinite(first).all() and np.linalg.norm(first, axis=1).min() > 0
    assert len({row.tobytes() for row in first}) == len(first) == len(specimens.items_of(backbone.modality))


def test_specimens_are_made_of_whole_numbers():
    assert {item.dtype for item in specimens.items_of("image")} == {np.dtype(np.uint8)}
    assert {item[0].dtype for item in specimens.items_of("sound")} == {np.dtype(np.int16)}


@pytest.mark.parametrize("modality", ["text", "image", "sound"])
def test_a_frozen_model_keeps_what_it_sees_and_still_sees_it(tmp_path, modality):
    backbone = {"text": ToyText, "image": ToyImage, "sound": ToySound}[modality]()
    fingerprints = {backbone.name: backbone.fingerprint}
    made(modality, fingerprints=fingerprints, loaded={backbone.name: backbone}).save(tmp_path / "model")
    after = Bundle.load(tmp_path / "model")
    assert [seen.shape for seen in after.specimens] == [(len(specimens.items_of(modality)), 32)]
    assert after.backbone(backbone.name).fingerprint == backbone.fingerprint


def test_a_model_whose_backbone_was_not_in_memory_keeps_none_and_needs_none(tmp_path):
    made().save(tmp_path / "model")
    assert Bundle.load(tmp_path / "model").specimens == ()
    assert len(Bundle.load(tmp_path / "model").predict(TEXTS)) == 3


def test_a_copy_of_a_loaded_model_keeps_what_was_kept(moved, tmp_path):  # noqa: F811
    Bundle.load(moved).save(tmp_path / "copy")
    names = ("head.safetensors", "moved.safetensors")
    assert all((tmp_path / "copy" / name).read_bytes() == (moved / name).read_bytes() for name in names)


@pytest.mark.parametrize("tuner", [name for name in TUNERS if name != "head"])
def test_weights_that_moved_and_were_changed_are_refused_when_they_are_first_used(tmp_path, small, tuner):  # noqa: F811
    folder = tmp_path / "model"
    tuned(tuner).save(folder)
    tensors = load_file(folder / "moved.safetensors")
    forge(folder, {name: values + 0.5 for name, values in tensors.items()}, tuner=tuner)
    model = Bundle.load(folder)
    for _ in range(2):  # it is not taken for tested after it failed
        with pytest.raises(BundleError) as error:
            model.predict(TEXTS)
        assert str(error.value) == CHANGED


def test_weights_that_moved_beyond_all_numbers_are_refused(moved):  # noqa: F811
    tensors = load_file(moved / "moved.safetensors")
    forge(moved, {name: np.full_like(values, 3e38) for name, values in tensors.items()})
    with pytest.raises(BundleError) as error:
        Bundle.load(moved).predict(TEXTS)
    assert str(error.value) == CHANGED


def test_a_change_smaller_than_rounding_is_let_through(moved):  # noqa: F811
    before = Bundle.load(moved).predict_proba(TEXTS)
    tensors = load_file(moved / "moved.safetensors")
    forge(moved, {name: values * np.float32(1 + 1e-6) for name, values in tensors.items()})
    np.testing.assert_allclose(Bundle.load(moved).predict_proba(TEXTS), before, atol=1e-4)


@pytest.mark.parametrize("change", ["missing", "narrow", "nan", "kind"])
def test_forged_specimens(moved, change):  # noqa: F811
    part = load_file(moved / "head.safetensors")["specimen.0"]
    wrong = {
        "missing": part.ravel(), "narrow": part[:, :-1], "nan": np.full_like(part, np.nan),
        "kind": part.astype(np.float64),
    }[change]  # fmt: skip
    save_file({**load_file(moved / "head.safetensors"), "specimen.0": wrong}, moved / "head.safetensors")
    signed(moved)
    with pytest.raises(BundleError, match=r"head.safetensors: specimen.0 must be|must see in a few test items"):
        Bundle.load(moved).predict(TEXTS)


# Language models -----------------------------------------------------------------------------------------------------


def speaker() -> LanguageModel:
    backbone = ToyLanguage()
    body, tuner = Body(backbone, 0), TUNERS["lora"]()
    tuner.prepare(body)
    rng = np.random.default_rng(0)
    start = arrays_of(tuner.delta(body))
    delta = {name: (x + 0.1 * rng.normal(size=x.shape)).astype(np.float32) for name, x in start.items()}
    made = LanguageModel("lora", backbone.name, backbone.fingerprint, Moved("lora", 0, delta), longest=4)
    made.loaded = made._load(silent)
    return made


def test_a_language_model_keeps_the_loss_of_a_public_answer_and_still_finds_it(tmp_path):
    speaker().save(tmp_path / "model")
    after = LanguageModel.load(tmp_path / "model")
    assert after.specimen == pytest.approx(specimens.loss_of(after.backbone), abs=1e-5)
    after.save(tmp_path / "copy")
    assert LanguageModel.load(tmp_path / "copy").specimen == pytest.approx(after.specimen, abs=1e-5)


def test_a_language_model_whose_weights_were_changed_is_refused_when_it_is_first_used(tmp_path):
    speaker().save(tmp_path / "model")
    tensors = load_file(tmp_path / "model/moved.safetensors")
    save_file({name: values + 0.5 for name, values in tensors.items()}, tmp_path / "model/moved.safetensors")
    signed(tmp_path / "model")
    with pytest.raises(BundleError) as error:
        LanguageModel.load(tmp_path / "model").predict(["hi"])
    assert str(error.value) == (
        "backbone 'toy-language' with what moved in it must find a test answer as likely as when the model was saved, "
        "got something else: its weights were changed, or this machine counts differently. Restore the model or tune "
        "again."
    )


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -1.0])
def test_a_loss_that_is_none_is_no_match(tmp_path, loss):
    speaker().save(tmp_path / "model")
    signed(tmp_path / "model", specimen=loss)
    with pytest.raises(BundleError):
        LanguageModel.load(tmp_path / "model").predict(["hi"])


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("arm", 3, "arm cannot be 3"), ("backbone", {"name": "", "fingerprint": "0"}, "backbone"),
        ("backbone", {"name": "toy-language", "fingerprint": 0}, "backbone"), ("backbone", 3, "backbone"),
        ("moved", {"tuner": "lora", "first": -1}, "moved"), ("moved", {"tuner": "lora", "first": 10**30}, "moved"),
        ("moved", {"tuner": 3, "first": 0}, "moved"), ("longest", 0, "longest"), ("longest", 10**30, "longest"),
        ("longest", "4", "longest cannot be '4'"), ("specimen", "low", "specimen cannot be 'low'"),
        ("shots", {"kind": "nearest", "count": 4}, "shots"), ("shots", {"kind": "x", "count": 4}, "shots"),
        ("shots", {"kind": "nearest", "count": "4"}, "count cannot be '4'"),
        ("rows", [{"answer": "x"}], "there is no 'prompt'"),
        ("rows", [{"prompt": [{"role": 3, "content": "a"}], "answer": "x"}], "role cannot be 3"),
        ("rows", 3, "'int' object is not iterable"),
    ],
)  # fmt: skip
def test_a_forged_record_of_a_language_model(tmp_path, name, value, why):
    speaker().save(tmp_path / "model")
    signed(tmp_path / "model", **{name: value})
    with pytest.raises(BundleError) as error:
        LanguageModel.load(tmp_path / "model")
    assert str(error.value) == (
        f"{tmp_path}/model/bundle.json has a missing or wrong entry ({why}). Restore it or tune again."
    )
