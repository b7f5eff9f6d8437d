"""From weights to an ONNX file that anyone can run."""

import json
import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch.export import Dim

import jointmat
from export.verify import Comparison, compare
from export.wrapper import GivenTrimap, PredictTrimap
from jointmat.config import to_mapping
from jointmat.errors import ExportError
from jointmat.io.atomic import atomic_write
from jointmat.models.joint import JointMatting
from jointmat.weights import sha256

OPSET = 18
TOLERANCE = 1e-3
_LARGEST = 8192  # pixels a side that the file's signature admits


def export_onnx(
    model: JointMatting, path: Path, *, trimap: bool = False, source: Path | None = None
) -> Comparison:
    """Write one file with dynamic batch, height and width, and compare it with torch.

    The file takes `image` (B, 3, H, W) float32 RGB in [0, 1] (normalisation is inside), and with `trimap` also
    the planes (B, 3, H, W) of a given one. H and W are multiples of the stride: the signature says so.

    Parameters
    ----------
    source : the weights file, whose sha256 goes into the metadata

    Raises
    ------
    ExportError
        if the file fails ONNX's checker or differs from torch by more than 1e-3 at any compared size; nothing
        is written then.
    """
    wrapper = GivenTrimap(model) if trimap else PredictTrimap(model)
    proto = _convert(wrapper, model.config.stride)
    _describe(proto, model, source)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{path}: the exported graph is not valid ({error})") from error
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        onnx.save(proto, draft)
        comparison = compare(wrapper, draft)
        if not comparison.worst <= TOLERANCE:  # NaN, too
            raise ExportError(f"{path}: differs from torch by {comparison.worst:.2g}, allowed {TOLERANCE}")
        with atomic_write(path) as file:
            file.write(draft.read_bytes())
    return comparison


def _convert(wrapper: PredictTrimap | GivenTrimap, stride: int) -> onnx.ModelProto:
    """The graph; the example's sizes are neither 0 nor 1 nor equal, so that none is taken for a constant."""
    most = _LARGEST // stride
    batch, height, width = Dim("batch", max=64), Dim("h", max=most), Dim("w", max=most)
    axes = {0: batch, 2: stride * height, 3: stride * width}
    # one tensor each: the exporter takes a tensor that is passed twice for one input
    examples = tuple(torch.rand(2, 3, 3 * stride, 5 * stride) for _ in wrapper.inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            wrapper.eval(),
            examples,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            external_data=False,
            input_names=list(wrapper.inputs),
            output_names=list(wrapper.outputs),
            dynamic_shapes=dict.fromkeys(wrapper.inputs, axes),
        )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing")
    return program.model_proto


def _describe(proto: onnx.ModelProto, model: JointMatting, source: Path | None) -> None:
    """Metadata that lets the file speak for itself."""
    proto.producer_name, proto.producer_version = "jointmat", jointmat.__version__
    onnx.helper.set_model_props(
        proto,
        {
            "name": "jointmat",
            "version": jointmat.__version__,
            "licence": "Apache-2.0 (code); for the weights see their card",
            "config": json.dumps(to_mapping(model.config)),
            "stride": str(model.config.stride),
            "recommended_long_side": "512",
            "weights_sha256": sha256(source) if source else "",
        },
    )
