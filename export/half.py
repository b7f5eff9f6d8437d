"""Half precision: a file of half the size, for GPUs and for download by browsers.

Inputs and outputs stay float32. A CPU still computes in float32.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from export.onnx import check
from export.rewrite import clean
from jointmat.io.atomic import atomic_write

# Squares and quotients of the attention: out of range for half precision.
_KEPT = ["ReduceL2", "Reciprocal", "Sqrt"]

# Nodes between these stay float32, too: soft morphology sums up to exp(τ) times the pixels of a disk (the limit
# is 65504), and the choice of queries breaks ties by steps of 2⁻²³.
_SPANS = (("Exp", "Log"), ("Range", "TopK"))


def to_half(source: Path, path: Path) -> None:
    """Write the fp16 form of an exported file; its metadata stays. Errors as in `export.onnx.check`."""
    model = onnx.load(source)
    del model.graph.value_info[:]  # types that are about to change
    blocked = [name for span in _SPANS for name in _between(model.graph, *span)]
    converted = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_KEPT],
        node_block_list=blocked,
        disable_shape_infer=False,
    )
    del converted.graph.value_info[:]
    _skip_round_trips(converted.graph)
    converted = clean(converted)  # the converter appends its casts
    check(converted, path)
    with atomic_write(path) as file:
        file.write(converted.SerializeToString())


def _skip_round_trips(graph: onnx.GraphProto) -> None:
    """Connect float32 nodes directly: between two of them, the converter inserts a cast to half and back."""
    casts = {n.output[0]: n for n in graph.node if n.op_type == "Cast"}
    to = {name: helper.get_node_attr_value(node, "to") for name, node in casts.items()}
    direct = {}
    for name, node in casts.items():
        before = node.input[0]
        if to[name] == TensorProto.FLOAT and to.get(before) == TensorProto.FLOAT16:
            direct[name] = casts[before].input[0]
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = direct.get(name, name)


def _between(graph: onnx.GraphProto, first: str, last: str) -> set[str]:
    """Names of the nodes on a path from an operator of one kind to one of another, ends included."""
    made_by = {name: node.name for node in graph.node for name in node.output}
    before = {n.name: {made_by[name] for name in n.input if name in made_by} for n in graph.node}
    after: set[str] = set()  # nodes are in topological order
    for node in graph.node:
        if node.op_type == first or before[node.name] & after:
            after.add(node.name)
    reaching: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type == last or node.name in reaching:
            reaching |= {node.name, *before[node.name]}
    return after & reaching
