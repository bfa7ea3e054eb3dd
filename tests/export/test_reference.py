"""What a bundle keeps of its training rows: written, read back, and refused where it was tampered with."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load

import handful
from classified import targets_of
from handful.errors import BundleError
from handful.export.bundle import Bundle
from handful.export.reference import FILE, MOST, Reference, spread_out
from handful.features.view import View
from handful.tasks.classification import CLASSIFICATION

NAMES = ("ants", "bees")
VIEW = View((("toy-text", 2),))


def reference(rows=24, classes=2, repeats=3):
    rng = np.random.default_rng(0)
    targets = targets_of(np.arange(rows) % classes, NAMES[:classes])
    whole = rng.dirichlet(np.ones(classes), (repeats, rows))
    return Reference.of(VIEW, rng.normal(size=(rows, 6)).astype(np.float32), targets, whole, None)


def read(tensors, where="there"):
    return Reference.from_tensors(VIEW, tensors, CLASSIFICATION, NAMES[:2], where)


def test_what_was_written_is_read_back():
    before = reference()
    after = read(before.tensors())
    assert after.view == VIEW
    for name, tensor in before.tensors().items():
        np.testing.assert_array_equal(after.tensors()[name], tensor)


def test_few_numbers_are_kept_of_many_rows():
    kept = reference(rows=4 * MOST)
    assert len(kept.rows) == len(kept.answered) == MOST
    assert len(kept.novelty.strange) == len(kept.misfit) == 4 * MOST
    np.testing.assert_allclose(np.linalg.norm(kept.rows.astype(float), axis=1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "change", "shape"),
    [
        ("means", lambda x: x.astype(np.float64), "(2, 6)"),
        ("usual", lambda x: x.astype(np.float64), "(2, 2)"),
        ("strange", lambda x: np.full_like(x, np.nan), "(24,)"),
        ("misfit", lambda x: x[:5], "(24,)"),
        ("rows", lambda x: x[:, :3], "(24, 6)"),
        ("answered", lambda x: x[:3], "(24,)"),
        ("rows", None, "(0, 6)"),
        ("places", lambda x: x[:3], "(24,)"),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(name, change, shape):
    tensors = reference().tensors()
    kind = tensors[name].dtype.name
    if change is None:
        del tensors[name]
    else:
        tensors[name] = change(tensors[name])
    with pytest.raises(BundleError) as caught:
        read(tensors, "model/reference.safetensors")
    wanted = {"usual": "float32", "means": "float32"}.get(name, kind)
    assert str(caught.value) == (
        f"model/reference.safetensors: {name} must be finite {wanted} numbers of shape {shape}. "
        "Restore it or tune again."
    )


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("strange", lambda x: x[::-1].copy()),
        ("misfit", lambda x: x[::-1].copy()),
        ("usual", lambda x: -np.abs(x)),
        ("answered", lambda x: x - 1),
        ("truth", lambda x: x + 7),
        ("truth", lambda x: x[:3]),
        ("truth", lambda x: x.astype(np.int32)),
        ("places", lambda x: x - 1),
    ],
)
def test_numbers_that_no_rows_give_are_refused(name, change):
    tensors = reference().tensors()
    tensors[name] = change(tensors[name])
    with pytest.raises(BundleError, match="^there holds numbers that no training rows can give. Restore it or tune"):
        read(tensors)


# Within a bundle ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run(sentences):
    rows = sentences({"ants": 15, "bees": 15})
    texts, labels = zip(*rows, strict=True)
    return handful.tune(list(texts), labels=list(labels), backbone="toy-text", budget=0, strategies="centroid,ridge")


def test_a_saved_run_judges_as_before(run, tmp_path):
    run.save(tmp_path / "run")
    loaded = Bundle.load(tmp_path / "run")
    items = ["ants on a hill", "bees and honey", "nothing of the kind"]
    before, after = run.model.judge(items), loaded.judge(items)
    np.testing.assert_array_equal(before.outputs, after.outputs)
    np.testing.assert_array_equal(before.features, after.features)
    np.testing.assert_array_equal(before.outputs, run.model.predict_proba(items))
    assert set(load((tmp_path / "run/model" / FILE).read_bytes())) == set(run.model.reference.tensors())


def test_a_changed_reference_is_refused(run, tmp_path):
    run.save(tmp_path / "run")
    file = tmp_path / "run/model" / FILE
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(BundleError, match="was changed after it was written"):
        Bundle.load(tmp_path / "run")


def test_a_model_without_one_says_so(run):
    model = run.model
    model.reference = None
    assert model.predict(["ants on a hill"]) == ["ants"]
    with pytest.raises(BundleError) as caught:
        model.judge(["ants on a hill"])
    assert str(caught.value) == (
        "the model keeps nothing of its training rows, so that nothing can be compared with them. Tune again."
    )


def test_such_a_model_is_saved_without_the_file(run, tmp_path):
    run.model.reference = None
    run.model.save(tmp_path / "model")
    assert not (tmp_path / "model" / FILE).exists()
    assert Bundle.load(tmp_path / "model").reference is None


def test_features_of_another_width_are_refused(run):
    known = run.model.reference
    narrow = replace(known, rows=known.rows[:, :5])
    run.model.reference = narrow
    with pytest.raises(BundleError, match="^the features of the training rows are 5 wide, but toy-text@.* gives 64"):
        run.model.judge(["ants on a hill"])


def test_the_nearest_rows_are_those_with_the_highest_cosine():
    kept = reference()
    rows = kept.rows.astype(float)
    likeness = rows @ rows.T
    for position in (0, 7, 23):
        others = [i for i in np.argsort(-likeness[position]) if i != position]
        assert kept.nearest(position, 3) == others[:3]


def test_of_many_rows_only_those_that_were_kept_have_neighbours():
    kept = reference(rows=4 * MOST)
    positions = spread_out(4 * MOST)
    assert kept.nearest(int(positions[5]), 1)[0] in positions
    missing = next(i for i in range(4 * MOST) if i not in positions)
    assert kept.nearest(missing, 1) == []


def test_the_rows_most_like_an_item_come_with_their_place_label_and_cosine():
    kept = reference()
    own = kept.rows[[7, 3]].astype(np.float32)
    first, second = kept.like(5 * own, 2)
    assert [(near.row, near.label) for near in (first[0], second[0])] == [(7, "bees"), (3, "bees")]
    assert first[0].similarity == pytest.approx(1, abs=1e-3)
    assert first[0].similarity >= first[1].similarity
    assert kept.like(own, 99)[0][-1].similarity == pytest.approx((kept.rows.astype(float) @ own[0]).min(), abs=1e-3)


def test_a_place_is_that_in_the_source():
    rng = np.random.default_rng(0)
    features, whole = rng.normal(size=(12, 6)).astype(np.float32), rng.dirichlet([1, 1], (2, 12))
    targets = targets_of(np.arange(12) % 2, NAMES[:2])
    kept = Reference.of(VIEW, features, targets, whole, None, [100 + i for i in range(12)])
    assert kept.like(features[4:5], 1)[0][0].row == 104


@pytest.mark.parametrize("count", [1, 7, MOST, 10 * MOST])
def test_rows_are_taken_evenly(count):
    at = spread_out(count)
    assert len(at) == min(count, MOST)
    assert (at[0], at[-1]) == (0, count - 1)
    assert len(np.unique(at)) == len(at)
