"""Junk in every place of every file of a bundle: an error of our own or a model that answers, and no traceback."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from test_bundle import TEXTS, Bundle, made

from classified import targets_of
from handful.backbones.toy import ToyText
from handful.errors import BundleError, HandfulError
from handful.export.kept_parts import Moved
from handful.export.language_model import LanguageModel
from handful.export.record import digest
from handful.export.reference import Reference
from handful.features.view import MOVED, View
from handful.run_folder import is_language
from handful.training.apply_delta import arrays_of
from handful.training.body import Body
from handful.training.tuners import TUNERS
from junk import JSON, places, put

NAMES = ("ants", "bees", "wasps")
FILES = ("head.safetensors", "moved.safetensors", "reference.safetensors")
NUMBERS = (np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_)
"""Kinds that a safetensors file may hold."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A bundle with every file that one may have."""
    backbone, tuner = ToyText(), TUNERS["blocks"]()
    body = Body(backbone, 1)
    tuner.prepare(body)
    part = backbone.name + MOVED
    rng, truth = np.random.default_rng(0), np.arange(24) % 3
    frozen = View((("toy-text", 2),))
    known = Reference.of(
        frozen,
        rng.normal(size=(24, 32)).astype(np.float32),
        targets_of(truth, NAMES),
        rng.dirichlet(np.ones(3), (2, 24)),
        None,
    )
    model = made(
        view=View(((part, 2),)), moved=Moved("blocks", 1, arrays_of(tuner.delta(body))), reference=known,
        loaded={part: backbone},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("whole") / "model"
    model.save(folder)
    assert sorted(file.name for file in folder.glob("*.safetensors")) == sorted(FILES)
    return folder


def fresh(whole: Path, factory) -> Path:
    return Path(shutil.copytree(whole, factory.mktemp("junk") / "model"))


def signed(folder: Path, record) -> None:
    """Write a record, its hashes made to fit."""
    if isinstance(record.get("files"), dict):
        record["files"] = {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.safetensors")}
    record.pop("sha256", None)
    record["sha256"] = digest(record)
    (folder / "bundle.json").write_text(json.dumps(record))


def refused_or_answers(folder: Path) -> None:
    is_language(folder)
    try:
        LanguageModel.load(folder)
    except BundleError as error:
        assert str(error)
    try:
        model = Bundle.load(folder)
        proba = model.predict_proba(TEXTS)
        model.judge(TEXTS)
    except HandfulError as error:
        assert str(error)
    else:
        assert proba.shape == (len(TEXTS), len(model.labels))
        np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)


def test_the_whole_one_answers(whole):
    model = Bundle.load(whole)
    assert model.reference is not None and model.moved is not None and model.specimens
    assert len(model.predict(TEXTS)) == len(TEXTS)


@given(st.data())
def test_junk_in_a_record_that_was_signed_again(whole, tmp_path_factory, data):
    folder = fresh(whole, tmp_path_factory)
    record = json.loads((folder / "bundle.json").read_text())
    signed(folder, put(record, data.draw(st.sampled_from(places(record))), data.draw(JSON)))
    refused_or_answers(folder)


@given(st.data())
def test_junk_in_a_record_that_was_not_signed_again_is_always_refused(whole, tmp_path_factory, data):
    folder = fresh(whole, tmp_path_factory)
    record = json.loads((folder / "bundle.json").read_text())
    changed = put(record, data.draw(st.sampled_from(places(record))), data.draw(JSON))
    (folder / "bundle.json").write_text(json.dumps(changed))
    if json.dumps(changed, sort_keys=True) != json.dumps(record, sort_keys=True):
        with pytest.raises(BundleError):
            Bundle.load(folder)


@given(content=st.binary(max_size=80), name=st.sampled_from(("bundle.json", *FILES)), sign=st.booleans())
def test_any_bytes_in_place_of_a_file(whole, tmp_path_factory, content, name, sign):
    folder = fresh(whole, tmp_path_factory)
    record = json.loads((folder / "bundle.json").read_text())
    (folder / name).write_bytes(content)
    if sign and name != "bundle.json":
        signed(folder, record)
    with pytest.raises(BundleError):
        Bundle.load(folder)


@given(st.data())
def test_tensors_of_any_kind_and_shape_that_were_signed_again(whole, tmp_path_factory, data):
    folder = fresh(whole, tmp_path_factory)
    name = data.draw(st.sampled_from(FILES))
    tensors = load_file(folder / name)
    key = data.draw(st.sampled_from(sorted(tensors)))
    same = st.just(tensors[key].shape)
    shape = data.draw(same | st.lists(st.integers(0, 5), max_size=3).map(tuple))
    kind = data.draw(st.sampled_from(NUMBERS) | st.just(tensors[key].dtype.type))
    fill = data.draw(st.sampled_from((0, 1, -1, 3e38, -3e38, np.nan, np.inf, 2**62)))
    with np.errstate(all="ignore"):
        tensors[key] = np.full(shape, fill).astype(kind)
    if data.draw(st.booleans()):
        del tensors[key]
    save_file(tensors, folder / name)
    signed(folder, json.loads((folder / "bundle.json").read_text()))
    refused_or_answers(folder)
