# mypy: ignore-errors
# (onnxscript reads the functions of this file as graphs; as Python they have no types)
"""Graphs that reduce frames for the network and enlarge its matte again.

Made of products with two small matrices, for the area average that frames are reduced with, and one bilinear
`Resize`: operators that every runtime has. (`Resize` with `antialias` is missing in TensorRT.)
"""

import onnx
from onnx.compose import add_prefix
from onnxscript import FLOAT, INT64, UINT8, OnnxFunction, script
from onnxscript import opset18 as op
from onnxscript.optimizer import optimize

_FRAMES, _IMAGE, _SIZE = UINT8["batch", "height", "width", 3], FLOAT["batch", 3, "h", "w"], INT64[2]
_SMALL, _FULL = FLOAT["batch", 1, "h", "w"], FLOAT["batch", "height", "width", 1]


def reduction(side: int, stride: int, ir_version: int) -> onnx.ModelProto:
    """frames → image, and the sizes (height, width) of the frame and, inside of the image, of its content.

    Sizes are those of `jointmat.preprocess.plan`; the image is padded by repeating the content's last pixels.
    """

    @script(default_opset=op)
    def before(frames: _FRAMES) -> tuple[_IMAGE, _SIZE, _SIZE]:
        size = op.Shape(frames, start=1, end=3)
        long = op.ReduceMax(size, keepdims=1)
        most = op.Min(long, side)
        inside = op.Max((2 * size * most + long) / (2 * long), 1)  # rounded
        padded = (inside + (stride - 1)) / stride * stride
        rows = _area_weights(op.Gather(size, 0), op.Gather(inside, 0), op.Gather(padded, 0)) / 255.0
        columns = _area_weights(op.Gather(size, 1), op.Gather(inside, 1), op.Gather(padded, 1))
        low = rows @ op.Reshape(op.Cast(frames, to=FLOAT.dtype), [0, 0, -1])  # B, h, W·3
        shape = op.Concat([0], op.Slice(padded, [0], [1]), op.Slice(size, [1], [2]), [3], axis=0)
        planes = op.Transpose(op.Reshape(low, shape), perm=[0, 3, 1, 2])  # B, 3, h, W
        image = planes @ op.Transpose(columns, perm=[1, 0])
        return image, size, inside

    return _plain(before, ir_version)


def enlargement(ir_version: int) -> onnx.ModelProto:
    """small_alpha, full_size, small_size → alpha: the content's matte at the frame's size."""

    @script(default_opset=op)
    def after(small_alpha: _SMALL, full_size: _SIZE, small_size: _SIZE) -> _FULL:
        content = op.Slice(small_alpha, [0, 0], small_size, [2, 3])
        sizes = op.Concat(op.Shape(small_alpha, start=0, end=2), full_size, axis=0)
        alpha = op.Transpose(op.Resize(content, None, None, sizes, mode="linear"), perm=[0, 2, 3, 1])
        return alpha  # noqa: RET504 (it names the output)

    return _plain(after, ir_version)


@script(default_opset=op)
def _area_weights(size, inside, padded):
    """(padded, size) weights that average the inputs below each output by the area that they share.

    Output i covers lo…lo + width of the inputs, input j covers j…j + 1. Outputs past the content repeat its last.
    """
    width = op.Cast(size, to=FLOAT.dtype) / op.Cast(inside, to=FLOAT.dtype)
    place = op.Min(op.Range(0, padded, 1), inside - 1)
    lo = op.Unsqueeze(op.Cast(place, to=FLOAT.dtype), [1]) * width
    j = op.Cast(op.Range(0, size, 1), to=FLOAT.dtype)
    return op.Relu(op.Min(lo + width, j + 1.0) - op.Max(lo, j)) / width


def _plain(function: OnnxFunction, ir_version: int) -> onnx.ModelProto:
    """As a model of standard operators only, with names of its own."""
    model = optimize(function.to_model_proto(ir_version=ir_version))
    return add_prefix(model, f"{function.name}/", rename_inputs=False, rename_outputs=False)
