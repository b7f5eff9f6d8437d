"""What an exported file computes: the trained modules themselves, with the outputs that a user asks for."""

from torch import Tensor, nn

from jointmat.models.joint import JointMatting

OUTPUTS = ("alpha", "trimap", "mask")


class PredictTrimap(nn.Module):
    """image → alpha, trimap, mask."""

    inputs = ("image",)

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = self.model(image)
        return output.alpha, output.trimap, output.mask


class GivenTrimap(nn.Module):
    """image, trimap → alpha, trimap, mask."""

    inputs = ("image", "trimap")

    def __init__(self, model: JointMatting):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, trimap: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = self.model(image, trimap)
        return output.alpha, output.trimap, output.mask
