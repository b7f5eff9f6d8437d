"""Multiply-accumulates of an ONNX file."""

from math import prod
from pathlib import Path

import onnx

from export.rewrite import value_shapes


def count(path: Path, size: int) -> float:
    """Multiply-accumulates of convolutions and matrix products, for an image of size×size or of a fixed size."""
    model = onnx.load(path)
    shapes = value_shapes(model, {value.name: _shape(value, size) for value in model.graph.input})
    for node in model.graph.node:  # a quantised weight keeps its shape
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes:
            shapes.setdefault(node.output[0], shapes[node.input[0]])
    return float(sum(_macs(node, shapes) for node in model.graph.node))


def _shape(value: onnx.ValueInfoProto, size: int) -> tuple[int, ...]:
    """(1, channels, size, size), unless the file fixes an axis."""
    wanted = (1, 3, size, size)
    dims = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value or default for axis, default in zip(dims, wanted, strict=True))


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    output = shapes.get(node.output[0], ())
    if node.op_type == "Conv":
        return prod(output) * prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type in ("MatMul", "FusedMatMul", "Gemm"):
        return prod(output) * shapes[node.input[0]][-1]
    return 0
