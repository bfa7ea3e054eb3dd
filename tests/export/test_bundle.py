"""A bundle comes back bit for bit, and whatever was done to it on the way is said before anything is built from it."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from handful.backbones import catalog
from handful.backbones.toy import ToyText
from handful.errors import BundleError, DataError, MachineError, OptionError
from handful.export.bundle import Bundle
from handful.export.kept_parts import Moved
from handful.export.record import FORMAT
from handful.features.view import MOVED, View
from handful.tasks.classification import CLASSIFICATION
from handful.training.apply_delta import arrays_of, installed
from handful.training.body import Body
from handful.training.tuners import TUNERS
from small_backbones import SmallText

SHA = "0" * 64
TEXTS = ["ants march over the hill", "bees buzz around the hive", "a wasp stings"]


def made(modality="text", labels=("ants", "bees", "wasps"), depth=2, **changed):
    rng = np.random.default_rng(0)
    name, fingerprint = f"toy-{modality}", {"text": ToyText().fingerprint}.get(modality, "unknown")
    fields = dict(
        task=CLASSIFICATION, modality=modality, labels=labels, view=View(((name, depth),)),
        fingerprints={name: fingerprint}, head="ridge",
        coef=rng.normal(size=(32, len(labels))).astype(np.float32),
        intercept=rng.normal(size=len(labels)).astype(np.float32),
        input="text", witness=rng.normal(size=(8, 32)).astype(np.float32),
    )  # fmt: skip
    return Bundle(**{**fields, **changed})


@pytest.fixture
def saved(tmp_path) -> Path:
    made().save(tmp_path / "model")
    return tmp_path / "model"


def refusal(folder, kind=BundleError):
    with pytest.raises(kind) as error:
        Bundle.load(folder)
    return str(error.value)


def edit(folder, sign=True, **entries):
    """Change entries of the record; None removes one. Signed anew, as somebody who knows how would do."""
    file = folder / "bundle.json"
    record = json.loads(file.read_text())
    record.update(entries)
    record = {name: value for name, value in record.items() if value is not None}
    if sign:
        del record["sha256"]
        record["sha256"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps(record))


def rewrite(folder, **tensors):
    """Change tensors; None removes one. The hash is made to fit."""
    file = folder / "head.safetensors"
    kept = {**load_file(file), **tensors}
    save_file({name: value for name, value in kept.items() if value is not None}, file)
    edit(folder, files={"head.safetensors": hashlib.sha256(file.read_bytes()).hexdigest()})


# There and back ----------------------------------------------------------------------------------------------------


def test_it_comes_back_bit_for_bit(saved):
    before, after = made(), Bundle.load(saved)
    for name in ("modality", "labels", "view", "fingerprints", "head", "input"):
        assert getattr(after, name) == getattr(before, name), name
    for name in ("coef", "intercept", "witness"):
        assert getattr(after, name).tobytes() == getattr(before, name).tobytes(), name
    assert after.predict_proba(TEXTS).tobytes() == before.predict_proba(TEXTS).tobytes()
    assert after.predict(TEXTS) == before.predict(TEXTS)


def test_probabilities_are_those_of_the_linear_map(saved):
    model = Bundle.load(saved)
    x = ToyText().encode(TEXTS, (2,))[2]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    scores = (x @ model.coef + model.intercept).astype(np.float64)
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(TEXTS), expected, rtol=1e-5)
    assert model.predict(TEXTS) == [model.labels[i] for i in expected.argmax(1)]


def test_names_in_any_script_come_back(tmp_path):
    model = made(labels=("süß", "日本 語", 'with "quotes", commas\nand lines'), input="Köln ✓")
    model.save(tmp_path / "model")
    after = Bundle.load(tmp_path / "model")
    assert (after.labels, after.input) == (model.labels, model.input)
    assert "日本 語" in (tmp_path / "model/bundle.json").read_text(encoding="utf-8")


def test_two_backbones_are_both_read(tmp_path):
    class Other(ToyText):
        name = "other"

    view = View((("other", 1), ("toy-text", 2)))
    rng = np.random.default_rng(0)
    model = made(
        view=view, fingerprints={"other": Other().fingerprint, "toy-text": ToyText().fingerprint},
        coef=rng.normal(size=(64, 3)).astype(np.float32), witness=np.zeros((0, 64), np.float32),
        loaded={"other": Other()},
    )  # fmt: skip
    model.save(tmp_path / "model")
    after = Bundle.load(tmp_path / "model")
    assert after.backbones == (("other", 1), ("toy-text", 2))
    after.loaded["other"] = Other()
    assert (after.predict_proba(TEXTS) == model.predict_proba(TEXTS)).all()


def test_the_folder_of_the_run_may_be_named_instead(saved):
    assert Bundle.load(saved.parent).labels == ("ants", "bees", "wasps")
    assert Bundle.load(str(saved.parent)).labels == ("ants", "bees", "wasps")


def test_it_holds_three_files_and_no_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "bundle.json", "head.safetensors"]
    assert all(b"\x80\x04" not in path.read_bytes()[:2] for path in saved.iterdir())
    record = json.loads((saved / "bundle.json").read_text())
    assert record["format"] == FORMAT
    assert (record["task"], record["modality"]) == ("classification", "text")
    assert record["backbones"] == [
        {"name": "toy-text", "depth": 2, "fingerprint": ToyText().fingerprint, "moved": False}
    ]
    assert record["written_by"].startswith("handful ")


def test_a_card_is_kept(tmp_path):
    made().save(tmp_path / "model", card="# Insects\n")
    assert (tmp_path / "model/README.md").read_text() == "# Insects\n"


def test_saving_over_an_earlier_one_and_not_over_anything_else(tmp_path):
    made(head="ridge").save(tmp_path / "model")
    made(head="centroid").save(tmp_path / "model")
    assert Bundle.load(tmp_path / "model").head == "centroid"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.docx").touch()
    with pytest.raises(OptionError, match="must be new, empty or an earlier result"):
        made().save(tmp_path / "other")


def test_a_full_disk_leaves_the_earlier_one(saved, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MachineError, match=r"model was not written: the disk is full\."):
        made(head="centroid").save(saved)
    assert Bundle.load(saved).head == made().head
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


# What is handed to predict -----------------------------------------------------------------------------------------


def test_items_may_come_as_any_sequence():
    model, expected = made(), made().predict(TEXTS)
    for items in (tuple(TEXTS), np.array(TEXTS), (text for text in TEXTS), pd.Series(TEXTS, index=[7, 3, 9])):
        assert model.predict(items) == expected
    assert model.predict([]) == []
    assert model.predict_proba([]).shape == (0, 3)


def test_of_a_table_the_column_of_the_training_is_read():
    expected = made().predict(TEXTS)
    frame = pd.DataFrame({"id": [1, 2, 3], "text": TEXTS, "label": ["ants", "bees", "wasps"]})
    for table in (frame, frame.to_dict("records"), frame.to_dict("list")):
        assert made().predict(table) == expected
    assert made(input=None).predict(frame[["text"]]) == expected


def test_a_table_without_the_column_of_the_training_is_refused():
    with pytest.raises(DataError) as error:
        made().predict(pd.DataFrame({"texts": TEXTS, "label": TEXTS}))
    assert str(error.value) == (
        'the DataFrame must have the column "text", which was learned from, got columns: texts, label. '
        "Did you mean 'texts'?"
    )
    with pytest.raises(DataError) as error:
        made(input=None).predict(pd.DataFrame({"a": TEXTS, "b": TEXTS}))
    assert str(error.value) == (
        "predict needs one column of items, got the DataFrame with several (columns: a, b). Give the column of the "
        "items alone."
    )
    with pytest.raises(DataError) as error:
        made().predict({"text": "one row"})
    assert str(error.value) == "predict needs a list of items, got one dict. Wrap it: [item]."


@pytest.mark.parametrize(
    ("names", "label_type", "answers"),
    [
        (("1", "2", "3"), "int", {1, 2, 3}), (("0.5", "1", "inf"), "float", {0.5, 1.0, float("inf")}),
        (("False", "True"), "bool", {False, True}), (("1", "2", "3"), "text", {"1", "2", "3"}),
    ],
)  # fmt: skip
def test_answers_have_the_type_of_the_labels_also_when_read_back(tmp_path, names, label_type, answers):
    model = made(labels=names, label_type=label_type)
    model.save(tmp_path / "model")
    for one in (model, Bundle.load(tmp_path / "model")):
        found = one.predict([f"{word} {i}" for i in range(20) for word in TEXTS])
        assert set(found) <= answers
        assert {type(answer) for answer in found} == {type(next(iter(answers)))}


@pytest.mark.parametrize("ask", ["predict", "predict_proba"])
def test_one_text_is_not_a_list(ask):
    with pytest.raises(DataError) as error:
        getattr(made(), ask)("one text")
    assert str(error.value) == "predict needs a list of items, got one str. Wrap it: [item]."


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (None, "the text is empty"), ("  ", "the text is empty"), (3, "this must be a text, got int"),
        (float("nan"), "this must be a text, got float"), (Path("a.txt"), "this must be a text, got PosixPath"),
    ],
)  # fmt: skip
def test_an_item_that_is_no_text_is_named(item, why):
    with pytest.raises(DataError) as error:
        made().predict_proba(["a b", item])
    name = item if isinstance(item, Path) else "item 1"
    assert str(error.value) == f"{name} cannot be read: {why}."


def test_pictures_by_name_or_in_memory(tmp_path):
    from handful.backbones.toy import ToyImage

    model = made("image", fingerprints={"toy-image": ToyImage().fingerprint})
    Image.new("RGB", (9, 9), (9, 99, 199)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nonsense")
    answers = model.predict([tmp_path / "a.png", str(tmp_path / "a.png"), Image.open(tmp_path / "a.png")])
    assert len(set(answers)) == 1
    with pytest.raises(DataError) as error:
        model.predict([tmp_path / "a.png", tmp_path / "b.png"])
    assert str(error.value).startswith(f"{tmp_path}/b.png cannot be read: it is not a picture in a known format.")
    with pytest.raises(DataError) as error:
        model.predict([tmp_path / "c.png"])
    assert str(error.value) == f"{tmp_path}/c.png cannot be read: the file does not exist."


# What was done to it -----------------------------------------------------------------------------------------------


def test_no_bundle_at_all(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        assert refusal(place) == (
            f"{place} must be a run folder or its model folder, but there is no bundle.json in it. "
            "Name the folder that `handful tune` wrote."
        )


def test_missing_weights(saved):
    (saved / "head.safetensors").unlink()
    assert refusal(saved) == f"{saved}/head.safetensors is missing. Restore it or tune again."


@pytest.mark.parametrize("at", [0, 40, -1])
def test_changed_weights(saved, at):
    content = bytearray((saved / "head.safetensors").read_bytes())
    content[at] ^= 1
    (saved / "head.safetensors").write_bytes(content)
    assert refusal(saved) == (
        f"{saved}/head.safetensors was changed after it was written: its hash differs. Restore it or tune again."
    )


def test_weights_cut_off(saved):
    content = (saved / "head.safetensors").read_bytes()
    (saved / "head.safetensors").write_bytes(content[: len(content) // 2])
    assert "its hash differs" in refusal(saved)


@pytest.mark.parametrize("entries", [{"labels": ["bees", "ants", "wasps"]}, {"input": "other"}, {"head": None}])
def test_a_record_changed_by_hand(saved, entries):
    edit(saved, sign=False, **entries)
    assert refusal(saved) == (
        f"{saved}/bundle.json was changed after it was written: its hash differs. Restore it or tune again."
    )


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[]", "null", "3", "{}", "[" * 100_000])
def test_a_record_that_is_none(saved, text):
    (saved / "bundle.json").write_text(text)
    assert refusal(saved).startswith(f"{saved}/bundle.json cannot be read (")
    assert refusal(saved).endswith("). Restore it or tune again.")


def test_a_record_that_is_no_text(saved):
    (saved / "bundle.json").write_bytes(b"\xff\xfe\x00\xd8")
    assert refusal(saved).startswith(f"{saved}/bundle.json cannot be read (")


def test_a_record_that_may_not_be_read(saved, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert refusal(saved).startswith(f"{saved}/bundle.json cannot be read ([Errno 13] Permission denied)")


@pytest.mark.parametrize("version", [1, 99, 0, "2", 1.5])
def test_another_format(saved, version):
    edit(saved, format=version, written_by="handful 9.9")
    assert refusal(saved) == (
        f"{saved}/bundle.json must have format {FORMAT}, got {version} (handful 9.9). "
        "Update handful, or tune again with this version."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modality", "video"), ("modality", 3), ("labels", []), ("labels", ["one"]), ("labels", "ants"),
        ("labels", [1, 2, 3]), ("backbones", []), ("backbones", ["toy-text"]),
        ("backbones", [{"name": "toy-text", "depth": 2}]),
        ("backbones", [{"name": "toy-text", "depth": "2", "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": ["toy-text"], "depth": 2, "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": "toy-text", "depth": True, "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": "toy-text", "depth": 2, "fingerprint": "x"}]),
        ("backbones", [{"name": "toy-text", "depth": -1, "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": "toy-text", "depth": 10**30, "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": "", "depth": 2, "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": "toy\0text", "depth": 2, "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": "\x1b[2Jtoy", "depth": 2, "fingerprint": "x", "moved": False}]),
        ("backbones", [{"name": "a" * 2000, "depth": 2, "fingerprint": "x", "moved": False}]),
        ("labels", ["ants", "ants", "bees"]), ("labels", ["ants", "", "bees"]), ("labels", ["ants", " ", "bees"]),
        ("labels", ["ants", "\0", "bees"]),
        ("carried", {"toy-text": {}}), ("carried", {"toy-text": {"/etc/passwd": SHA}}),
        ("carried", {"toy-text": {"backbones/0/../../a": SHA}}), ("carried", {"toy-text": {"backbones/0": SHA}}),
        ("carried", {"toy-text": {"backbones/0/a": SHA, "backbones/1/a": SHA}}),
        ("carried", {"toy-text": {"backbones/0/C:a": SHA}}), ("carried", {"toy-text": {"backbones/0/a\\b": SHA}}),
        ("carried", {"toy-text": {"backbones/0/a": "0"}}), ("carried", {"toy-text": {"backbones/0/a": 3}}),
        ("input", ["text"]), ("head", 3), ("files", []), ("files", {"head.safetensors": 3}),
        ("language", "English"), ("language", 3), ("language", "\x1b[2J"),
        ("targets", "a"), ("targets", [3]), ("group", 3), ("beats_reference", 1),
        ("label_type", "int"), ("label_type", "bool"), ("label_type", "date"), ("label_type", 3),
    ],
)  # fmt: skip
def test_a_forged_record(saved, name, value):
    edit(saved, **{name: value})
    assert refusal(saved) == f"{saved}/bundle.json has a missing or wrong entry ({name}). Restore it or tune again."


def test_what_is_said_before_the_hash_is_compared_cannot_steer_a_terminal(saved):
    edit(saved, format=99, written_by="\x1b[2J" + "x" * 2000)
    assert refusal(saved).isprintable()
    assert len(refusal(saved)) < 400


def test_the_columns_of_the_training_come_back_and_may_be_missing(tmp_path):
    made(target="kind", targets=("a", "b"), group="speaker").save(tmp_path / "model")
    copy = Bundle.load(tmp_path / "model")
    assert (copy.target, copy.targets, copy.group) == ("kind", ("a", "b"), "speaker")
    assert (copy.beats_reference, copy.warning) == (None, "")
    made(beats_reference=False).save(tmp_path / "coin")
    assert Bundle.load(tmp_path / "coin").warning == (
        "The model is not shown to be better than always answering the same class: nothing shows yet that these labels "
        "can be learned."
    )
    edit(tmp_path / "model", targets=None, group=None, beats_reference=None, label_type=None)
    copy = Bundle.load(tmp_path / "model")
    assert (copy.targets, copy.group, copy.label_type) == ((), None, "text")


def test_the_language_of_the_training_texts_comes_back_and_may_be_missing(saved):
    edit(saved, language="sw")
    assert Bundle.load(saved).language == "sw"
    edit(saved, language=None)
    assert Bundle.load(saved).language is None


def test_entries_that_are_missing_are_named_together(saved):
    edit(saved, modality=None, head=None)
    assert "wrong entry (modality, head)" in refusal(saved)


ZERO = np.zeros
F32 = np.float32


@pytest.mark.parametrize(
    ("name", "value", "shape"),
    [
        ("coef", ZERO((32, 2), F32), "(32, 3)"),
        ("coef", ZERO((3, 32), F32), "(3, 3)"),
        ("coef", ZERO(32, F32), "(32, 3)"),
        ("coef", ZERO((), F32), "(0, 3)"),
        ("coef", ZERO((32, 3), np.float64), "(32, 3)"),
        ("coef", ZERO((32, 3), np.int32), "(32, 3)"),
        ("coef", np.full((32, 3), np.nan, F32), "(32, 3)"),
        ("coef", np.full((32, 3), np.inf, F32), "(32, 3)"),
        ("coef", None, "(0, 3)"),
        ("intercept", ZERO(4, F32), "(3,)"),
        ("intercept", None, "(3,)"),
        ("intercept", np.full(3, np.nan, F32), "(3,)"),
        ("witness", ZERO((8, 31), F32), "(8, 32)"),
        ("witness", None, "(0, 32)"),
        ("witness_proba", None, "(8, 3)"),
        ("witness_proba", ZERO((7, 3), F32), "(8, 3)"),
        ("witness_proba", np.full((8, 3), np.nan, F32), "(8, 3)"),
    ],
)
def test_forged_weights(saved, name, value, shape):
    rewrite(saved, **{name: value})
    assert refusal(saved) == (
        f"{saved}/head.safetensors: {name} must be finite float32 numbers of shape {shape}. Restore it or tune again."
    )


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 64, b"\x80\x04N."])
def test_weights_that_are_none(saved, content):
    (saved / "head.safetensors").write_bytes(content)
    edit(saved, files={"head.safetensors": hashlib.sha256(content).hexdigest()})
    assert refusal(saved).startswith(f"{saved}/head.safetensors cannot be read (")


def test_numbers_of_a_kind_that_numpy_lacks(saved):
    header = json.dumps({"coef": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    content = len(header).to_bytes(8, "little") + header + b"\0\0"
    (saved / "head.safetensors").write_bytes(content)
    edit(saved, files={"head.safetensors": hashlib.sha256(content).hexdigest()})
    assert "head.safetensors" in refusal(saved)


def test_weights_that_give_other_answers_than_those_kept_with_them(saved):
    rewrite(saved, coef=np.ones((32, 3), F32) * np.arange(3, dtype=F32))
    assert refusal(saved) == f"{saved} does not reproduce its own test answers. Restore or tune it again."


def test_weights_so_large_that_their_answers_are_no_numbers(saved):
    for name, shape in {"coef": (32, 3), "witness": (8, 32)}.items():
        rewrite(saved, **{name: np.full(shape, 3e38, F32)})
        assert refusal(saved) == f"{saved} does not reproduce its own test answers. Restore or tune it again."


def test_another_backbone_than_the_one_in_training(saved):
    edit(saved, backbones=[{"name": "toy-text", "depth": 2, "fingerprint": "0123456789abcdef", "moved": False}])
    with pytest.raises(BundleError) as error:
        Bundle.load(saved).predict(TEXTS)
    assert str(error.value) == (
        "backbone 'toy-text' must be the one that the model was made with (0123456789abcdef), "
        f"got {ToyText().fingerprint}. Tune again, or get the weights used then."
    )


def test_a_backbone_that_is_not_here(saved):
    edit(saved, backbones=[{"name": "./my-encoder", "depth": 2, "fingerprint": "0123456789abcdef", "moved": False}])
    with pytest.raises(BundleError) as error:
        Bundle.load(saved).predict(TEXTS)
    assert str(error.value).startswith("backbone './my-encoder', which the model was made with, cannot be loaded: ")


@pytest.mark.parametrize("depth", [3, 99])
def test_a_depth_that_the_backbone_lacks(saved, depth):
    edit(saved, backbones=[{"name": "toy-text", "depth": depth, "fingerprint": ToyText().fingerprint, "moved": False}])
    with pytest.raises(BundleError) as error:
        Bundle.load(saved).predict(TEXTS)
    assert str(error.value) == (
        f"the model reads toy-text@{depth}, but backbone 'toy-text' has no such depth. Restore the model or tune again."
    )


def test_features_of_another_width(saved):
    rewrite(saved, coef=ZERO((5, 3), F32), witness=ZERO((0, 5), F32), witness_proba=ZERO((0, 3), F32))
    with pytest.raises(BundleError) as error:
        Bundle.load(saved).predict(TEXTS)
    assert str(error.value) == (
        "the features that the model reads must be 5 wide, but toy-text@2 gives 32. Restore the model or tune again."
    )


# Weights that moved ------------------------------------------------------------------------------------------------


def tuned(name="adapter", kind=SmallText, first=0, seed=0, **changed):
    """A bundle whose backbone moved by a tuner, by random amounts."""
    backbone = kind()
    body = Body(backbone, first)
    body.measure(backbone.run(backbone.prepare(["ants", "bees buzz"]), first))
    chosen = TUNERS[name]()
    chosen.prepare(body)
    rng = np.random.default_rng(seed)
    arrays = arrays_of(chosen.delta(body))
    delta = {key: (x + 0.1 * rng.normal(size=x.shape)).astype(np.float32) for key, x in arrays.items()}
    moved = installed(backbone, name, first, delta)
    width, part = 16, backbone.name + MOVED
    return made(
        view=View(((part, 2),)), fingerprints={backbone.name: backbone.fingerprint}, head="contrastive",
        coef=rng.normal(size=(width, 3)).astype(np.float32), witness=moved.encode(TEXTS, [2])[2],
        loaded={part: moved}, moved=Moved(name, first, delta), **changed,
    )  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """A catalogue that has the small backbones too."""
    load = catalog.load
    kinds = {"small-text": SmallText}
    monkeypatch.setattr(catalog, "load", lambda name, *a, **k: kinds[name]() if name in kinds else load(name, *a, **k))


@pytest.fixture
def moved(tmp_path, small) -> Path:
    tuned().save(tmp_path / "model")
    return tmp_path / "model"


def refused(folder):
    """What is said when the backbone is put together."""
    with pytest.raises(BundleError) as error:
        Bundle.load(folder).predict(TEXTS)
    return str(error.value)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", [name for name in TUNERS if name != "head"])
def test_what_moved_comes_back_bit_for_bit(tmp_path, small, name, first):
    before = tuned(name, first=first)
    before.save(tmp_path / "model")
    after = Bundle.load(tmp_path / "model")
    assert after.predict_proba(TEXTS).tobytes() == before.predict_proba(TEXTS).tobytes()
    assert after.predict(TEXTS) == before.predict(TEXTS)
    assert (after.moved.tuner, after.moved.first) == (name, first)
    assert {k: v.tobytes() for k, v in after.moved.delta.items()} == {
        k: v.tobytes() for k, v in before.moved.delta.items()
    }
    view = View((("small-text", 2),))
    untouched = made(**{**vars(before), "view": view, "loaded": {"small-text": SmallText()}, "moved": None})
    assert np.abs(untouched.predict_proba(TEXTS) - after.predict_proba(TEXTS)).max() > 1e-4


def test_a_frozen_and_a_moved_backbone_of_one_name_are_read_side_by_side(tmp_path, small):
    alone = tuned()
    frozen, both = ("small-text", 2), ("small-text" + MOVED, 2)
    coef = np.concatenate([np.ones((16, 3), np.float32), alone.coef])
    seen = {frozen: SmallText().encode(TEXTS, [2])[2], both: alone.loaded[both[0]].encode(TEXTS, [2])[2]}
    view = View((frozen, both))
    loaded = {frozen[0]: SmallText(), **alone.loaded}
    pair = made(**{**vars(alone), "view": view, "coef": coef, "witness": view.matrix(seen), "loaded": loaded})
    pair.save(tmp_path / "model")
    after = Bundle.load(tmp_path / "model")
    assert after.view == view
    assert after.predict_proba(TEXTS).tobytes() == pair.predict_proba(TEXTS).tobytes()
    np.testing.assert_allclose(after.predict_proba(TEXTS), pair.outputs_of(view.matrix(seen)), atol=1e-6)


def test_weights_that_moved_and_are_not_read(moved):
    record = json.loads((moved / "bundle.json").read_text())
    edit(moved, backbones=[{**part, "moved": False} for part in record["backbones"]])
    assert refusal(moved) == (
        f"{moved}/bundle.json names weights that moved, but reads none. Restore it or tune again."
    )


def test_what_moved_is_saved_again_from_a_loaded_bundle(moved, tmp_path):
    Bundle.load(moved).save(tmp_path / "copy")
    assert (tmp_path / "copy/moved.safetensors").read_bytes() == (moved / "moved.safetensors").read_bytes()
    assert Bundle.load(tmp_path / "copy").predict(TEXTS) == Bundle.load(moved).predict(TEXTS)


def test_only_what_moved_is_in_the_folder_and_a_frozen_model_clears_it(moved):
    names = sorted(path.name for path in moved.iterdir())
    assert names == ["README.md", "bundle.json", "head.safetensors", "moved.safetensors"]
    record = json.loads((moved / "bundle.json").read_text())
    assert record["moved"] == {"tuner": "adapter", "first": 0}
    assert sorted(record["files"]) == ["head.safetensors", "moved.safetensors"]
    made().save(moved)
    assert not (moved / "moved.safetensors").exists()
    assert Bundle.load(moved).moved is None


def test_missing_weights_that_moved(moved):
    (moved / "moved.safetensors").unlink()
    assert refusal(moved) == f"{moved}/moved.safetensors is missing. Restore it or tune again."


@pytest.mark.parametrize("at", [0, 40, -1])
def test_changed_weights_that_moved(moved, at):
    content = bytearray((moved / "moved.safetensors").read_bytes())
    content[at] ^= 1
    (moved / "moved.safetensors").write_bytes(content)
    assert refusal(moved) == (
        f"{moved}/moved.safetensors was changed after it was written: its hash differs. Restore it or tune again."
    )


def forge(folder, tensors=None, content=None, **entry):
    """Exchange what moved, with hashes made to fit."""
    file = folder / "moved.safetensors"
    if tensors is not None:
        save_file(tensors, file)
    if content is not None:
        file.write_bytes(content)
    files = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.glob("*.safetensors")}
    edit(folder, files=files, moved={"tuner": "adapter", "first": 0, **entry})


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x04N."])
def test_weights_that_moved_and_are_none(moved, content):
    forge(moved, content=content)
    assert refusal(moved).startswith(f"{moved}/moved.safetensors cannot be read (")


@pytest.mark.parametrize("wrong", [np.full((16, 16), np.nan, F32), ZERO((16, 16)), ZERO((16, 16), np.int32)])
def test_weights_that_moved_to_no_number(moved, wrong):
    forge(moved, {**load_file(moved / "moved.safetensors"), "0.down": wrong})
    assert refusal(moved) == (
        f"{moved}/moved.safetensors: 0.down must be finite float32 numbers. Restore it or tune again."
    )


END = "). Restore the model or tune again."


def test_another_tuner_than_the_one_that_moved_them(moved):
    for name in TUNERS:
        if name != "adapter":
            forge(moved, tuner=name)
            said = refused(moved)
            assert said.startswith("the weights that moved do not fit into small-text (")
            assert said.endswith(END)


def test_a_tuner_that_there_is_none_of(moved):
    forge(moved, tuner="adaptor")
    assert refused(moved) == (
        "the weights that moved do not fit into small-text (tuner must be one of head, bias, lora, adapter, prompt, "
        f"prefix, ia3, blocks, got 'adaptor'. Did you mean 'adapter'?{END}"
    )


@pytest.mark.parametrize("first", [1, 2, 99])
def test_another_depth_than_where_they_moved(moved, first):
    forge(moved, first=first)
    assert refused(moved).startswith("the weights that moved do not fit into small-text (")


@pytest.mark.parametrize("shape", [(), (1,), (16, 15), (3, 4, 5), (5, 16)])
@pytest.mark.parametrize("name", ["0.down", "0.up", "1.down_bias"])
def test_weights_that_moved_of_another_shape(moved, name, shape):
    forge(moved, {**load_file(moved / "moved.safetensors"), name: ZERO(shape, F32)})
    assert refused(moved).startswith("the weights that moved do not fit into small-text (")


@pytest.mark.parametrize("tuner", ["lora", "ia3", "prefix", "prompt", "blocks", "bias"])
def test_one_weight_of_another_shape_for_every_tuner(tmp_path, small, tuner):
    tuned(tuner).save(tmp_path / "model")
    tensors = load_file(tmp_path / "model/moved.safetensors")
    for name in sorted(tensors)[:3]:
        forge(tmp_path / "model", {**tensors, name: ZERO(1, F32)}, tuner=tuner)
        assert refused(tmp_path / "model").startswith("the weights that moved do not fit into small-text (")


@pytest.mark.parametrize(
    "entry", ["adapter", [], {"tuner": "adapter"}, {"tuner": 3, "first": 0}, {"tuner": "adapter", "first": "0"},
              {"tuner": "adapter", "first": True}, {"tuner": "adapter", "first": -1},
              {"tuner": "adapter", "first": 10**30}]
)  # fmt: skip
def test_a_forged_record_of_what_moved(moved, entry):
    edit(moved, moved=entry)
    assert refusal(moved) == f"{moved}/bundle.json has a missing or wrong entry (moved). Restore it or tune again."


def test_what_moved_needs_the_backbone_that_it_moved_in(moved):
    edit(moved, backbones=[{"name": "small-text", "depth": 2, "fingerprint": "0123456789abcdef", "moved": True}])
    assert refused(moved).startswith("backbone 'small-text' must be the one that the model was made with")


def test_a_record_that_reads_what_moved_and_names_none(saved):
    edit(saved, backbones=[{"name": "toy-text", "depth": 2, "fingerprint": ToyText().fingerprint, "moved": True}])
    assert refusal(saved) == (
        f"{saved}/bundle.json reads weights that moved, but names none. Restore it or tune again."
    )
