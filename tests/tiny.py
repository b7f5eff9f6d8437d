"""A network with all parts of the real ones that runs at once."""

from typing import Any

import numpy as np
import torch
from torch import nn

from jointmat.build import build
from jointmat.config import ModelConfig

CONFIG = ModelConfig(
    encoder="test_efficientnet",
    neck_channels=16,
    aspp_channels=8,
    skip_channels=8,
    atrous_rates=(1, 2, 3),
    radii=(1, 2, 4),
    decoder_channels=(16, 8, 8),
    unet_channels=(16, 8, 8, 8),
    key_channels=8,
    max_queries=12,
    saturation=0.1,  # untrained planes are nowhere near 0 or 1: more would magnify every rounding
)


def tiny_model(config: ModelConfig = CONFIG, seed: int = 0) -> Any:
    """In evaluation mode, with random weights that are far from the start of a training.

    A new network has a mask of 0.5 everywhere and an attention that is the identity, so that neither could be
    wrong in a way that a comparison would notice.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(config)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)
                module.momentum = None  # the average of all batches seen
        head = [m for m in model.segmentation.modules() if isinstance(m, nn.Conv2d)][-1]
        nn.init.normal_(head.weight, std=0.3)
        with torch.no_grad():
            model.train()(images(8, 64, 64))
        return model.eval()


def images(batch: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Smooth random images, (batch, 3, height, width) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, 6, 6, generator=generator)
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def hard_planes(height: int, width: int) -> torch.Tensor:
    """A trimap in three bands from left to right, background, unknown, foreground: (1, 3, height, width).

    Their borders lie between the cells of the features.
    """
    planes = torch.zeros(1, 3, height, width)
    third = width // 3 + 1
    planes[:, 0, :, :third] = 1
    planes[:, 1, :, third : 2 * third] = 1
    planes[:, 2, :, 2 * third :] = 1
    return planes


def feed(
    image: torch.Tensor, trimap: torch.Tensor | None = None, prior: torch.Tensor | None = None
) -> dict[str, np.ndarray]:
    """What the joint network's file is given: all 0 for a trimap that is not, F + U/2 for an earlier alpha."""
    planes = torch.zeros_like(image) if trimap is None else trimap
    alpha = planes[:, 2:] + planes[:, 1:2] / 2 if prior is None else prior
    return {"image": image.numpy(), "trimap": planes.numpy(), "prior": alpha.numpy()}
