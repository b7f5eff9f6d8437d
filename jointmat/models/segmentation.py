"""The segmentation head: DeepLabV3+ (Chen et al., ECCV 2018) on the shared features."""

from typing import NamedTuple

import torch.nn.functional as F
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder
from torch import Tensor, nn


class Segmentation(NamedTuple):
    """What the head knows at 1/4 of the image's size."""

    mask_logits: Tensor  # B, 1, H/4, W/4
    band: Tensor  # B, 1, H/4, W/4: half-width of the unknown band, pixels at 1/4
    context: Tensor  # B, context_channels, H/16, W/16


class Context(nn.Module):
    """What the photo is about: the features at 1/32 merged into those at 1/16.

    This gives the pyramid pooling its output stride of 16 for a twentieth of what dilating the encoder's last
    stage would cost.

    Parameters
    ----------
    encoder_channels : of the features at 1/2, 1/4, 1/8, 1/16, 1/32
    """

    def __init__(self, encoder_channels: tuple[int, ...], context_channels: int):
        super().__init__()
        self.from_16 = nn.Conv2d(encoder_channels[3], context_channels, 1, bias=False)
        self.from_32 = nn.Conv2d(encoder_channels[4], context_channels, 1, bias=False)
        self.merge = nn.Sequential(nn.BatchNorm2d(context_channels), nn.ReLU(inplace=True))

    def context(self, features: list[Tensor]) -> Tensor:
        """The encoder's features → (B, context_channels, H/16, W/16)"""
        _, _, _, sixteenth, deepest = features
        return self.merge(self.from_16(sixteenth) + F.interpolate(self.from_32(deepest), scale_factor=2.0))


class SegmentationHead(Context):
    """Mask and band width, by the pyramid pooling and the decoder of segmentation-models-pytorch.

    Parameters
    ----------
    encoder_channels : of the features at 1/2, 1/4, 1/8, 1/16, 1/32
    context_channels, aspp_channels, atrous_rates : see `ModelConfig`
    max_band : upper end of the width, pixels at 1/4
    """

    def __init__(
        self,
        encoder_channels: tuple[int, ...],
        context_channels: int,
        aspp_channels: int,
        atrous_rates: tuple[int, ...],
        max_band: float,
    ):
        super().__init__(encoder_channels, context_channels)
        self.decoder = DeepLabV3PlusDecoder(
            encoder_channels=(0, encoder_channels[0], encoder_channels[1], context_channels),
            encoder_depth=4,
            out_channels=aspp_channels,
            atrous_rates=atrous_rates,
            output_stride=16,
            aspp_separable=True,
            aspp_dropout=0.1,
        )
        self.to_maps = nn.Conv2d(aspp_channels, 2, 3, padding=1)
        self.max_band = max_band

    def forward(self, features: list[Tensor]) -> Segmentation:
        quarter, context = features[1], self.context(features)
        fused = self.decoder([quarter, quarter, quarter, context])  # the decoder reads entries 2 and −1
        maps = self.to_maps(fused)
        return Segmentation(maps[:, :1], self.max_band * maps[:, 1:].sigmoid(), context)
