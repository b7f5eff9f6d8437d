"""A model that needs no training: its alpha is the image's brightness."""

from pathlib import Path

from onnx import TensorProto, helper


def brightness_model(path: Path, *, stride: int = 32) -> Path:
    """Write a file such as `OnnxBackend` expects.

    alpha is the mean of the channels, mask its average over 4×4 pixels, used_trimap that average as foreground
    and the rest as background; a given trimap replaces both, and alpha's known pixels. `prior` has no effect.
    """
    _write(path, _nodes(), ["image", "trimap", "prior"], ["alpha", "used_trimap", "mask"], stride)
    return path


def _nodes():
    node = helper.make_node
    return [
        node("ReduceMean", ["image", "channel_axis"], ["raw"], keepdims=1),
        node("AveragePool", ["raw"], ["mask"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Sub", ["one", "mask"], ["background"]),
        node("Sub", ["mask", "mask"], ["unknown"]),
        node("Concat", ["background", "unknown", "mask"], ["predicted"], axis=1),
        node("AveragePool", ["trimap"], ["given_4"], kernel_shape=[4, 4], strides=[4, 4]),
        *_given_over("predicted", "given_4", "used_trimap"),
        # At full size: nothing but raw where nothing is given.
        node("Sub", ["one", "raw"], ["raw_background"]),
        node("Sub", ["raw", "raw"], ["raw_unknown"]),
        node("Concat", ["raw_background", "raw_unknown", "raw"], ["raw_planes"], axis=1),
        *_given_over("raw_planes", "trimap", "planes"),
        node("Split", ["planes"], ["b", "u", "f"], axis=1, num_outputs=3),
        node("Mul", ["raw", "u"], ["inside"]),
        node("Mul", ["prior", "zero"], ["ignored"]),
        node("Sum", ["inside", "f", "ignored"], ["alpha"]),
    ]


def _given_over(predicted, given, result):
    node = helper.make_node
    return [
        node("ReduceSum", [given, "channel_axis"], [f"{result}_share"], keepdims=1),
        node("Sub", ["one", f"{result}_share"], [f"{result}_rest"]),
        node("Mul", [f"{result}_rest", predicted], [f"{result}_kept"]),
        node("Add", [given, f"{result}_kept"], [result]),
    ]


def peer_model(path: Path) -> Path:
    """Write a file such as other systems ship: image in, its brightness out."""
    node = helper.make_node("ReduceMean", ["image", "channel_axis"], ["alpha"], keepdims=1)
    _write(path, [node], ["image"], ["alpha"], 32)
    return path


def _write(path, nodes, inputs, outputs, stride):
    float_value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", "c", "h", "w"])  # noqa: E731
    constants = [
        helper.make_tensor("channel_axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "brightness",
        [float_value(name) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [constant for constant in constants if constant.name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"stride": str(stride)})
    path.write_bytes(model.SerializeToString())
