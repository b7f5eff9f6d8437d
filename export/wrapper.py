"""The graph of the joint network's files: its trained modules, with the outputs that users need."""

import torch
from torch import Tensor

from export.graph import Graph
from jointmat.models.joint import JointMatting


class Joint(Graph):
    """image, trimap, prior → alpha, used_trimap, mask; where the trimap is 0 the network uses its own."""

    inputs = {"image": 3, "trimap": 3, "prior": 1}  # noqa: RUF012 (constant)
    outputs = ("alpha", "used_trimap", "mask")

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model, self.stride = model, model.config.stride

    def example(self, batch: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        image, planes, prior = super().example(batch, height, width, generator)
        given = (torch.arange(batch) % 2 == 0).view(-1, 1, 1, 1)  # every other image comes with a trimap
        return image, planes.mul(8).softmax(dim=1) * given, prior

    def forward(self, image: Tensor, trimap: Tensor, prior: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = self.model(image, trimap, prior)
        return output.alpha, output.trimap, output.mask
