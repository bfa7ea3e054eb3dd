"""An ONNX file of eight-bit numbers, read without running it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.testing import assert_array_equal
from onnx import TensorProto, helper, numpy_helper

from handful.backbones.onnx_file import float_tensors, tensors

STORED = {
    "embeddings.words.weight_quantized": np.array([[3, 5], [0, 255]], np.uint8),
    "embeddings.words.weight_scale": np.array(0.5, np.float32),
    "embeddings.words.weight_zero_point": np.array(4, np.uint8),
    # Two inputs, three outputs, with a scale for each output.
    "onnx::MatMul_7_quantized": np.array([[1, -2, 3], [4, 5, -128]], np.int8),
    "onnx::MatMul_7_scale": np.array([1, 0.5, 0.25], np.float32),
    "onnx::MatMul_7_zero_point": np.array([0, 0, 2], np.int8),
    "encoder.layer.0.query.bias": np.array([0.1, 0.2, 0.3], np.float32),
}


def write(file, stored):
    node = helper.make_node(
        "MatMulInteger",
        ["x_quantized", "onnx::MatMul_7_quantized", "x_zero_point", "onnx::MatMul_7_zero_point"],
        ["/encoder/layer.0/query/MatMul_output_0_quantized"],
    )
    given = [
        helper.make_tensor_value_info("x_quantized", TensorProto.UINT8, [1, 2]),
        helper.make_tensor_value_info("x_zero_point", TensorProto.UINT8, []),
    ]
    made = [helper.make_tensor_value_info(node.output[0], TensorProto.INT32, [1, 3])]
    kept = [numpy_helper.from_array(values, name) for name, values in stored.items()]
    onnx.save(helper.make_model(helper.make_graph([node], "tiny", given, made, kept)), str(file))
    return file


def test_tensors_are_read_as_they_are_stored(tmp_path):
    found = tensors(write(tmp_path / "model.onnx", STORED))
    assert found.keys() == STORED.keys()
    for name, values in STORED.items():
        assert_array_equal(found[name], values, strict=True)


def test_whole_numbers_become_what_they_stand_for_under_the_names_of_the_layers(tmp_path):
    found = float_tensors(write(tmp_path / "model.onnx", STORED))
    assert found.keys() == {"embeddings.words.weight", "encoder.layer.0.query.weight", "encoder.layer.0.query.bias"}
    assert_array_equal(found["embeddings.words.weight"], np.array([[-0.5, 0.5], [-2, 125.5]], np.float32), strict=True)
    weight = np.array([[1, 4], [-1, 2.5], [0.25, -32.5]], np.float32)
    assert_array_equal(found["encoder.layer.0.query.weight"], weight, strict=True)


def test_a_matrix_without_its_scale_is_an_error(tmp_path):
    without = {name: values for name, values in STORED.items() if name != "onnx::MatMul_7_scale"}
    with pytest.raises(KeyError, match="onnx::MatMul_7_scale"):
        float_tensors(write(tmp_path / "model.onnx", without))
