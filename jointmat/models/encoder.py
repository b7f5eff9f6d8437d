"""The shared encoder: any timm backbone behind one contract."""

from typing import Any

import timm
from torch import Tensor, nn

from jointmat.errors import ConfigError

STRIDES = (2, 4, 8, 16, 32)


class Encoder(nn.Module):
    """Feature maps of a timm backbone.

    What the heads may rely on: `out_channels`, one number per entry of `strides`, and `forward`, which turns
    (B, in_channels, H, W) into the list of (B, out_channels[i], H/strides[i], W/strides[i]).
    """

    strides = STRIDES

    def __init__(self, name: str, in_channels: int = 3):
        super().__init__()
        if not timm.is_model(name):
            raise ConfigError(f"encoder={name!r} is not a timm model: see timm.list_models()")
        self.backbone = timm.create_model(name, features_only=True, pretrained=False, in_chans=in_channels)
        info: Any = self.backbone.feature_info
        found = dict(zip(info.reduction(), info.channels(), strict=True))
        if any(stride not in found for stride in STRIDES):
            raise ConfigError(f"encoder={name!r}: expected features at strides {STRIDES}, got {tuple(found)}")
        self.out_channels = tuple(found[stride] for stride in STRIDES)
        self._picked = [info.reduction().index(stride) for stride in STRIDES]

    def forward(self, image: Tensor) -> list[Tensor]:
        features = self.backbone(image)
        return [features[i] for i in self._picked]
