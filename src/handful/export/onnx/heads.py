"""Heads: what stands in a graph above the features: a linear map, calibrated outputs and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from handful.tasks.link import ABOVE, HIGHEST, MEAN, MEDIAN, NORMAL, OVERLAP, SIGMOID, SOFTMAX, Link

Matrix = NDArray[np.float32]

PREFIX = "head."
"""How the names of everything above the features begin."""
OUTPUTS, ANSWER = "outputs", "answer"
"""The outputs of a graph: (N, K) what the task has of each item, and the answer: the number of a name (N,), truths
(N, L), or a number (N,)."""


class _Nodes:
    """Nodes and constants that are added to a graph, one after the other."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, value: NDArray[np.generic] | float | int | Sequence[int]) -> str:
        """The name of an array; numbers with a point are float32, whole ones int64."""
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        name = f"{PREFIX}constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, operator: str, *inputs: str, to: str = "", **attributes: object) -> str:
        """The name of what an operator gives."""
        name = to or f"{PREFIX}{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def cast(self, truths: str) -> str:
        """Truths as whole numbers."""
        name = f"{PREFIX}Cast{len(self.nodes)}"
        self.nodes.append(helper.make_node("Cast", [truths], [name], to=TensorProto.INT64))
        return name


def with_head(
    features: bytes, coef: NDArray[np.float32], intercept: NDArray[np.float32], link: Link
) -> onnx.ModelProto:
    """A graph of features with a model's head on top.

    Args:
        features: the bytes of a graph whose output is ``features``, (N, D).
        coef: (D, K).
        intercept: (K,).
        link: what is done with the scores.
    """
    model = onnx.load_model_from_string(features)
    add = _Nodes()
    length = add("ReduceL2", "features", axes=[1], keepdims=1)
    unit = add("Div", "features", add("Max", length, add.constant(1e-12)))
    scores = add("Add", add("MatMul", unit, add.constant(coef)), add.constant(intercept))
    outputs = _OUTPUTS[link.outputs](add, scores, link.constants)
    answer = _ANSWERS[link.answer](add, outputs, len(intercept), link.constants)
    kind, axes = _KINDS[link.answer]
    shape: Sequence[str | int] = ("items", len(intercept))
    return _finished(model, add, [(outputs, TensorProto.FLOAT, shape), (answer, kind, shape[:axes])])


def with_distances(
    features: bytes, memory: Mapping[int, Matrix], centre: Mapping[int, Matrix], spread: Mapping[int, Matrix]
) -> onnx.ModelProto:
    """A graph of features with the distances to what normal parts look like on top, as ``features.nearest`` has them.

    Args:
        features: the bytes of a graph whose output is ``features``, (P, sum of D), the columns of each depth side by
            side.
        memory: depth → (M, D) standardised vectors of normal parts.
        centre: depth → (D,) what is taken from each column.
        spread: depth → (D,) what it is divided by.

    Returns:
        A graph whose output is (P, depths), root mean squared differences.
    """
    model = onnx.load_model_from_string(features)
    add, columns, start = _Nodes(), list[str](), 0
    for depth, vectors in memory.items():
        end = start + vectors.shape[1]
        own = add("Slice", "features", add.constant([start]), add.constant([end]), add.constant([1]))
        x = add("Div", add("Sub", own, add.constant(centre[depth])), add.constant(spread[depth]))
        normal = add.constant(vectors)
        products = add("MatMul", x, add("Transpose", normal, perm=[1, 0]))  # (P, M)
        lengths = add.constant((vectors * vectors).sum(1) / 2)
        at = add("ArgMin", add("Sub", lengths, products), axis=1, keepdims=0)
        apart = add("ReduceL2", add("Sub", x, add("Gather", normal, at)), axes=[1], keepdims=1)
        columns.append(add("Div", apart, add.constant(float(np.sqrt(vectors.shape[1])))))
        start = end
    add("Concat", *columns, to=OUTPUTS, axis=1)
    return _finished(model, add, [(OUTPUTS, TensorProto.FLOAT, ["parts", len(columns)])])


def with_pixel_classes(
    features: bytes, centre: Matrix, scale: Matrix, layers: Sequence[tuple[Matrix, Matrix]], furthest: float = np.inf
) -> onnx.ModelProto:
    """A graph of features of pixels with the probabilities of classes on top, (P, C).

    Args:
        features: the bytes of a graph whose output is ``features``, (P, D).
        centre: (D,) what is taken from each column.
        scale: (D,) what it is divided by.
        layers: from the lowest, what each column is weighed with and what is added, (D, K) and (K,); the last to C
            classes. What lies between two is kept where it is above 0.
        furthest: what is scaled is brought within so far of 0.
    """
    model, add = onnx.load_model_from_string(features), _Nodes()
    x = add("Div", add("Sub", "features", add.constant(centre)), add.constant(scale))
    if np.isfinite(furthest):
        x = add("Clip", x, add.constant(-furthest), add.constant(furthest))
    for number, (coef, intercept) in enumerate(layers):
        x = add("Add", add("MatMul", add("Relu", x) if number else x, add.constant(coef)), add.constant(intercept))
    return _finished(model, add, [(_softmax(add, x, ()), TensorProto.FLOAT, ["pixels", len(layers[-1][1])])])


