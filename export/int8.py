"""Static INT8: weights per output channel, activations with the ranges that calibration saw.

A file of a quarter of the size; faster on CPUs with byte products (VNNI, or ARM's dot product). Sensitivity is
measured: each group of convolutions is quantised alone, and the groups that would bring the summed change of
alpha above a budget stay float32.
"""

import logging
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.onnx import check
from export.rewrite import clean, readers_of
from jointmat.io.atomic import atomic_write

Feed = dict[str, np.ndarray]
_ACTIVATIONS = ("Clip", "Relu")
_PROBES = 8
_NONE = "no node"  # an empty list would mean all
_DEPTH = 4  # leading parts of a weight's name that make a group, such as encoder.backbone.blocks.3


@dataclass(frozen=True)
class Group:
    """Convolutions that are quantised together."""

    name: str
    nodes: tuple[str, ...]
    weights: int
    """their number; INT8 stores each in a quarter of the bytes"""
    error: float = float("nan")
    """mean |Δalpha| when only this group is quantised"""


def sensitivity(
    source: Path, feeds: list[Feed], progress: Callable[[Iterable[Group]], Iterable[Group]] = iter
) -> list[Group]:
    """The groups of an exported file with the error of quantising each alone, least first.

    Parameters
    ----------
    feeds : inputs to calibrate with; the error is measured on the first few
    progress : wraps the loop over the groups
    """
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        ready, draft = Path(folder) / "ready.onnx", Path(folder) / "draft.onnx"
        prepare(source, ready)
        ranges, probes = Ranges(ready, feeds), feeds[:_PROBES]
        expected = alphas(ready, probes)
        for group in progress(groups(onnx.load(ready))):
            ranges.quantize(group.nodes, draft)
            errors = [np.abs(f - e).mean() for f, e in zip(alphas(draft, probes), expected, strict=True)]
            measured.append(replace(group, error=float(np.mean(errors))))
    return sorted(measured, key=lambda group: group.error)


def within(measured: Sequence[Group], budget: float) -> set[str]:
    """Names of the least sensitive groups whose errors add up to at most the budget."""
    total = np.cumsum([group.error for group in measured])
    return {group.name for group, error in zip(measured, total, strict=True) if error <= budget}


def to_int8(source: Path, path: Path, feeds: list[Feed], names: Collection[str]) -> None:
    """Write the INT8 form of an exported file; its metadata stays. Errors as in `export.onnx.check`.

    Parameters
    ----------
    feeds : inputs to calibrate with
    names : of the groups that are quantised
    """
    with tempfile.TemporaryDirectory() as folder:
        ready, draft = Path(folder) / "ready.onnx", Path(folder) / "draft.onnx"
        prepare(source, ready)
        chosen = [group for group in groups(onnx.load(ready)) if group.name in names]
        Ranges(ready, feeds).quantize([node for group in chosen for node in group.nodes], draft)
        model = clean(onnx.load(draft))  # which imports operator sets that it does not use
    original = onnx.load(source)
    del model.metadata_props[:]
    model.metadata_props.extend(original.metadata_props)
    model.producer_name, model.producer_version = original.producer_name, original.producer_version
    check(model, path)
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def prepare(source: Path, path: Path) -> None:
    """Fold normalisations into convolutions, and constants."""
    quant_pre_process(source, path, skip_symbolic_shape=True)


def groups(model: onnx.ModelProto) -> list[Group]:
    """Convolutions with trained weights by the module that these belong to, in the order of the graph.

    Constant kernels (disks, patches) are not weights and stay as they are.
    """
    weights = {w.name: w for w in model.graph.initializer if "." in w.name}
    found: dict[str, list[onnx.NodeProto]] = {}
    readers = readers_of(model)
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            # With its activation, so that only the values after it need a range.
            after = [reader for reader in readers[node.output[0]] if reader.op_type in _ACTIVATIONS]
            found.setdefault(_module(node.input[1]), []).extend([node, *after])
    return [Group(name, tuple(n.name for n in nodes), _size(nodes, weights)) for name, nodes in found.items()]


def _module(weight: str) -> str:
    """The group of "model.encoder.backbone.blocks.3.0.conv_pw.weight", with or without a prefix."""
    parts = weight.rpartition("model.")[2].split(".")[:-1]
    return ".".join(parts[:_DEPTH])


def _size(nodes: list[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> int:
    return sum(int(np.prod(weights[n.input[1]].dims)) for n in nodes if n.op_type == "Conv")


class Ranges:
    """A prepared file with the value ranges of its layers on some inputs, computed once."""

    def __init__(self, ready: Path, feeds: list[Feed]):
        self.feeds = feeds
        self._ready, self._cache = ready, ready.with_suffix(".ranges.json")

    def quantize(self, nodes: Collection[str], path: Path) -> None:
        """Write the file with these nodes in INT8."""
        logging.getLogger().setLevel(logging.ERROR)  # it warns about every bias
        quantize_static(
            self._ready,
            path,
            _Reader(self.feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,  # AVX2 sums pairs of products in 16 bits, which 8-bit weights would overflow
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", *_ACTIVATIONS],
            nodes_to_quantize=list(nodes) or [_NONE],
            calibration_cache_path=self._cache,
        )


class _Reader(CalibrationDataReader):
    def __init__(self, feeds: list[Feed]):
        self._rest = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._rest, None)


def alphas(path: Path, feeds: list[Feed]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [session.run(["alpha"], feed)[0] for feed in feeds]
