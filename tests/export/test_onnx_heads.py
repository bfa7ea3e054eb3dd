"""Heads of graphs answer what the tasks answer."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from handful.evaluation.intervals import Estimate
from handful.export.onnx.eight_bits import eight_bits
from handful.export.onnx.heads import with_head
from handful.export.onnx.rounding import shaken
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.cut import Cut
from handful.tasks.classification.task import Classification
from handful.tasks.defects import Promise
from handful.tasks.defects.promise import Asked
from handful.tasks.multilabel import Multilabel
from handful.tasks.ordinal import ORDINAL
from handful.tasks.regression import Regression

NAMES = ("1", "2", "3", "4")


def cut(label, threshold):
    """The task that answers one of two classes from a threshold on."""
    share = Estimate(0.9, 0.8, 1.0)
    return Classification(Cut(label, Promise(threshold, 9, share, 9, 9, share, Asked(must_find=0.9))))


TASKS = {
    "cut": (cut(1, 0.02), ("bad", "good")),
    "high cut": (cut(0, 0.8), ("bad", "good")),
    "cut that everything is above": (cut(0, -1e-9), ("bad", "good")),
    "cut that nothing is above": (cut(0, 1.0), ("bad", "good")),
    "classification": (CLASSIFICATION, NAMES),
    "ordinal": (ORDINAL, NAMES),
    "multilabel": (Multilabel(empty=False), NAMES),
    "multilabel that may be empty": (Multilabel(empty=True), NAMES),
    "regression": (Regression(centre=3.0, scale=2.0, low=0.0, high=9.0, digits=2), ()),
}


def plain(width=8):
    """A graph that gives back what goes in."""
    shape = ["items", width]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "features")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["features"])], "plain", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def run(model, **feed):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)


@pytest.mark.parametrize("kind", TASKS)
def test_outputs_and_answers_are_those_of_the_task(kind):
    task, names = TASKS[kind]
    rng = np.random.default_rng(0)
    coef = rng.normal(size=(8, task.width(names))).astype(np.float32) * 4
    intercept = rng.normal(size=task.width(names)).astype(np.float32) - ("multilabel" in kind)
    features = rng.normal(size=(60, 8)).astype(np.float32)
    features[0] = 0
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    expected = task.outputs(unit @ coef + intercept)
    outputs, answer = run(with_head(plain(), coef, intercept, task.link), x=features)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    if not names:
        np.testing.assert_allclose(answer, task.values(expected, names), rtol=1e-5)
        return
    said = (
        [[names[i] for i in np.flatnonzero(row)] for row in answer] if answer.ndim > 1 else [names[i] for i in answer]
    )
    assert said == task.values(expected, names)
    if "empty" in kind:
        assert [] in said
    if kind in ("cut", "high cut"):
        assert set(said) == set(names)
        assert said != CLASSIFICATION.values(expected, names)


@pytest.mark.parametrize("threshold", [1 - 1e-9, 1e-12, 0.5])
def test_a_threshold_divides_where_probabilities_are_next_to_nothing_or_to_everything(threshold):
    """In float32 all probabilities above 1 - 3e-8 are 1."""
    task, names = cut(0, threshold), ("bad", "good")
    angles = np.linspace(0, np.pi, 142)
    features, coef = np.stack([np.cos(angles), np.sin(angles)], 1), np.array([[40, 0], [0, 0]])
    graph = with_head(plain(2), coef.astype(np.float32), np.zeros(2, np.float32), task.link)
    _, answer = run(graph, x=features.astype(np.float32))
    said = [names[i] for i in answer]
    assert said == task.values(task.outputs(features @ coef), names)
    assert set(said) == set(names)


def test_what_is_seen_is_shaken_by_a_step_up_or_down_as_by_lot():
    graph = onnx.load_model_from_string(plain(6))
    graph.graph.node.append(helper.make_node("Identity", ["features"], ["head.0"]))
    graph.graph.output[0].name = "head.0"
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    (before,), (after,) = (run(one, x=x) for one in (graph, shaken(graph, 2.0**-6)))
    np.testing.assert_array_equal(before, x)
    step = after / before - 1
    np.testing.assert_allclose(np.abs(step), 2.0**-6, rtol=1e-3)
    assert 0.4 < (step > 0).mean() < 0.6


def test_products_of_eight_bits_are_close_and_the_head_stays():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(48, 64)).astype(np.float32), rng.normal(size=48).astype(np.float32)
    table = rng.normal(size=(100, 64)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["rows"]),
        helper.make_node("Gemm", ["rows", "weight", "bias"], ["features"], transB=1),
    ]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.INT64, ["items"]),
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["items", 48]),
    ]
    arrays = {"table": table, "weight": weight, "bias": bias}
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    coef = rng.normal(size=(48, 50)).astype(np.float32)
    whole = with_head(model.SerializeToString(), coef, np.zeros(50, np.float32), CLASSIFICATION.link)
    small = eight_bits(whole)
    at = np.arange(100)
    outputs, answer = run(whole, x=at)
    close, same = run(small, x=at)
    np.testing.assert_allclose(close, outputs, rtol=0, atol=1e-2)
    assert (answer == same).mean() > 0.95
    kinds = {one.name: one.data_type for one in small.graph.initializer}
    assert {kinds["table.whole"], kinds["weight.T.whole"]} == {TensorProto.INT8, TensorProto.UINT8}
    assert "weight" not in kinds
    assert any(one.dims[:] == [48, 50] and one.data_type == TensorProto.FLOAT for one in small.graph.initializer)
