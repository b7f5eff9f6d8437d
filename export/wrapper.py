"""What the joint network's files compute: the trained modules themselves, with the outputs that users ask for."""

import torch
import torch.nn.functional as F
from torch import Tensor

from export.graph import Graph, smooth
from jointmat.assets import PORTRAIT
from jointmat.io.image import load_image
from jointmat.models.joint import JointMatting


class PredictTrimap(Graph):
    """image → alpha, trimap, mask."""

    inputs = {"image": 3}  # noqa: RUF012 (constant)
    outputs = ("alpha", "trimap", "mask")

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model, self.stride = model, model.config.stride

    def example(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A portrait, in other light each time: without a subject, most of the network says nothing."""
        photo = torch.from_numpy(load_image(PORTRAIT)).permute(2, 0, 1)[None] / 255
        light = 0.6 + 0.4 * torch.rand(batch, 1, 1, 1, generator=generator)
        return (light * F.interpolate(photo, (height, width), mode="area"),)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = self.model(image)
        return output.alpha, output.trimap, output.mask


class GivenTrimap(Graph):
    """image, trimap → alpha, mask. (A graph's input and output cannot share a name.)"""

    inputs = {"image": 3, "trimap": 3}  # noqa: RUF012
    outputs = ("alpha", "mask")

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model, self.stride = model, model.config.stride

    def example(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        image, planes = (smooth(batch, 3, height, width, generator) for _ in range(2))
        return image, planes.mul(8).softmax(dim=1)

    def forward(self, image: Tensor, trimap: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(image, trimap)
        return output.alpha, output.mask
