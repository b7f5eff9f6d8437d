"""A file that rembg loads unchanged, as the model of its session `u2net_custom`.

That session resizes every image to 320×320, divides it by its largest level, and normalises it as ImageNet models
expect; two nodes at the input undo that. It reads the first output only, and stretches it to [0, 1] by its least
and largest value.
"""

from pathlib import Path

import numpy as np
import onnx

from export.single import image_to_alpha, write_compared
from export.verify import Comparison
from jointmat.runtime.files import exported_file

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
_INPUT = "normalised"
_TOLERANCE = 1e-3


def export_rembg(model: str | Path, path: Path) -> Comparison:
    """Write the file, compared with the one it came from.

    Parameters
    ----------
    model : name, or path of NAME.onnx

    Raises
    ------
    WeightsError
        if there is no such model.
    ExportError
        if alpha differs by more than 1e-3; nothing is written then.
    """
    source = exported_file(model)
    proto = image_to_alpha(source)
    _undo_normalisation(proto.graph)
    onnx.checker.check_model(proto, full_check=True)
    return write_compared(proto, path, source, _TOLERANCE, MEAN, STD)


def _undo_normalisation(graph: onnx.GraphProto) -> None:
    """image = input · std + mean."""
    graph.input[0].name = _INPUT
    for name, value in (("rembg_std", STD), ("rembg_mean", MEAN)):
        graph.initializer.append(onnx.numpy_helper.from_array(value.reshape(1, 3, 1, 1), name))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(
        [
            onnx.helper.make_node("Mul", [_INPUT, "rembg_std"], ["rembg_scaled"]),
            onnx.helper.make_node("Add", ["rembg_scaled", "rembg_mean"], ["image"]),
            *nodes,
        ]
    )
