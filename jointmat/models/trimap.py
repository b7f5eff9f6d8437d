"""Between mask and alpha: planes [background, unknown, foreground] (B, 3, H, W) that sum to 1."""

import torch
from torch import Tensor


def saturate(planes: Tensor, threshold: float) -> Tensor:
    """Stretch background and foreground from [t, 1 − t] to [0, 1] and clip; the rest is unknown.

    The soft morphology lifts what is nearly 0 in a mask, so that its planes are nowhere quite 0 or 1. The fusion
    would let that through as a haze over background and subject.

    planes (B, 3, H, W) that sum to 1 → the same; a gradient passes where nothing is clipped. t = 0 changes
    nothing.
    """
    stretched = ((planes - threshold) / (1 - 2 * threshold)).clamp(0.0, 1.0)
    background, _, foreground = stretched.split(1, dim=1)
    return torch.cat([background, 1 - background - foreground, foreground], dim=1)


def one_hot_argmax(planes: Tensor) -> Tensor:
    """One-hot planes (B, C, H, W) of the largest one at each pixel; no gradient passes."""
    index = torch.arange(planes.shape[1], device=planes.device).view(1, -1, 1, 1)
    return (planes.argmax(dim=1, keepdim=True) == index).to(planes)


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """`hard` forwards, the gradient of `soft` backwards (Bengio et al., arXiv 1308.3432)."""
    return hard.detach() + soft - soft.detach()


def scale_gradient(x: Tensor, share: float) -> Tensor:
    """`x` as it is; backwards its gradient times `share`, none at all for 0."""
    if share == 1:
        return x
    return torch.lerp(x.detach(), x, share) if share else x.detach()
