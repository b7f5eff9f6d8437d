"""The segmentation head: DeepLabV3+ on the shared features.

Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV 2018. The
pyramid pooling is that of segmentation-models-pytorch.
"""

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPP, SeparableConv2d
from torch import Tensor, nn

from jointmat.config import ModelConfig


class SegmentationHead(nn.Module):
    """Mask and band width at 1/4 of the image's size.

    Parameters
    ----------
    skip_channels : of the encoder's feature at 1/4
    config : `neck_channels`, `aspp_channels`, `skip_channels`, `atrous_rates`, `aspp_dropout` and the last of
        `radii`, which bounds the band
    """

    def __init__(self, skip_channels: int, config: ModelConfig):
        super().__init__()
        channels = config.aspp_channels
        self.aspp = ASPP(
            config.neck_channels, channels, config.atrous_rates, separable=True, dropout=config.aspp_dropout
        )
        self.from_skip = _activated(nn.Conv2d(skip_channels, config.skip_channels, 1, bias=False))
        self.merge = _activated(
            SeparableConv2d(channels + config.skip_channels, channels, 3, padding=1, bias=False)
        )
        self.to_maps = nn.Conv2d(channels, 2, 3, padding=1)
        self.max_band = config.radii[-1]

    def forward(self, skip: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """
        Parameters
        ----------
        skip : (B, skip_channels, H/4, W/4)
        context : (B, neck_channels, H/s, W/s) of the neck

        Returns
        -------
        mask_logits (B, 1, H/4, W/4), and band (B, 1, H/4, W/4): half-width of the unknown band, pixels at 1/4
        """
        skip = self.from_skip(skip)  # B, S, H/4, W/4
        pooled = self.aspp(context)  # B, A, H/s, W/s
        pooled = F.interpolate(pooled, skip.shape[-2:], mode="bilinear", align_corners=False)  # B, A, H/4, W/4
        maps = self.to_maps(self.merge(torch.cat([pooled, skip], dim=1)))  # B, 2, H/4, W/4
        return maps[:, :1], self.max_band * maps[:, 1:].sigmoid()


def _activated(convolution: nn.Module) -> nn.Sequential:
    channels = [module for module in convolution.modules() if isinstance(module, nn.Conv2d)][-1].out_channels
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
