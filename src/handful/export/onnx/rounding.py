"""Rounding: how far the answers of a graph move where all that is seen is rounded a step up or down.

Two libraries add up the same numbers in other orders, and what they see differs in the last digits; where it is kept in
half precision, now and then by a step of that. A model whose columns hardly vary, or whose weights are large, makes
more of it: its answers are no surer than that on any machine.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from handful.export.onnx.heads import PREFIX

FLOAT = 2.0**-20
"""What float32 leaves of a number after many sums: eight steps."""
HALF = 2.0**-11
"""Half precision: half a step, up or down."""

_NAME = "shaken."
# Turns the digits far behind those that count into a lot.
_MIXED = 98765.4321


def shaken(graph: onnx.ModelProto, step: float) -> onnx.ModelProto:
    """A copy of a graph whose head reads each number that is seen a step larger or smaller, as by lot.

    Args:
        graph: what a function of ``heads`` gave.
        step: relative to each number.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    constants = {f"{_NAME}mixed": _MIXED, f"{_NAME}step": step}
    nodes = [
        helper.make_node("Mul", ["features", f"{_NAME}mixed"], [f"{_NAME}turned"]),
        helper.make_node("Sin", [f"{_NAME}turned"], [f"{_NAME}wave"]),
        helper.make_node("Sign", [f"{_NAME}wave"], [f"{_NAME}lot"]),
        helper.make_node("Mul", [f"{_NAME}lot", f"{_NAME}step"], [f"{_NAME}share"]),
        helper.make_node("Mul", ["features", f"{_NAME}share"], [f"{_NAME}way"]),
        helper.make_node("Add", ["features", f"{_NAME}way"], [f"{_NAME}features"]),
    ]
    first = next(i for i, node in enumerate(made.graph.node) if node.output[0].startswith(PREFIX))
    head = list(made.graph.node)[first:]
    for node in head:
        for i, name in enumerate(node.input):
            if name == "features":
                node.input[i] = f"{_NAME}features"
    rest = list(made.graph.node)[:first]
    del made.graph.node[:]
    made.graph.node.extend([*rest, *nodes, *head])
    made.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()
    )
    return made
