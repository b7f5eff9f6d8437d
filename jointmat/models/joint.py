"""The joint network: one encoder, one pass, one alpha."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.config import ModelConfig
from jointmat.errors import InputError, WeightsError
from jointmat.models.decoder import MattingDecoder
from jointmat.models.encoder import Encoder
from jointmat.models.segmentation import SegmentationHead
from jointmat.models.trimap import band_of, fusion_of, gradient_of, trimap_of
from jointmat.ops.morphology import soft_trimap
from jointmat.weights import find_weights, load


class JointOutput(NamedTuple):
    """All that one pass yields; alpha, trimap and mask are what a user asks for."""

    alpha: Tensor
    """(B, 1, H, W) in [0, 1]"""
    trimap: Tensor
    """(B, 3, H/4, W/4) background, unknown, foreground that sum to 1, before what is nearly known is settled"""
    mask: Tensor
    """(B, 1, H/4, W/4) probability of foreground"""
    mask_logits: Tensor
    """(B, 1, H/4, W/4) the mask before its sigmoid"""
    band: Tensor
    """(B, 1, H/4, W/4) half-width of the unknown band, pixels at 1/4; 0 from networks that have no such number"""
    alpha_raw: Tensor
    """(B, 1, H, W) in [0, 1] what the matting decoder says before fusion"""


class JointMatting(nn.Module):
    """Joint segmentation and matting.

    Parameters
    ----------
    config : sizes; see `ModelConfig`
    """

    _mean: Tensor
    _std: Tensor

    def __init__(self, config: ModelConfig | None = None):
        super().__init__()
        self.config = config = config or ModelConfig()
        self.encoder = Encoder(config.encoder)
        channels = self.encoder.out_channels
        self.segmentation = SegmentationHead(
            channels, config.context_channels, config.aspp_channels, config.atrous_rates, config.radii[-1]
        )
        self.decoder = MattingDecoder(
            channels,
            config.context_channels,
            config.decoder_channels,
            config.key_channels,
            config.max_queries,
        )
        self.temperature = config.temperature
        self._choose_band, self._settle, self._fuse = band_of(config), trimap_of(config), fusion_of(config)
        self._pass_gradient = gradient_of(config)
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

    def forward(self, image: Tensor, trimap: Tensor | None = None) -> JointOutput:
        """Alpha of a batch of photos.

        Parameters
        ----------
        image : (B, 3, H, W) float RGB in [0, 1]; H and W multiples of `config.stride`
        trimap : (B, 3, H, W) planes [background, unknown, foreground] that sum to 1; replaces the predicted one

        Raises
        ------
        InputError
            for a size that is not a multiple of the stride.
        """
        check_batch(image, trimap, self.config.stride)
        image = (image - self._mean) / self._std
        features = self.encoder(image)
        mask_logits, band, context = self.segmentation(features)
        mask, band = mask_logits.sigmoid(), self._choose_band(band)
        if trimap is None:
            quarter = soft_trimap(mask, band, self.config.radii, self.temperature)
            settled = self._settle(quarter)
            settled = self._pass_gradient(settled, quarter) if self.training else settled
            planes = F.interpolate(settled, scale_factor=4.0, mode="bilinear", align_corners=False)
        else:
            quarter = settled = F.avg_pool2d(trimap, 4)
            planes = trimap
        alpha_raw = self.decoder(image, features, context, mask, settled)
        alpha = self._fuse(planes, alpha_raw)
        return JointOutput(alpha, quarter, mask, mask_logits, band, alpha_raw)


def check_batch(image: Tensor, trimap: Tensor | None, stride: int) -> None:
    """InputError unless image (B, 3, H, W) and trimap (B, 3, H, W) fit each other and the stride."""
    height, width = image.shape[-2:]
    if height % stride or width % stride:
        raise InputError(
            f"image: got {height}x{width}, expected height and width divisible by {stride}; pad it, or use "
            "jointmat.predict, which takes any size"
        )
    if trimap is not None and trimap.shape[1:] != (3, height, width):
        raise InputError(f"trimap: got {tuple(trimap.shape)}, expected Bx3x{height}x{width} like the image")
