"""Sessions: graphs in memory that answer, by the runtime of ONNX; the only place that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import BundleError, MachineError
from handful.readback import reason

Answer = Callable[[dict[str, NDArray[Any]]], NDArray[np.float64]]
"""Arrays that were prepared → outputs (N, K) of N items, or of N parts."""


def answering(content: bytes, what: str) -> Answer:
    """A graph that answers.

    Args:
        content: the bytes of its file.
        what: what it is called in messages.

    Raises:
        MachineError: there is no runtime.
        BundleError: it is no graph that this runtime can run, or what it is given does not fit it.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MachineError(
            "models in ONNX need the package onnxruntime, which is not installed. Run: pip install 'handful[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone: they are raised as well
    # Threads that wait for work by counting take the processor from those that have some.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises types of its own, which it does not export
        raise _refused(what, error) from error

    read = {one.name for one in session.get_inputs()}  # what makes no difference is not in a graph

    def answer(feed: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
        try:
            (outputs,) = session.run(["outputs"], {name: x for name, x in feed.items() if name in read})
        except Exception as error:  # as above
            raise _refused(what, error) from error
        return np.asarray(outputs, np.float64)

    return answer


def _refused(what: str, error: Exception) -> BundleError:
    return BundleError(
        f"{what} cannot be run by onnxruntime ({reason(error)}). Update onnxruntime, or export it again."
    )
