"""Eight bits: the weights of a graph as whole numbers of eight bits, so that it takes a quarter of the space.

Matrices are kept in blocks of 64 weights with a scale each, and what they are multiplied with is rounded in the same
blocks as it comes (dynamic quantisation): one scale for a whole layer, as is usual, changes one answer in fifty of a
small encoder, and blocks change hardly any. Word vectors have a scale each. Kernels of convolutions and recurrent
layers are stored so and computed with as before: they get smaller, not faster.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from handful.export.onnx.heads import PREFIX

_DOMAIN = "com.microsoft"
_BLOCKS = (64, 32, 16)
# Arrays with fewer numbers than this stay as they are: they weigh nothing, and small ones are what scales hang on.
_SMALL = 2_048
_MOST = 127
# Products of blocks are added up in whole numbers, and not in float32.
_ACCURACY = 4


def eight_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph with weights of eight bits; its head stays as it is."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    weights = {one.name: one for one in graph.initializer}
    shrunk = _Shrunk()
    nodes = [node for old in graph.node for node in shrunk.node(old, weights)]
    del graph.node[:]
    graph.node.extend(shrunk.before)
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    remaining = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*remaining, *shrunk.arrays.values()])
    made.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return made


class _Shrunk:
    """What takes the place of nodes, and the arrays that it reads."""

    def __init__(self) -> None:
        self.arrays: dict[str, TensorProto] = {}
        self.before: list[NodeProto] = []

    def node(self, node: NodeProto, weights: dict[str, TensorProto]) -> list[NodeProto]:
        """The node, or those that take its place."""
        at = _PLACES.get(node.op_type, ())
        heavy = [i for i in at if i < len(node.input) and _is_heavy(weights.get(node.input[i]))]
        if not heavy or node.output[0].startswith(PREFIX):
            return [node]
        arrays = {i: numpy_helper.to_array(weights[node.input[i]]) for i in heavy}
        if node.op_type in ("MatMul", "Gemm"):
            return self._product(node, arrays[1])
        if node.op_type == "Gather":
            return self._looked_up(node, arrays[0])
        made = NodeProto()
        made.CopyFrom(node)
        for i, array in arrays.items():
            made.input[i] = self._stored(node.input[i], array, axis=1 if node.op_type == "LSTM" else 0)
        return [made]

    def _product(self, node: NodeProto, weight: NDArray[np.float32]) -> list[NodeProto]:
        options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        by_row = weight if options.get("transB") else weight.T  # (N, K)
        block = next((size for size in _BLOCKS if by_row.ndim == 2 and by_row.shape[1] % size == 0), 0)
        if not block or options.get("transA") or {options.get("alpha", 1.0), options.get("beta", 1.0)} != {1.0}:
            return [node]
        rows, width = by_row.shape
        parts = by_row.reshape(rows, width // block, block)
        scale = _scale(parts, 2)  # (N, blocks, 1)
        whole = (np.rint(parts / scale) + _MOST + 1).astype(np.uint8)
        name = f"{node.input[1]}.{'T' if options.get('transB') else 'N'}"
        inputs = [node.input[0], self._array(f"{name}.whole", whole), self._array(f"{name}.scale", scale.ravel())]
        product = helper.make_node(
            "MatMulNBits", inputs, [f"{node.output[0]}.product" if len(node.input) > 2 else node.output[0]],
            domain=_DOMAIN, K=width, N=rows, bits=8, block_size=block, accuracy_level=_ACCURACY,
        )  # fmt: skip
        if len(node.input) < 3:
            return [product]
        return [product, helper.make_node("Add", [product.output[0], node.input[2]], list(node.output))]

    def _looked_up(self, node: NodeProto, table: NDArray[np.float32]) -> list[NodeProto]:
        options = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if table.ndim != 2 or options.get("axis", 0):
            return [node]
        name, out = node.input[0], node.output[0]
        scale = _scale(table, 1)  # (V, 1)
        whole = self._array(f"{name}.whole", np.rint(table / scale).astype(np.int8))
        return [
            helper.make_node("Gather", [whole, node.input[1]], [f"{out}.whole"]),
            helper.make_node("Cast", [f"{out}.whole"], [f"{out}.cast"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [self._array(f"{name}.scale", scale), node.input[1]], [f"{out}.scale"]),
            helper.make_node("Mul", [f"{out}.cast", f"{out}.scale"], [out]),
        ]

    def _stored(self, name: str, weight: NDArray[np.float32], axis: int) -> str:
        """A weight that is made float32 again when the graph is loaded, with one scale for each place of an axis."""
        if f"{name}.whole" not in self.arrays:
            scale = _scale(weight, tuple(i for i in range(weight.ndim) if i > axis))
            whole = self._array(f"{name}.whole", np.rint(weight / scale).astype(np.int8))
            factor = self._array(f"{name}.scale", scale)
            self.before += [
                helper.make_node("Cast", [whole], [f"{name}.cast"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}.cast", factor], [f"{name}.again"]),
            ]
        return f"{name}.again"

    def _array(self, name: str, values: NDArray[np.generic]) -> str:
        self.arrays[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name


# Operator → which of its inputs may be weights.
_PLACES = {"MatMul": (1,), "Gemm": (1,), "Gather": (0,), "Conv": (1,), "LSTM": (1, 2)}


def _is_heavy(weight: TensorProto | None) -> bool:
    if weight is None or weight.data_type != TensorProto.FLOAT or math.prod(weight.dims) < _SMALL:
        return False
    # The kernels of a Fourier transform have one channel: what is quiet in a sound hangs on their precision.
    return not (len(weight.dims) == 3 and weight.dims[1] == 1)


def _scale(weight: NDArray[np.float32], axes: int | tuple[int, ...]) -> NDArray[np.float32]:
    """What the largest number of each part is divided by to become 127; 1 where all are 0."""
    largest = np.abs(weight).max(axis=axes, keepdims=True)
    return np.where(largest > 0, largest / _MOST, 1).astype(np.float32)
