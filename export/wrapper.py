"""What the joint network's files compute: the trained modules, with the outputs that users need."""

import torch
from torch import Tensor

from export.graph import Graph
from jointmat.models.joint import JointMatting


class PredictTrimap(Graph):
    """image → alpha, trimap, mask."""

    inputs = {"image": 3}  # noqa: RUF012 (constant)
    outputs = ("alpha", "trimap", "mask")

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model, self.stride = model, model.config.stride

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
        image, planes = super().example(batch, height, width, generator)
        return image, planes.mul(8).softmax(dim=1)

    def forward(self, image: Tensor, trimap: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(image, trimap)
        return output.alpha, output.mask
