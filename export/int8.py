"""Static INT8: weights per output channel, activations with the ranges that calibration saw.

A file of a quarter of the size; faster where the CPU multiplies bytes (VNNI, or ARM's dot product). Which parts
bear it is measured: each group of convolutions is quantised alone, and the groups that together change alpha by
more than a budget stay as they are.
"""

import logging
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.onnx import check
from jointmat.io.atomic import atomic_write

Feed = dict[str, np.ndarray]
_ACTIVATIONS = ("Clip", "Relu")
_DEPTH = 4  # parts of a weight's name that tell groups apart, such as encoder.backbone.blocks.3


@dataclass(frozen=True)
class Group:
    """Convolutions that belong together."""

    name: str
    nodes: tuple[str, ...]
    weights: int
    """that the file would store in a quarter of the bytes"""
    error: float = float("nan")
    """mean |Δalpha| when only this group is quantised"""


def to_int8(
    source: Path,
    path: Path,
    feeds: list[Feed],
    budget: float,
    progress: Callable[[Iterable[Group]], Iterable[Group]] = iter,
) -> tuple[list[Group], set[str]]:
    """Write the INT8 form of an exported file; its metadata stays.

    Parameters
    ----------
    feeds : inputs to calibrate with, and to measure on
    budget : the groups' errors may add up to this; the least sensitive ones are quantised first
    progress : wraps the loop over the groups

    Returns
    -------
    All groups with their errors, the least sensitive first, and the names of those that were quantised.
    """
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        prepare(source, ready)
        measured = sorted(sensitivity(ready, feeds, progress), key=lambda group: group.error)
        total = np.cumsum([group.error for group in measured])
        chosen = [group for group, error in zip(measured, total, strict=True) if error <= budget]
        draft = Path(folder) / "draft.onnx"
        _quantize(ready, draft, feeds, [node for group in chosen for node in group.nodes])
        model = onnx.load(draft)
    del model.metadata_props[:]
    model.metadata_props.extend(onnx.load(source).metadata_props)
    model.producer_name, model.producer_version = "jointmat", onnx.load(source).producer_version
    check(model, path)
    with atomic_write(path) as file:
        file.write(model.SerializeToString())
    return measured, {group.name for group in chosen}


def prepare(source: Path, path: Path) -> None:
    """Fold what can be folded before quantising: normalisations into convolutions, constants."""
    quant_pre_process(source, path, skip_symbolic_shape=True)


def sensitivity(
    ready: Path, feeds: list[Feed], progress: Callable[[Iterable[Group]], Iterable[Group]] = iter
) -> Iterator[Group]:
    """Each group of a prepared file with the error that quantising it alone makes."""
    expected = _alphas(ready, feeds)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        for group in progress(groups(onnx.load(ready))):
            _quantize(ready, draft, feeds, group.nodes)
            found = _alphas(draft, feeds)
            error = np.mean([np.abs(f - e).mean() for f, e in zip(found, expected, strict=True)])
            yield Group(group.name, group.nodes, group.weights, float(error))


def groups(model: onnx.ModelProto) -> list[Group]:
    """Convolutions with trained weights by the module that these belong to, in the order of the graph.

    Constant kernels (disks, patches) are no weights and stay as they are.
    """
    weights = {w.name: w for w in model.graph.initializer if "." in w.name}
    found: dict[str, list[onnx.NodeProto]] = {}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            # Together with its activation, so that only the values behind that need a range.
            after = [reader for reader in readers[node.output[0]] if reader.op_type in _ACTIVATIONS]
            found.setdefault(_module(node.input[1]), []).extend([node, *after])
    return [Group(name, tuple(n.name for n in nodes), _size(nodes, weights)) for name, nodes in found.items()]


def _module(weight: str) -> str:
    """From a weight's name, "model.encoder.backbone.blocks.3.0.conv_pw.weight", or with a prefix of a tool."""
    parts = weight.rpartition("model.")[2].split(".")[:-1]
    return ".".join(parts[:_DEPTH])


def _size(nodes: list[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> int:
    return sum(int(np.prod(weights[n.input[1]].dims)) for n in nodes if n.op_type == "Conv")


class _Reader(CalibrationDataReader):
    def __init__(self, feeds: list[Feed]):
        self._rest = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._rest, None)


def _quantize(ready: Path, path: Path, feeds: list[Feed], nodes: Collection[str]) -> None:
    logging.getLogger().setLevel(logging.ERROR)  # it warns of every bias
    quantize_static(
        ready,
        path,
        _Reader(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=True,  # AVX2 adds pairs of products in 16 bits, which 8-bit weights would saturate
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", *_ACTIVATIONS],
        nodes_to_quantize=list(nodes),
    )


def _alphas(path: Path, feeds: list[Feed]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [session.run(["alpha"], feed)[0] for feed in feeds]
