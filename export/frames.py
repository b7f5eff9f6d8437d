"""The variant that takes raw frames: uint8, NHWC, any size; it resizes and normalises inside of the graph.

An accelerator or a browser then gets a frame as a camera or a decoder gives it, and returns its matte. On a CPU,
`jointmat.predict` reduces large frames faster.
"""

from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx.compose import add_prefix, merge_models
from torch import Tensor

from export.graph import Graph, portraits
from export.onnx import convert, joint_properties, write
from export.resize import enlargement, reduction
from export.verify import Comparison
from export.wrapper import PredictTrimap
from jointmat.models.joint import JointMatting
from jointmat.preprocess import OVERVIEW, plan

SIDE = OVERVIEW
SHAPES = ((1, 512, 512), (2, 90, 131), (3, 517, 33), (1, 720, 1280), (2, 700, 401), (1, 1, 7))


def export_frames(model: JointMatting, path: Path, *, side: int = SIDE, source: Path | None = None) -> Comparison:
    """Write the variant for frames, and compare it with torch and OpenCV. Errors as in `export_graph`.

    Parameters
    ----------
    side : see `Frames`
    source : the weights file, whose sha256 goes into the metadata
    """
    graph = Frames(model, side)
    properties = joint_properties(model, source) | {"recommended_long_side": str(side)}
    return write(convert_frames(graph), graph, path, properties, SHAPES)


class Frames(Graph):
    """frames (B, H, W, 3) uint8 RGB → alpha (B, H, W, 1) float32 in [0, 1].

    `forward` is the reference that the file is compared with: the plan of `jointmat.preprocess`, and OpenCV's
    resizing of floats.

    Parameters
    ----------
    side : the network sees a frame with its long side reduced to this, pixels; smaller ones are not enlarged
    """

    inputs = {"frames": 3}  # noqa: RUF012 (constant)
    outputs = ("alpha",)

    def __init__(self, model: JointMatting, side: int = SIDE):
        super().__init__()
        self.model, self.side = model, side

    def example(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        frames = portraits(batch, height, width, generator).mul(255).round()
        return (frames.to(torch.uint8).permute(0, 2, 3, 1).contiguous(),)

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        sizes = plan(tuple(frames.shape[1:3]), self.side, self.model.config.stride)  # type: ignore[arg-type]
        (height, width), padded = sizes.resized, sizes.padded
        border = (0, padded[0] - height, 0, padded[1] - width, cv2.BORDER_REPLICATE)
        small = [cv2.resize(f, (width, height), interpolation=cv2.INTER_AREA) for f in frames.float().numpy()]
        image = np.stack([cv2.copyMakeBorder(s / 255, *border) for s in small])
        alpha = self.model(torch.from_numpy(image).permute(0, 3, 1, 2)).alpha[:, 0, :height, :width]
        full = [cv2.resize(a, sizes.original[::-1], interpolation=cv2.INTER_LINEAR) for a in alpha.numpy()]
        return (torch.from_numpy(np.stack(full))[..., None],)


def convert_frames(graph: Frames) -> onnx.ModelProto:
    """The network's graph between what reduces a frame and what enlarges its matte again."""
    network = add_prefix(convert(PredictTrimap(graph.model)), "network/")
    before = reduction(graph.side, graph.model.config.stride, network.ir_version)
    joined = merge_models(before, network, [("image", "network/image")])
    links = [("network/alpha", "small_alpha"), ("size", "full_size"), ("inside", "small_size")]
    return merge_models(joined, enlargement(network.ir_version), links, outputs=["alpha"])
