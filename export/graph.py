"""A network with named inputs and outputs, ready to export."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from jointmat.assets import PORTRAIT
from jointmat.io.image import load_image

_LARGEST = 8192  # pixels, the largest height and width that a file accepts
_MOST = 64  # images in a batch


class Graph(nn.Module):
    """Base of every network that `export.onnx.export_graph` writes.

    A subclass says what its inputs and outputs are called and computes them: `forward` takes the inputs and
    returns a tuple of the outputs, both in that order. All inputs are (B, channels, H, W) with the same B, H
    and W, which are dynamic in the file; H and W are multiples of `stride`.

    >>> class Mask(Graph):
    ...     inputs, outputs, stride = {"image": 3}, ("mask",), 32
    ...     def __init__(self, network):
    ...         super().__init__()
    ...         self.network = network
    ...     def forward(self, image):
    ...         return (self.network(image).sigmoid(),)
    """

    inputs: dict[str, int]
    """Name and channels of each input."""
    outputs: tuple[str, ...]
    """Name of each output."""
    stride: int = 1
    """Height and width are multiples of it, pixels."""

    def example(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Inputs to trace and compare the network with: for "image" a portrait, because much of a network is
        idle without a subject, else smooth random maps in [0, 1].

        Override it for inputs with other values, such as the planes of a trimap.
        """
        return tuple(
            portraits(batch, height, width, generator)
            if name == "image"
            else smooth(batch, channels, height, width, generator)
            for name, channels in self.inputs.items()
        )

    def axes(self) -> dict[str, dict[int, Any]]:
        """The dynamic axes, by input and number, for `torch.export`."""
        most = _LARGEST // self.stride
        batch, height, width = Dim("batch", max=_MOST), Dim("h", max=most), Dim("w", max=most)
        open_ = {0: batch, 2: self.stride * height, 3: self.stride * width}
        return dict.fromkeys(self.inputs, open_)  # the same one: all inputs share their sizes


def portraits(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """The packaged portrait at random brightness: (batch, 3, height, width) in [0, 1]."""
    image = torch.from_numpy(load_image(PORTRAIT)).permute(2, 0, 1)[None] / 255
    light = 0.6 + 0.4 * torch.rand(batch, 1, 1, 1, generator=generator)
    return light * nn.functional.interpolate(image, (height, width), mode="area")


def smooth(batch: int, channels: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Random maps in [0, 1] without a hard edge: (batch, channels, height, width)."""
    coarse = torch.rand(batch, channels, 6, 6, generator=generator)
    return nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)