def with_boxes(
    features: bytes, centre: Matrix, scale: Matrix, cells: tuple[Matrix, Matrix], sides: tuple[Matrix, Matrix]
) -> onnx.ModelProto:
    """A graph of features of cells with what ``box_answers.begun`` reads on top, (P, 1 + C + 4 C).

    Args:
        features: the bytes of a graph whose output is ``features``, (P, D).
        centre: (D,) what is taken from each column.
        scale: (D,) what it is divided by.
        cells: (D, 1 + C) and (1 + C,), to nothing and the labels.
        sides: (C, D, 4) and (C, 4), to the boxes of each label.
    """
    model, add = onnx.load_model_from_string(features), _Nodes()
    x = add("Div", add("Sub", "features", add.constant(centre)), add.constant(scale))
    scores = add("Add", add("MatMul", x, add.constant(cells[0])), add.constant(cells[1]))
    probable = add("Softmax", scores, axis=-1)
    coef = np.concatenate(list(sides[0]), 1)  # (D, 4 C)
    told = add("Add", add("MatMul", x, add.constant(coef)), add.constant(sides[1].ravel()))
    add("Concat", probable, told, to=OUTPUTS, axis=1)
    return _finished(model, add, [(OUTPUTS, TensorProto.FLOAT, ["cells", cells[0].shape[1] + coef.shape[1]])])


def _finished(
    model: onnx.ModelProto, add: _Nodes, outputs: Sequence[tuple[str, int, Sequence[str | int]]]
) -> onnx.ModelProto:
    """A graph with nodes added to it, and other outputs: of each its name, kind of number and shape."""
    model.graph.node.extend(add.nodes)
    model.graph.initializer.extend(add.constants)
    del model.graph.output[:]
    model.graph.output.extend([helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs])
    onnx.checker.check_model(model)
    return model


def _softmax(add: _Nodes, scores: str, constants: Sequence[float]) -> str:
    return add("Softmax", scores, to=OUTPUTS, axis=-1)


def _logistic(add: _Nodes, scores: str, constants: Sequence[float]) -> str:
    return add("Sigmoid", scores, to=OUTPUTS)


def _normal(add: _Nodes, scores: str, constants: Sequence[float]) -> str:
    centre, scale = (add.constant(float(value)) for value in constants)
    pull = add("Gather", scores, add.constant([0]), axis=1)
    precision = add("Max", add("Gather", scores, add.constant([1]), axis=1), add.constant(1e-6))
    mean = add("Add", add("Mul", add("Div", pull, precision), scale), centre)
    return add("Concat", mean, add("Div", scale, add("Sqrt", precision)), to=OUTPUTS, axis=1)


def _highest(add: _Nodes, outputs: str, count: int, constants: Sequence[float]) -> str:
    return add("ArgMax", outputs, to=ANSWER, axis=1, keepdims=0)


def _above(add: _Nodes, outputs: str, count: int, constants: Sequence[float]) -> str:
    """As ``tasks.classification.cut``; near 1 float32 is coarse: there the other class is held to what is left."""
    label, threshold = int(constants[0]), constants[1]
    own, other = (add.constant(np.array(number)) for number in (label, 1 - label))
    if threshold > 0.5:
        found = add("Less", add("Gather", outputs, other, axis=1), add.constant(1 - threshold))
    else:
        found = add("Greater", add("Gather", outputs, own, axis=1), add.constant(threshold))
    return add("Where", found, own, other, to=ANSWER)


def _median(add: _Nodes, outputs: str, count: int, constants: Sequence[float]) -> str:
    below = add("Less", add("CumSum", outputs, add.constant(1)), add.constant(0.5))
    number = add("ReduceSum", add.cast(below), add.constant([1]), keepdims=0)
    return add("Min", number, add.constant(count - 1), to=ANSWER)


def _overlap(add: _Nodes, outputs: str, count: int, constants: Sequence[float]) -> str:
    """As ``tasks.several.chosen``, which says why."""
    values, order = f"{PREFIX}sorted", f"{PREFIX}order"
    node = helper.make_node("TopK", [outputs, add.constant([count])], [values, order], axis=1, largest=1, sorted=1)
    add.nodes.append(node)
    sums, places = add("CumSum", values, add.constant(1)), np.arange(1, count + 1)
    total = add("Gather", sums, add.constant([count - 1]), axis=1)
    shared = add("Div", add("Add", sums, sums), add("Add", add.constant(places[None].astype(np.float32)), total))
    best = add("Add", add("ArgMax", shared, axis=1, keepdims=1), add.constant(np.array([[1]])))
    if constants[0]:
        none = add("ReduceProd", add("Sub", add.constant(1.0), outputs), axes=[1], keepdims=1)
        any_right = add("LessOrEqual", none, add("ReduceMax", shared, axes=[1], keepdims=1))
        best = add("Mul", best, add.cast(any_right))
    zeros = add("Sub", order, order)
    rank = add("ScatterElements", zeros, order, add("Add", zeros, add.constant(np.arange(count)[None])), axis=1)
    return add("Less", rank, best, to=ANSWER)


def _mean(add: _Nodes, outputs: str, count: int, constants: Sequence[float]) -> str:
    return add("Gather", outputs, add.constant(0), to=ANSWER, axis=1)


_OUTPUTS: Mapping[str, Callable[[_Nodes, str, Sequence[float]], str]] = {
    SOFTMAX: _softmax, SIGMOID: _logistic, NORMAL: _normal,
}  # fmt: skip
_ANSWERS: Mapping[str, Callable[[_Nodes, str, int, Sequence[float]], str]] = {
    HIGHEST: _highest, ABOVE: _above, MEDIAN: _median, OVERLAP: _overlap, MEAN: _mean,
}  # fmt: skip
# Answer → its kind, and how many axes it has.
_KINDS = {
    HIGHEST: (TensorProto.INT64, 1), ABOVE: (TensorProto.INT64, 1), MEDIAN: (TensorProto.INT64, 1),
    OVERLAP: (TensorProto.BOOL, 2), MEAN: (TensorProto.FLOAT, 1),
}  # fmt: skip
