"""The matting decoder: from features and a trimap to alpha inside of the unknown band."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.models.attention import GuidedContextualAttention


class Level(nn.Module):
    """One scale of the decoder: what comes from below, plus the encoder's skip, plus the guide.

    The three are projected and added, as in the published decoder. Concatenating them would cost more, and
    channel counts that are no multiple of 8 leave the fast convolutions of ONNX Runtime (9.4 ms against 2 for
    the 47 channels at 1/2 of a 512² image).
    """

    def __init__(self, below: int, skip: int, guide: int, channels: int):
        super().__init__()
        self.from_below = nn.Conv2d(below, channels, 1, bias=False)
        self.from_skip = nn.Conv2d(skip, channels, 1, bias=False)
        self.from_guide = nn.Conv2d(guide, channels, 3, padding=1, bias=False)
        self.merge = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.convolve = _convolve(channels)

    def forward(self, below: Tensor, skip: Tensor, guide: Tensor) -> Tensor:
        """(B, below, H/2, W/2), (B, skip, H, W), (B, guide, H, W) → (B, channels, H, W)"""
        x = _double(self.from_below(below)) + self.from_skip(skip) + self.from_guide(guide)
        return self.convolve(self.merge(x))


class MattingDecoder(nn.Module):
    """Guided contextual attention at 1/8, then up to full resolution with skips from the shared encoder.

    A shallow full-resolution stem looks at every pixel once, with stride 2, and the last convolution predicts
    the four pixels of each 2×2 block as channels: full resolution at a quarter of the positions.

    Parameters
    ----------
    encoder_channels : of the features at 1/2, 1/4, 1/8 (more are ignored)
    context_channels : of the context at 1/16
    channels : of this decoder at 1/8, 1/4, 1/2
    key_channels, max_queries : of the attention, see `GuidedContextualAttention`; key_channels 0 leaves the
        attention out
    """

    def __init__(
        self,
        encoder_channels: tuple[int, ...],
        context_channels: int,
        channels: tuple[int, int, int],
        key_channels: int,
        max_queries: int | None,
    ):
        super().__init__()
        half, quarter, eighth = encoder_channels[:3]
        self.stem = nn.Conv2d(3, 12, 4, stride=2, padding=1)
        self.at_8 = Level(context_channels, eighth, 4, channels[0])
        self.attention = (
            GuidedContextualAttention(eighth, channels[0], key_channels, max_queries, threshold=0.05)
            if key_channels
            else None
        )
        self.at_4 = Level(channels[0], quarter, 4, channels[1])
        self.at_2 = Level(channels[1], half, 4 + 12, channels[2])
        self.to_alpha = nn.Conv2d(channels[2], 4, 3, padding=1)

    def forward(
        self, image: Tensor, features: list[Tensor], context: Tensor, mask: Tensor, trimap: Tensor
    ) -> Tensor:
        """Alpha before fusion.

        Parameters
        ----------
        image : (B, 3, H, W), normalised
        features : at 1/2, 1/4, 1/8 first
        context : (B, context_channels, H/16, W/16)
        mask : (B, 1, H/4, W/4) probability of foreground
        trimap : (B, 3, H/4, W/4): background, unknown, foreground

        Returns
        -------
        (B, 1, H, W) in [0, 1]
        """
        half, quarter, eighth = features[:3]
        guide = torch.cat([mask, trimap], dim=1)  # B, 4, H/4, W/4
        coarse = F.avg_pool2d(guide, 2)
        x = self.at_8(context, eighth, coarse)
        if self.attention is not None:
            x = self.attention(eighth, x, coarse[:, 2:3])
        x = self.at_4(x, quarter, guide)
        x = self.at_2(x, half, torch.cat([_double(guide), self.stem(image)], dim=1))
        return F.pixel_shuffle(self.to_alpha(x), 2).sigmoid()


def _convolve(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
