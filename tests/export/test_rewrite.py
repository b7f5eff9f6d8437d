"""Rewritten graphs compute the same, with fewer or faster operators."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.rewrite import rewrite

SIZES = {"x": (1, 3, 4, 6)}


def conv(outputs, kernel, *, pads=(0, 0, 0, 0), group=1, bias=True, stride=1):
    """x (B, 3, H, W) → y, by one convolution with random weights."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((outputs, 3 // group, *kernel)).astype(np.float32)
    weights = {"w": weight} | ({"b": rng.standard_normal(outputs).astype(np.float32)} if bias else {})
    node = helper.make_node(
        "Conv", ["x", *weights], ["y"], "conv", pads=pads, group=group, strides=[stride, stride]
    )
    return model([node], weights)


def model(nodes, weights):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", "c", "h2", "w2"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(proto, shape, optimise=True):
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return session.run(None, {"x": np.random.default_rng(1).standard_normal(shape).astype(np.float32)})[0]


def kinds(proto):
    return [node.op_type for node in proto.graph.node]


@pytest.mark.parametrize("outputs", [1, 4, 7])
@pytest.mark.parametrize(
    ("kernel", "pads"), [((3, 3), (1, 1, 1, 1)), ((5, 3), (2, 1, 2, 1)), ((2, 4), (0, 1, 1, 2))]
)
@pytest.mark.parametrize("bias", [True, False])
def test_a_thin_convolution_is_widened_and_computes_the_same(outputs, kernel, pads, bias):
    thin = conv(outputs, kernel, pads=pads, bias=bias)
    expected = run(thin, (2, 3, 8, 12))
    wide = rewrite(thin, SIZES)
    assert kinds(wide) == ["Conv", "DepthToSpace"]
    np.testing.assert_allclose(run(wide, (2, 3, 8, 12)), expected, atol=1e-5)
    assert len(wide.graph.initializer) == 1 + bias, "the thin weights are gone"


@pytest.mark.parametrize(
    "settings",
    [
        {"outputs": 8, "kernel": (3, 3), "pads": (1, 1, 1, 1)},
        {"outputs": 4, "kernel": (1, 1)},
        {"outputs": 3, "kernel": (3, 3), "pads": (1, 1, 1, 1), "group": 3},
        {"outputs": 4, "kernel": (3, 3), "pads": (1, 1, 1, 1), "stride": 2},
        {"outputs": 4, "kernel": (2, 2)},  # 3x5 outputs at the smallest size
    ],
    ids=["wide", "pointwise", "grouped", "strided", "odd"],
)
def test_other_convolutions_stay_as_they_are(settings):
    proto = conv(**settings)
    expected = run(proto, (2, 3, 8, 12))
    found = rewrite(proto, SIZES)
    assert kinds(found) == ["Conv"]
    np.testing.assert_array_equal(run(found, (2, 3, 8, 12)), expected)


def test_shapes_are_read_behind_a_chain_that_a_runtime_fuses():
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((8, 3, 1, 1)).astype(np.float32)}
    weights |= {name: rng.random(8).astype(np.float32) for name in ("scale", "shift", "mean", "variance")}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["convolved"]),
        helper.make_node("Shape", ["convolved"], ["shape"]),
        helper.make_node("BatchNormalization", ["convolved", *list(weights)[1:]], ["normal"]),
        helper.make_node("Relu", ["normal"], ["positive"]),
        helper.make_node("Reshape", ["positive", "shape"], ["y"]),
    ]
    proto = model(nodes, weights)
    expected = run(proto, (2, 3, 4, 4), optimise=False)
    proto = rewrite(proto, SIZES)
    assert kinds(proto) == ["Conv", "BatchNormalization", "Relu", "Shape", "Reshape"]
    assert proto.graph.node[3].input[0] == "positive"
    np.testing.assert_array_equal(run(proto, (2, 3, 4, 4), optimise=False), expected)
