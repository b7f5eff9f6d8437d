"""What a configuration chooses between mask and alpha: the band's width, how soft the trimap is, the fusion.

The defaults are the joint network's; the others are there to be compared with it.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from jointmat.config import ModelConfig


def band_of(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    """The predicted width (B, 1, H, W) → the one that is used."""
    return _same if config.band is None else partial(torch.full_like, fill_value=config.band)


def trimap_of(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    """The soft trimap (B, 3, H, W) → the one that alpha is made with."""
    return likeliest if config.hard_trimap else partial(settle, margin=config.margin)


def gradient_of(config: ModelConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """What alpha is made with, and the soft trimap → the first; a share of its gradient goes on in training."""
    return partial(straight_through if config.hard_trimap else damped, share=config.trimap_gradient)


def fusion_of(config: ModelConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """Trimap (B, 3, H, W) and alpha_raw (B, 1, H, W) → alpha (B, 1, H, W)."""
    return fuse if config.fusion else _raw


def fuse(trimap: Tensor, alpha_raw: Tensor) -> Tensor:
    """α = F + U·α_raw (Chen et al., "Semantic Human Matting", ACM MM 2018, eq. 3).

    trimap (B, 3, H, W), alpha_raw (B, 1, H, W) → (B, 1, H, W) in [0, 1]; a gradient of alpha reaches both.
    """
    return trimap[:, 2:3] + trimap[:, 1:2] * alpha_raw


def settle(planes: Tensor, margin: float) -> Tensor:
    """Background and foreground from `margin` to 1 − `margin` stretched to [0, 1], unknown the rest.

    The soft morphology lifts what is nearly 0 in a mask, so that its planes are nowhere quite 0 or 1. The fusion
    would let that through as a haze over background and subject.

    planes (B, 3, H, W) that sum to 1 → the same; between the margins a gradient passes. Margin 0 changes nothing.
    """
    stretched = ((planes - margin) / (1 - 2 * margin)).clamp(0.0, 1.0)
    background, _, foreground = stretched.split(1, dim=1)
    return torch.cat([background, 1 - background - foreground, foreground], dim=1)


def damped(settled: Tensor, _: Tensor, share: float) -> Tensor:
    """`settled` as it is; backwards, its gradient times `share`."""
    return settled if share == 1 else torch.lerp(settled.detach(), settled, share)


def straight_through(settled: Tensor, soft: Tensor, share: float) -> Tensor:
    """`settled` as it is; backwards, its gradient times `share` goes to `soft` (Bengio et al., arXiv 1308.3432).

    The likeliest plane has no gradient of its own: the soft planes move the way that would suit alpha.
    """
    return settled if share == 0 else settled + share * (soft - soft.detach())


def likeliest(planes: Tensor) -> Tensor:
    """One-hot planes (B, C, H, W) of the largest one at each pixel; no gradient passes."""
    index = torch.arange(planes.shape[1], device=planes.device).view(1, -1, 1, 1)
    return (planes.argmax(dim=1, keepdim=True) == index).to(planes)


def _same(x: Tensor) -> Tensor:
    return x


def _raw(_: Tensor, alpha_raw: Tensor) -> Tensor:
    return alpha_raw
