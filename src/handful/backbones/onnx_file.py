"""What an ONNX file holds, read without running it: its tensors by name, and its matrices of eight-bit numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# How the quantiser of ONNX Runtime names what it makes of a tensor.
_WHOLE, _SCALE, _ZERO = "_quantized", "_scale", "_zero_point"


def tensors(file: Path) -> dict[str, np.ndarray]:
    """The tensors that are stored in the file, by name.

    Args:
        file: an ONNX file; what it keeps in other files is not read.
    """
    return _stored(_graph(file))


def float_tensors(file: Path) -> dict[str, np.ndarray]:
    """The tensors of a file that ONNX Runtime has quantised to eight bits, as plain numbers.

    A whole number q stands for (q - zero point) × scale. A matrix that a layer multiplies with has lost its name to a
    number; it gets back the one that its node's output still has, ``/a/b/MatMul_output_0`` for ``a.b.weight``, and the
    shape of a linear layer's weight, (outputs, inputs). The other tensors keep name and shape.

    Args:
        file: an ONNX file with dynamic quantisation.

    Raises:
        KeyError: a quantised tensor has no scale or no zero point.
    """
    graph = _graph(file)
    stored = _stored(graph)
    plain = {name: values for name, values in stored.items() if not name.endswith((_WHOLE, _SCALE, _ZERO))}
    for name in stored:
        if name.endswith(_WHOLE):
            plain[name.removesuffix(_WHOLE)] = _plain(stored, name.removesuffix(_WHOLE))
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            layer = node.output[0].partition("/MatMul_")[0].strip("/").replace("/", ".")
            plain[f"{layer}.weight"] = plain.pop(node.input[1].removesuffix(_WHOLE)).T
    return plain


def _plain(stored: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    whole, zero = (stored[name + end].astype(np.int32) for end in (_WHOLE, _ZERO))
    return np.asarray((whole - zero).astype(np.float32) * stored[name + _SCALE])


def _graph(file: Path) -> Any:
    import onnx  # only a conversion needs it, and it takes a tenth of a second

    return onnx.load(str(file), load_external_data=False).graph


def _stored(graph: Any) -> dict[str, np.ndarray]:
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
