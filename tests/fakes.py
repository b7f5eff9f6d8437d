"""A model that needs no training: its alpha is the picture's brightness."""

from pathlib import Path

from onnx import TensorProto, helper


def brightness_model(path: Path, *, stride: int = 32) -> Path:
    """Write path and, beside it, the variant for given trimaps, as `OnnxBackend` expects them.

    alpha is the mean of the channels, mask its average over 4×4 pixels, trimap that average as foreground and
    the rest as background; a given trimap replaces alpha's known pixels.
    """
    _write(path, _predict_nodes(), ["image"], ["alpha", "trimap", "mask"], stride)
    given = path.with_name(f"{path.stem}-trimap.onnx")
    _write(given, _given_nodes(), ["image", "trimap"], ["alpha", "mask"], stride)
    return path


def _predict_nodes():
    return [
        helper.make_node("ReduceMean", ["image", "channel_axis"], ["alpha"], keepdims=1),
        helper.make_node("AveragePool", ["alpha"], ["mask"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Sub", ["one", "mask"], ["background"]),
        helper.make_node("Sub", ["mask", "mask"], ["unknown"]),
        helper.make_node("Concat", ["background", "unknown", "mask"], ["trimap"], axis=1),
    ]


def _given_nodes():
    return [
        helper.make_node("ReduceMean", ["image", "channel_axis"], ["raw"], keepdims=1),
        helper.make_node("Split", ["trimap"], ["background", "unknown", "foreground"], axis=1, num_outputs=3),
        helper.make_node("Mul", ["raw", "unknown"], ["inside"]),
        helper.make_node("Add", ["inside", "foreground"], ["alpha"]),
        helper.make_node("AveragePool", ["raw"], ["mask"], kernel_shape=[4, 4], strides=[4, 4]),
    ]


def _write(path, nodes, inputs, outputs, stride):
    float_value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", "c", "h", "w"])  # noqa: E731
    constants = [
        helper.make_tensor("channel_axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
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
