"""From weights to an ONNX file."""

import json
import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch

import jointmat
from export.graph import Graph
from export.rewrite import rewrite
from export.verify import Comparison, compare
from export.wrapper import Joint
from jointmat.config import ModelConfig, to_mapping
from jointmat.errors import ExportError
from jointmat.io.atomic import atomic_write
from jointmat.models.joint import JointMatting
from jointmat.preprocess import OVERVIEW
from jointmat.weights import sha256

OPSET = 18
TOLERANCE = 1e-3
LICENCE = "Apache-2.0 (code); for the weights see their card"


def export_onnx(model: JointMatting, path: Path, *, source: Path | None = None) -> Comparison:
    """Write the joint network with dynamic batch, height and width, and compare it with torch.

    The file takes `image` (B, 3, H, W) float32 RGB in [0, 1] (normalisation is inside), the planes `trimap`
    (B, 3, H, W) of a given one, 0 where there is none, and `prior` (B, 1, H, W), an earlier alpha that counts
    where a trimap is given. H and W are multiples of the stride: the signature says so.

    Parameters
    ----------
    source : the weights file, whose sha256 goes into the metadata

    Raises
    ------
    ExportError
        as in `export_graph`.
    """
    return export_graph(Joint(model), path, model.config, source)


def export_graph(
    graph: Graph, path: Path, config: ModelConfig | None = None, source: Path | None = None
) -> Comparison:
    """Write any network as one file, and compare it with torch.

    Parameters
    ----------
    config, source : the network's configuration and weights file, for the metadata, if it has them

    Raises
    ------
    ExportError
        if the file fails ONNX's checker or differs from torch by more than 1e-3 at any compared size; nothing
        is written then.
    """
    proto = convert(graph)
    describe(proto, graph.stride, config, source)
    check(proto, path)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        onnx.save(proto, draft)
        comparison = compare(graph, draft)
        if not comparison.worst <= TOLERANCE:  # NaN, too
            raise ExportError(
                f"{path}: differs from torch by {comparison.worst:.2g}, expected at most {TOLERANCE}"
            )
        with atomic_write(path) as file:
            file.write(draft.read_bytes())
    return comparison


def convert(graph: Graph) -> onnx.ModelProto:
    """The network as a graph with dynamic batch, height and width.

    The example's sizes are neither 0 nor 1 nor equal, so that the tracer takes none for a constant.
    """
    example = graph.example(2, 3 * graph.stride, 5 * graph.stride, torch.Generator().manual_seed(1))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            graph.eval(),
            example,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            external_data=False,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=graph.axes(),
        )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing")
    smallest = graph.example(1, graph.stride, graph.stride, torch.Generator())
    return rewrite(program.model_proto, {n: tuple(x.shape) for n, x in zip(graph.inputs, smallest, strict=True)})


def describe(proto: onnx.ModelProto, stride: int, config: ModelConfig | None, source: Path | None) -> None:
    """Set the file's metadata."""
    proto.producer_name, proto.producer_version = "jointmat", jointmat.__version__
    properties = {
        "name": "jointmat",
        "version": jointmat.__version__,
        "licence": LICENCE,
        "stride": str(stride),
        "recommended_long_side": str(OVERVIEW),
        "weights_sha256": sha256(source) if source else "",
    }
    if config:
        properties["config"] = json.dumps(to_mapping(config))
    onnx.helper.set_model_props(proto, properties)


def check(proto: onnx.ModelProto, path: Path) -> None:
    """ONNX's own checker with shape inference, or ExportError."""
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{path}: the exported graph is not valid ({error})") from error
