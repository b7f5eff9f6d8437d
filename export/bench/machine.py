"""A machine's peak rate of multiply-accumulates."""

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from jointmat.evaluation.timing import timed
from jointmat.runtime.onnx import session_options

_SIDE = 1024
_RUNS = 30


def peak(threads: int) -> float:
    """The fastest of many float32 matrix products by ONNX Runtime, GMAC/s: no network can be faster here."""
    shapes = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [_SIDE, _SIDE]) for name in "abc"}
    product = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph([product], "product", [shapes["a"], shapes["b"]], [shapes["c"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = ort.InferenceSession(
        model.SerializeToString(), session_options(threads), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    feed = {name: rng.random((_SIDE, _SIDE), np.float32) for name in "ab"}
    milliseconds = min(timed(lambda: session.run(None, feed))[1] for _ in range(_RUNS))
    return _SIDE**3 / milliseconds / 1e6
