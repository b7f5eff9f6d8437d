"""The two networks of the baseline pipeline as ONNX files; the trimap between them is made on the CPU."""

from pathlib import Path

import torch
from torch import Tensor, nn

from export.graph import Graph
from export.onnx import export_graph
from export.verify import Comparison
from jointmat.baseline.gca import GCAMatting, load_gca_checkpoint
from jointmat.baseline.networks import TwoModelMatting, TwoNetworks
from jointmat.build import Network, load_model
from jointmat.errors import ExportError
from jointmat.models.trimap import one_hot_argmax


class Segmentation(Graph):
    """image → mask."""

    inputs, outputs = {"image": 3}, ("mask",)

    def __init__(self, network: nn.Module, stride: int):
        super().__init__()
        self.network, self.stride = network, stride

    def forward(self, image: Tensor) -> tuple[Tensor]:
        return (self.network(image).sigmoid(),)


class Matting(Graph):
    """image, trimap → alpha before fusion; the pipeline fuses with its own trimap."""

    inputs, outputs = {"image": 3, "trimap": 3}, ("alpha",)

    def __init__(self, network: nn.Module, stride: int):
        super().__init__()
        self.network, self.stride = network, stride

    def forward(self, image: Tensor, trimap: Tensor) -> tuple[Tensor]:
        return (self.network(image, trimap),)

    def example(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        image, planes = super().example(batch, height, width, generator)
        return image, one_hot_argmax(planes)


def load_network(path: Path) -> Network | GCAMatting:
    """The network in a .safetensors file, or the published matting network in a .pth file."""
    return load_gca_checkpoint(path) if path.suffix == ".pth" else load_model(path)


def export_stages(
    model: TwoNetworks | GCAMatting, path: Path, source: Path | None = None
) -> dict[Path, Comparison]:
    """Write NAME-segmentation.onnx and NAME-matting.onnx for `path` NAME.onnx, each compared with torch.

    Parameters
    ----------
    model : two networks with a hard trimap between them; or the published matting network, which becomes
        NAME-matting.onnx
    source : the weights file, whose sha256 goes into the metadata

    Raises
    ------
    ExportError
        for other networks, and as in `export.onnx.export_graph`.
    """
    graphs: dict[str, Graph]
    config = None
    if isinstance(model, GCAMatting):
        graphs = {"matting": Matting(model, model.stride)}
    elif isinstance(model, TwoModelMatting):
        config = model.config
        graphs = {
            "segmentation": Segmentation(model.segmentation, config.stride),
            "matting": Matting(model.matting, config.stride),
        }
    else:
        raise ExportError(f"{type(model).__name__}: only two models with a hard trimap between them have stages")
    files = {path.with_name(f"{path.stem}-{stage}.onnx"): graph for stage, graph in graphs.items()}
    return {file: export_graph(graph, file, config, source) for file, graph in files.items()}
