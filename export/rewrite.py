"""Rewrites graphs: the same numbers from faster operators.

Convolutions with few outputs waste vector units: ONNX Runtime computes blocks of 8 output channels, and reuses
what it loads for up to four blocks. Where a convolution has fewer than 8 outputs, `widen_thin_convolutions`
computes each 2×2 block of its outputs as channels of one convolution with stride 2, and rearranges them.
"""

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper
from onnx_ir.passes import Sequential
from onnx_ir.passes.common import (
    RemoveUnusedNodesPass,
    RemoveUnusedOpsetsPass,
    ShapeInferencePass,
    TopologicalSortPass,
)

_BLOCK = 8  # output channels that a runtime computes at once
_STEP = 2


def rewrite(model: onnx.ModelProto, sizes: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    """The model after all rewritings of this file.

    Parameters
    ----------
    sizes : the smallest shape of each input; larger ones are multiples of it in height and width
    """
    keep_fusions_open(model)
    widen_thin_convolutions(model, sizes)
    return clean(model)


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its nodes in topological order, without unused nodes, weights and operator sets."""
    passes = Sequential(TopologicalSortPass(), RemoveUnusedNodesPass(), RemoveUnusedOpsetsPass())
    return ir.to_proto(passes(ir.from_proto(model)).model)


def keep_fusions_open(model: onnx.ModelProto) -> None:
    """Read shapes after a chain such as Conv → BatchNormalization → Relu, not inside it; changes the model.

    The exporter reads a shape where it is first known, and a runtime does not fuse nodes whose output has two
    readers.
    """
    readers = readers_of(model)
    for node in model.graph.node:
        if node.op_type == "Shape":
            node.input[0] = _end_of_chain(node.input[0], readers)


def readers_of(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each value, by its name."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _end_of_chain(name: str, readers: dict[str, list[onnx.NodeProto]]) -> str:
    following = [r for r in readers.get(name, ()) if r.op_type != "Shape"]
    same_shape = {"BatchNormalization", "Relu", "Clip"}
    if len(following) == 1 and following[0].op_type in same_shape and following[0].input[0] == name:
        return _end_of_chain(following[0].output[0], readers)
    return name


def widen_thin_convolutions(model: onnx.ModelProto, sizes: dict[str, tuple[int, ...]]) -> None:
    """A k×k convolution with stride 1 → (k + 1)×(k + 1) with stride 2 and four times the outputs → DepthToSpace.

    Output (2i + a, 2j + b) of the first is channel (a, b) of output (i, j) of the second, whose kernel holds the
    first one's, shifted by (a, b). Only where height and width are even at the smallest size, and so at every
    size. Changes the model.
    """
    weights = {w.name: w for w in model.graph.initializer}
    shapes = value_shapes(model, sizes)
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if _is_thin(node, weights, shapes):
            nodes.append(_widened(model, node, weights[node.input[1]]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _is_thin(
    node: onnx.NodeProto, weights: dict[str, onnx.TensorProto], shapes: dict[str, tuple[int, ...]]
) -> bool:
    if node.op_type != "Conv" or node.input[1] not in weights:
        return False
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    outputs, _, *kernel = weights[node.input[1]].dims
    plain = all(set(attributes.get(name, [1])) == {1} for name in ("strides", "dilations"))
    shape = shapes.get(node.output[0], ())
    return (
        plain
        and attributes.get("group", 1) == 1
        and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        and len(kernel) == 2
        and max(kernel) > 1  # a widened 1×1 kernel would be mostly zeros
        and outputs < _BLOCK
        and len(shape) == 4
        and not any(side % _STEP for side in shape[2:])
    )


def _widened(model: onnx.ModelProto, node: onnx.NodeProto, weight: onnx.TensorProto) -> onnx.NodeProto:
    """Widen a convolution in place; returns the node that rearranges its outputs."""
    kernel = numpy_helper.to_array(weight)
    outputs, inputs, height, width = kernel.shape
    wide = np.zeros((outputs, _STEP, _STEP, inputs, height + 1, width + 1), kernel.dtype)
    for a, b in np.ndindex(_STEP, _STEP):
        wide[:, a, b, :, a : a + height, b : b + width] = kernel
    _replace_input(model, node, 1, wide.reshape(-1, inputs, height + 1, width + 1))
    if len(node.input) > 2:
        bias = next(w for w in model.graph.initializer if w.name == node.input[2])
        _replace_input(model, node, 2, np.repeat(numpy_helper.to_array(bias), _STEP * _STEP))
    kept = [a for a in node.attribute if a.name in ("pads", "group")]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("strides", [_STEP, _STEP])])
    thin, node.output[0] = node.output[0], f"{node.output[0]}_blocks"
    return helper.make_node(
        "DepthToSpace", [node.output[0]], [thin], f"{node.name}_places", blocksize=_STEP, mode="CRD"
    )


def _replace_input(model: onnx.ModelProto, node: onnx.NodeProto, index: int, value: np.ndarray) -> None:
    name = f"{node.input[index]}_wide"  # no dot: names with dots are trained weights
    if name not in {weight.name for weight in model.graph.initializer}:  # two nodes may share a weight
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    node.input[index] = name


def value_shapes(model: onnx.ModelProto, sizes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes of all values, weights included, for inputs of these shapes; 0 for a length that is not inferred."""
    fixed = ir.from_proto(model)
    values = ir.convenience.create_value_mapping(fixed.graph)
    for name, value in values.items():
        if not value.is_initializer():
            value.shape = ir.Shape(sizes[name]) if name in sizes else None
    ShapeInferencePass(check_type=False, strict_mode=False)(fixed)
    known = {name: value.shape for name, value in values.items() if value.shape is not None}
    return {name: tuple(side if isinstance(side, int) else 0 for side in shape) for name, shape in known.items()}
