"""What an exported file computes: the trained modules themselves, with the outputs that a user asks for."""

from torch import Tensor, nn

from jointmat.models.joint import JointMatting


class PredictTrimap(nn.Module):
    """image → alpha, trimap, mask."""

    inputs = ("image",)
    outputs = ("alpha", "trimap", "mask")

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = self.model(image)
        return output.alpha, output.trimap, output.mask


class GivenTrimap(nn.Module):
    """image, trimap → alpha, mask. (A graph's input and output cannot share a name.)"""

    inputs = ("image", "trimap")
    outputs = ("alpha", "mask")

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, trimap: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(image, trimap)
        return output.alpha, output.mask
