"""The matting decoder: from features and a trimap to alpha inside of the unknown band."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.config import ModelConfig
from jointmat.models.attention import GuidedContextualAttention

_GUIDE = 4  # planes of the guide: an alpha to begin with, and the trimap


class UpBlock(nn.Module):
    """One scale of the decoder: what comes from below, plus the skip, plus the guide.

    The three are projected and added, as in the published decoder. Concatenating them would cost more, and
    channel counts that are no multiple of 8 leave the fast convolutions of ONNX Runtime (9.4 ms against 2 for 47
    channels at 1/2 of a 512² image).
    """

    def __init__(self, below: int, skip: int, channels: int):
        super().__init__()
        self.from_below = nn.Conv2d(below, channels, 1, bias=False)
        self.from_skip = nn.Conv2d(skip, channels, 1, bias=False)
        self.from_guide = nn.Conv2d(_GUIDE, channels, 3, padding=1, bias=False)
        self.merge = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.convolve = _convolution(channels, channels, 3, padding=1)

    def forward(self, below: Tensor, skip: Tensor, guide: Tensor) -> Tensor:
        """(B, below, H/2, W/2), (B, skip, H, W), (B, 4, H, W) → (B, channels, H, W)"""
        x = _double(self.from_below(below)) + self.from_skip(skip) + self.from_guide(guide)
        return self.convolve(self.merge(x))


class DetailBlock(nn.Module):
    """The scale 1/2, where the decoder meets a shallow look at every pixel: its stem is added as it is."""

    def __init__(self, below: int, channels: int):
        super().__init__()
        self.from_below = nn.Conv2d(below, channels, 1, bias=False)
        self.merge = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.convolve = _convolution(channels, channels, 3, padding=1)

    def forward(self, below: Tensor, stem: Tensor) -> Tensor:
        """(B, below, H/4, W/4), (B, channels, H/2, W/2) → (B, channels, H/2, W/2)"""
        return self.convolve(self.merge(_double(self.from_below(below)) + stem))


class MattingDecoder(nn.Module):
    """From the neck up to full resolution, with guided contextual attention at 1/8.

    Skips come from the shared encoder up to 1/4, and from a shallow full-resolution stem at 1/4 and 1/2. The last
    convolution predicts the four pixels of each 2×2 block as channels: full resolution at a quarter of the
    positions.

    Parameters
    ----------
    encoder_channels : `Encoder.channels`
    neck_stride : of the context that `forward` gets
    config : `neck_channels`, `decoder_channels`, and `key_channels`, `max_queries` and `attention_threshold` of
        the attention; key_channels 0 leaves it out
    """

    def __init__(self, encoder_channels: dict[int, int], neck_stride: int, config: ModelConfig):
        super().__init__()
        at_8, at_4, at_2 = config.decoder_channels
        self.stem_2 = _convolution(3, at_2, 4, stride=2, padding=1)
        self.stem_4 = _convolution(at_2, at_2, 3, stride=2, padding=1)
        below = config.neck_channels
        self.up_16 = UpBlock(below, encoder_channels[16], at_8) if neck_stride > 16 else None
        self.up_8 = UpBlock(at_8 if self.up_16 else below, encoder_channels[8], at_8)
        self.attention = (
            GuidedContextualAttention(
                encoder_channels[8], at_8, config.key_channels, config.max_queries, config.attention_threshold
            )
            if config.key_channels
            else None
        )
        self.up_4 = UpBlock(at_8, encoder_channels[4] + at_2, at_4)
        self.up_2 = DetailBlock(at_4, at_2)
        self.to_alpha = nn.Conv2d(at_2, 4, 3, padding=1)

    def forward(self, image: Tensor, features: dict[int, Tensor], context: Tensor, guide: Tensor) -> Tensor:
        """Alpha before fusion.

        Parameters
        ----------
        image : (B, 3, H, W), normalised
        features : of the encoder, by stride
        context : (B, neck_channels, H/s, W/s) of the neck
        guide : (B, 4, H/4, W/4): an alpha to begin with, then the trimap's background, unknown and foreground

        Returns
        -------
        (B, 1, H, W) in [0, 1]
        """
        stem_2 = self.stem_2(image)  # B, C, H/2, W/2
        stem_4 = self.stem_4(stem_2)  # B, C, H/4, W/4
        x = context
        if self.up_16:
            x = self.up_16(x, features[16], F.avg_pool2d(guide, 4))  # B, C, H/16, W/16
        guide_8 = F.avg_pool2d(guide, 2)
        x = self.up_8(x, features[8], guide_8)  # B, C, H/8, W/8
        if self.attention:
            x = self.attention(features[8], x, guide_8[:, 2:3])
        x = self.up_4(x, torch.cat([features[4], stem_4], dim=1), guide)  # B, C, H/4, W/4
        x = self.up_2(x, stem_2)  # B, C, H/2, W/2
        return F.pixel_shuffle(self.to_alpha(x), 2).sigmoid()  # B, 4, H/2, W/2 → B, 1, H, W


def _convolution(below: int, channels: int, size: int, **settings: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(below, channels, size, bias=False, **settings),  # type: ignore[arg-type]
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
