"""A graph for programs without trimaps: the image is its only input, alpha its only output."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort

from export.verify import Comparison
from jointmat.assets import PORTRAIT
from jointmat.errors import ExportError
from jointmat.io.atomic import atomic_write
from jointmat.io.image import load_image

_SIZES = ((1, 32, 32), (1, 320, 320), (1, 384, 512), (2, 96, 160))


def image_to_alpha(path: Path) -> onnx.ModelProto:
    """The exported file, cut down to image (B, 3, H, W) float32 RGB in [0, 1] → alpha (B, 1, H, W).

    Inputs beside the image, such as a trimap, become zeros: the network is given none.

    Raises
    ------
    ExportError
        if the file has no input `image` or no output `alpha`.
    """
    model = onnx.load(path)
    graph = model.graph
    if "image" not in {x.name for x in graph.input} or "alpha" not in {x.name for x in graph.output}:
        raise ExportError(
            f"{path}: has no input image or no output alpha; expected a file made by python -m export onnx"
        )
    others = [x for x in graph.input if x.name != "image"]
    for other in others:
        channels = other.type.tensor_type.shape.dim[1].dim_value
        _insert_first(graph, _zeros_like_image(other.name, channels))
        graph.input.remove(other)
    return onnx.utils.Extractor(model).extract_model(["image"], ["alpha"])


def _zeros_like_image(name: str, channels: int) -> list[onnx.NodeProto]:
    """Nodes for `name` (B, channels, H, W), all 0."""
    constant, node = onnx.numpy_helper.from_array, onnx.helper.make_node
    return [
        node("Constant", [], [f"{name}_from"], value=constant(np.array([0]))),
        node("Constant", [], [f"{name}_to"], value=constant(np.array([channels]))),
        node("Constant", [], [f"{name}_axis"], value=constant(np.array([1]))),
        node("Constant", [], [f"{name}_factor"], value=constant(np.array(0, np.float32))),
        node("Slice", ["image", f"{name}_from", f"{name}_to", f"{name}_axis"], [f"{name}_planes"]),
        node("Mul", [f"{name}_planes", f"{name}_factor"], [name]),
    ]


def _insert_first(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def write_compared(
    proto: onnx.ModelProto, path: Path, source: Path, tolerance: float, mean: np.ndarray, std: np.ndarray
) -> Comparison:
    """Write a graph that was made from `source`, after comparing the two; arguments as of `compare_alpha`.

    Raises
    ------
    ExportError
        if alpha differs by more than `tolerance`; nothing is written then.
    """
    comparison = compare_alpha(source, proto, mean, std)
    if not comparison.worst <= tolerance:  # NaN, too
        raise ExportError(f"{path}: differs from {source} by {comparison.worst:.2g}, allowed {tolerance}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(proto.SerializeToString())
    return comparison


def compare_alpha(original: Path, model: onnx.ModelProto, mean: np.ndarray, std: np.ndarray) -> Comparison:
    """Largest |difference of alpha| on a portrait between a file and a graph made from it, by shape (B, H, W).

    mean, std : (3,); the new graph gets (image − mean) / std
    """
    before = ort.InferenceSession(original, providers=["CPUExecutionProvider"])
    after = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    portrait = load_image(PORTRAIT)
    differences = {}
    for batch, height, width in _SIZES:
        resized = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        image = np.stack([resized.transpose(2, 0, 1)] * batch)
        feed = {x.name: np.zeros((batch, x.shape[1], height, width), np.float32) for x in before.get_inputs()} | {
            "image": image
        }
        scaled = (image - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
        (expected,) = before.run(["alpha"], feed)
        (found,) = after.run(None, {after.get_inputs()[0].name: scaled.astype(np.float32)})
        differences[batch, height, width] = float(np.abs(found - expected).max())
    return Comparison(differences)
