"""The joint network: one encoder, one pass, one alpha.

                        ┌─▶ segmentation ─▶ mask, band ─▶ soft trimap ─▶ saturate ─┐
    image ─▶ encoder ─▶ neck                                                       ├─▶ trimap [B U F] ─┐
      │         │        └──────────── context ───────────┐      given trimap ─────┘                   │
      │         └─── skips ───────────────────────────────┤     ┌─── guide: mask or prior, trimap ◀────┤
      └─▶ detail stem ─── skips ──────────────────────────┴─▶ matting decoder (GCA) ─▶ α_raw ─▶ fusion ┴─▶ α

                                          α = F + U·α_raw

Scales, for the default encoder, which sees the image at half its size:

    1/1   image, α_raw, α
    1/2   detail stem, decoder
    1/4   detail stem, encoder, decoder, mask, band, trimap
    1/8   encoder, decoder with guided contextual attention
    1/16  encoder, decoder
    1/32  encoder, neck with pyramid pooling
    1/64  encoder

Papers: DeepLabV3+ (Chen et al., ECCV 2018), guided contextual attention (Li & Lu, AAAI 2020), the fusion (Chen et
al., "Semantic Human Matting", ACM MM 2018, eq. 3). The soft trimap is our own, see `jointmat.ops.morphology`.
"""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.config import ModelConfig
from jointmat.errors import InputError, WeightsError
from jointmat.models.decoder import MattingDecoder
from jointmat.models.encoder import Encoder, Neck
from jointmat.models.segmentation import SegmentationHead
from jointmat.models.trimap import one_hot_argmax, saturate, scale_gradient, straight_through
from jointmat.ops.morphology import fuse, given_over, soft_trimap
from jointmat.weights import find_weights, load


class JointOutput(NamedTuple):
    """The result of one pass."""

    alpha: Tensor
    """(B, 1, H, W) in [0, 1]"""
    trimap: Tensor
    """(B, 3, H/4, W/4) background, unknown, foreground, sum 1, that alpha is made with: saturated, or given"""
    soft_trimap: Tensor
    """(B, 3, H/4, W/4) the predicted planes before they are saturated, which the losses see"""
    mask: Tensor
    """(B, 1, H/4, W/4) probability of foreground"""
    mask_logits: Tensor
    """(B, 1, H/4, W/4) the mask before its sigmoid"""
    band: Tensor
    """(B, 1, H/4, W/4) half-width of the unknown band, pixels at 1/4; 0 from networks that have no such number"""
    alpha_raw: Tensor
    """(B, 1, H, W) in [0, 1] the matting decoder's alpha before fusion"""


class JointMatting(nn.Module):
    """Joint segmentation and matting; the module's docstring has the figure.

    Parameters
    ----------
    config : all sizes; see `ModelConfig`
    """

    trimap_gradient = 0.0
    """Share of alpha's gradient that is passed through the trimap to mask and band, from 0 to 1."""

    _mean: Tensor
    _std: Tensor

    def __init__(self, config: ModelConfig | None = None):
        super().__init__()
        self.config = config = config or ModelConfig()
        self.encoder = Encoder(config.encoder, scale=config.encoder_scale)
        channels = self.encoder.channels
        self.neck = Neck(channels, config.neck_channels)
        self.segmentation = SegmentationHead(channels[4], config)
        self.decoder = MattingDecoder(channels, self.neck.stride, config)
        self.register_buffer("_mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    @classmethod
    def from_pretrained(cls, model: str | Path = "lite") -> "JointMatting":
        """The network with its weights, by name or path of a .safetensors file, in evaluation mode."""

        def build(config: ModelConfig) -> "JointMatting":
            if config.architecture != "joint":
                raise WeightsError(f"{model}: holds the architecture {config.architecture!r}, expected 'joint'")
            return cls(config)

        return load(find_weights(model, ".safetensors"), build)

    def forward(self, image: Tensor, trimap: Tensor | None = None, prior: Tensor | None = None) -> JointOutput:
        """Alpha of a batch of images.

        Parameters
        ----------
        image : (B, 3, H, W) float RGB in [0, 1]; H and W multiples of `config.stride`
        trimap : (B, 3, H, W) planes [background, unknown, foreground] that sum to 1 and replace the predicted
            ones, or to 0 where those stay
        prior : (B, 1, H, W) in [0, 1] an earlier alpha, used where a trimap is given; default F + U/2

        Raises
        ------
        InputError
            for a size that is not a multiple of the stride.
        """
        check_batch(image, trimap, prior, self.config.stride)
        config = self.config
        image = (image - self._mean) / self._std
        features = self.encoder(image)  # by stride: B, C, H/stride, W/stride
        context = self.neck(features)  # B, N, H/32, W/32
        mask_logits, band = self.segmentation(features[4], context)  # B, 1, H/4, W/4
        mask = mask_logits.sigmoid()
        if config.band is not None:
            band = torch.full_like(band, config.band)
        predicted = soft_trimap(mask, band, config.radii, config.temperature)  # B, 3, H/4, W/4

        soft = scale_gradient(saturate(predicted, config.saturation), self.trimap_gradient)
        planes = straight_through(one_hot_argmax(predicted), soft) if config.hard_trimap else soft
        guess = mask
        full = F.interpolate(planes, scale_factor=4.0, mode="bilinear", align_corners=False)  # B, 3, H, W
        if trimap is not None:
            given = F.avg_pool2d(trimap, 4)  # B, 3, H/4, W/4
            start = given[:, 2:] + given[:, 1:2] / 2 if prior is None else F.avg_pool2d(prior, 4)
            share = given.sum(dim=1, keepdim=True)  # 0 where nothing is given
            guess = share * start + (1 - share) * mask
            planes, full = given_over(given, planes), given_over(trimap, full)

        alpha_raw = self.decoder(image, features, context, torch.cat([guess, planes], dim=1))  # B, 1, H, W
        alpha = fuse(full, alpha_raw) if config.fusion else alpha_raw
        return JointOutput(alpha, planes, predicted, mask, mask_logits, band, alpha_raw)


def check_batch(image: Tensor, trimap: Tensor | None, prior: Tensor | None, stride: int) -> None:
    """InputError unless image and trimap (B, 3, H, W) and prior (B, 1, H, W) fit each other and the stride."""
    height, width = image.shape[-2:]
    if height % stride or width % stride:
        raise InputError(
            f"image: got {height}x{width}, expected height and width divisible by {stride}; pad it, or use "
            "jointmat.predict, which takes any size"
        )
    for name, planes, count in (("trimap", trimap, 3), ("prior", prior, 1)):
        if planes is not None and planes.shape != (image.shape[0], count, height, width):
            raise InputError(
                f"{name}: got {tuple(planes.shape)}, expected Bx{count}x{height}x{width} like the image"
            )
