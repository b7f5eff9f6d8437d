"""The network, layer by layer as published: names and shapes of its state dict are those of the checkpoints that
the authors released.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.baseline.gca.blocks import (
    DecoderBlock,
    EncoderBlock,
    conv3,
    doubling_conv,
    guidance_step,
    leaky,
    shortcut,
    stage,
)
from jointmat.errors import InputError
from jointmat.models.attention import GuidedContextualAttention
from jointmat.models.joint import check_batch

_LEVELS = 85, 170  # of a uint8 trimap, from which it is unknown and foreground

_MARGIN = 32  # pixels reflected around the image, so that its border is not the network's border


class GCAEncoder(nn.Module):
    """Image and trimap to bottleneck, shortcuts and guidance (published as `resnet_gca_encoder_29`)."""

    def __init__(self):
        super().__init__()
        self.conv1 = conv3(6, 32, stride=2)
        self.conv2 = conv3(32, 32)
        self.conv3 = conv3(32, 64, stride=2)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(32), nn.BatchNorm2d(32), nn.BatchNorm2d(64)
        self.layer1 = stage(EncoderBlock, 64, 64, blocks=3, stride=1)
        self.layer2 = stage(EncoderBlock, 64, 128, blocks=4, stride=2)
        self.layer3 = stage(EncoderBlock, 128, 256, blocks=4, stride=2)
        self.layer_bottleneck = stage(EncoderBlock, 256, 512, blocks=2, stride=2)
        self.shortcut = nn.ModuleList(
            shortcut(inputs, outputs) for inputs, outputs in ((6, 32), (32, 32), (64, 64), (128, 128), (256, 256))
        )
        self.guidance_head = nn.Sequential(*guidance_step(3, 16), *guidance_step(16, 32), *guidance_step(32, 128))
        self.gca = GuidedContextualAttention(128, 128)

    def forward(self, x: Tensor, unknown: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Features of an image with its trimap.

        Parameters
        ----------
        x : (B, 6, H, W), the normalised image and the one-hot trimap
        unknown : (B, 1, H/8, W/8) in {0, 1}

        Returns
        -------
        bottleneck : (B, 512, H/32, W/32)
        shortcuts : five, with 32, 32, 64, 128, 256 channels at 1/1, 1/2, 1/4, 1/8, 1/16
        guidance : (B, 128, H/8, W/8), which the decoder's attention shares
        """
        guidance = self.guidance_head(x[:, :3])  # B, 128, H/8, W/8
        half = F.relu(self.bn1(self.conv1(x)))
        half = F.relu(self.bn2(self.conv2(half)))  # B, 32, H/2, W/2
        quarter = self.layer1(F.relu(self.bn3(self.conv3(half))))  # B, 64, H/4, W/4
        eighth = self.gca(guidance, self.layer2(quarter), unknown)  # B, 128, H/8, W/8
        sixteenth = self.layer3(eighth)  # B, 256, H/16, W/16
        features = (x, half, quarter, eighth, sixteenth)
        skips = [shortcut(feature) for shortcut, feature in zip(self.shortcut, features, strict=True)]
        return self.layer_bottleneck(sixteenth), skips, guidance


class GCADecoder(nn.Module):
    """Bottleneck, shortcuts and guidance to alpha at 1/1 (published as `res_gca_decoder_22`)."""

    def __init__(self):
        super().__init__()
        self.conv1 = doubling_conv(32)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 1, 3, padding=1)
        self.layer1 = stage(DecoderBlock, 512, 256, blocks=2, stride=2)
        self.layer2 = stage(DecoderBlock, 256, 128, blocks=3, stride=2)
        self.layer3 = stage(DecoderBlock, 128, 64, blocks=3, stride=2)
        self.layer4 = stage(DecoderBlock, 64, 32, blocks=2, stride=2)
        self.gca = GuidedContextualAttention(128, 128)

    def forward(self, x: Tensor, skips: list[Tensor], guidance: Tensor, unknown: Tensor) -> Tensor:
        """Alpha (B, 1, H, W) in [0, 1] from what `GCAEncoder` returns and the same `unknown`."""
        full, half, quarter, eighth, sixteenth = skips
        x = self.layer1(x) + sixteenth  # B, 256, H/16, W/16
        x = self.layer2(x) + eighth  # B, 128, H/8, W/8
        x = self.gca(guidance, x, unknown)
        x = self.layer3(x) + quarter  # B, 64, H/4, W/4
        x = self.layer4(x) + half  # B, 32, H/2, W/2
        x = leaky(self.bn1(self.conv1(x))) + full  # B, 32, H, W
        return (self.conv2(x).tanh() + 1) / 2


class GCAMatting(nn.Module):
    """Image and trimap to alpha: the published network, to predict with.

    Its convolutions are plain: `load_gca_checkpoint` divides the weights by their spectral norms. The attention
    compares all places at 1/16 with each other: a map of their similarities takes 4 MB at 512², 266 MB at
    1920×1080 and 4.3 GB at 3840×2160.
    """

    stride = 32
    """H and W must be multiples of it, pixels."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = GCAEncoder()
        self.decoder = GCADecoder()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor, trimap: Tensor) -> Tensor:
        """Alpha of a batch.

        Parameters
        ----------
        image : (B, 3, H, W) RGB in [0, 1], H and W multiples of 32
        trimap : (B, 3, H, W) one-hot planes of the same dtype: background, unknown, foreground

        Returns
        -------
        (B, 1, H, W) in [0, 1] before fusion; `matte` also sets the known pixels.

        Raises
        ------
        InputError
            for other shapes.
        """
        check_batch(image, trimap, None, self.stride)
        x = torch.cat([(image - self.mean) / self.std, trimap], dim=1)  # B, 6, H, W
        unknown = trimap[:, 1:2, ::8, ::8]  # B, 1, H/8, W/8: nearest, as published
        x, skips, guidance = self.encoder(x, unknown)
        return self.decoder(x, skips, guidance, unknown)

    @torch.inference_mode()
    def matte(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        """Alpha of one image of any size, padded as in the authors' demo.

        Parameters
        ----------
        image : (H, W, 3) uint8 RGB
        trimap : (H, W) uint8, below 85 background, from 170 foreground, unknown between

        Returns
        -------
        (H, W) float32 in [0, 1]: exactly 0 and 1 where the trimap says so.

        Raises
        ------
        InputError
            for other dtypes and shapes.
        """
        if image.dtype != np.uint8 or trimap.dtype != np.uint8 or image.shape != (*trimap.shape, 3):
            found = f"{image.dtype} {image.shape} and {trimap.dtype} {trimap.shape}"
            raise InputError(f"image and trimap: expected uint8 HxWx3 and HxW, got {found}")
        height, width = trimap.shape
        edges = _MARGIN, _MARGIN + -height % self.stride, _MARGIN, _MARGIN + -width % self.stride
        planes = np.eye(3, dtype=np.float32)[np.digitize(trimap, _LEVELS)]  # H, W, 3
        x, known = (
            cv2.copyMakeBorder(a, *edges, cv2.BORDER_REFLECT_101) for a in (image / np.float32(255), planes)
        )
        alpha = self(*(torch.from_numpy(a.transpose(2, 0, 1)[None]).to(self.mean) for a in (x, known)))
        inside = alpha[0, 0, _MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width].float().cpu().numpy()
        return planes[..., 2] + planes[..., 1] * inside
