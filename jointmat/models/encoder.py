"""The shared encoder: any timm backbone behind one contract."""

from typing import Any

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.errors import ConfigError

_REDUCTIONS = (2, 4, 8, 16, 32)


class Encoder(nn.Module):
    """Feature maps of a timm backbone that sees the image at full size or reduced.

    What the heads may rely on: `channels`, a mapping from stride to number of channels, and `forward`, which
    turns (B, in_channels, H, W) into a mapping from stride to (B, channels[stride], ⌈H/stride⌉, ⌈W/stride⌉).
    Strides count pixels of the image that is passed in, before the reduction.

    Parameters
    ----------
    scale : the image is averaged over squares of so many pixels first
    """

    def __init__(self, name: str, in_channels: int = 3, scale: int = 1):
        super().__init__()
        if not timm.is_model(name):
            raise ConfigError(f"encoder={name!r} is not a timm model: see timm.list_models()")
        self.backbone = timm.create_model(name, features_only=True, pretrained=False, in_chans=in_channels)
        info: Any = self.backbone.feature_info
        found = dict(zip(info.reduction(), info.channels(), strict=True))
        if any(reduction not in found for reduction in _REDUCTIONS):
            raise ConfigError(f"encoder={name!r}: expected features at strides {_REDUCTIONS}, got {tuple(found)}")
        self.scale = scale
        self.channels = {scale * reduction: found[reduction] for reduction in _REDUCTIONS}
        self._indices = {scale * reduction: info.reduction().index(reduction) for reduction in _REDUCTIONS}

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        features = self.backbone(F.avg_pool2d(image, self.scale) if self.scale > 1 else image)
        return {stride: features[index] for stride, index in self._indices.items()}


class Neck(nn.Module):
    """Context of the whole image: the encoder's two deepest features merged at the stride of the second deepest.

    This gives the pyramid pooling its stride for a twentieth of what dilating the encoder's last stage would
    cost.

    Parameters
    ----------
    encoder_channels : `Encoder.channels`
    channels : of the result
    """

    def __init__(self, encoder_channels: dict[int, int], channels: int):
        super().__init__()
        *_, self.stride, self._deepest = sorted(encoder_channels)
        self.from_skip = nn.Conv2d(encoder_channels[self.stride], channels, 1, bias=False)
        self.from_below = nn.Conv2d(encoder_channels[self._deepest], channels, 1, bias=False)
        self.merge = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """The encoder's features → (B, channels, H/stride, W/stride)"""
        skip = self.from_skip(features[self.stride])  # B, channels, H/stride, W/stride
        below = self.from_below(features[self._deepest])  # B, channels, H/(2·stride), W/(2·stride)
        return self.merge(skip + F.interpolate(below, skip.shape[-2:]))
