"""What the joint network replaces: a segmentation network, then a matting network with an encoder of its own.

Both forms return a `JointOutput`, so that training, evaluation and prediction treat them as the joint network.
Each network normalises its own input and can be used without the other.
"""

import segmentation_models_pytorch as smp
import timm
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base import SegmentationHead as OutputConvolution
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from jointmat.baseline.gca import GCAMatting
from jointmat.config import ModelConfig
from jointmat.errors import ConfigError
from jointmat.models.decoder import MattingDecoder
from jointmat.models.encoder import Encoder, Neck
from jointmat.models.joint import JointOutput, check_batch
from jointmat.ops.morphology import fuse, given_over, trimap_planes

_SHM_CLASSES = 3  # background, unknown, foreground


class Normalise(nn.Module):
    """Image in [0, 1] to an encoder's mean and standard deviation."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) / self.std


class SegmentationUNet(nn.Module):
    """U-Net of segmentation-models-pytorch (Ronneberger et al., MICCAI 2015) on any of its encoders.

    With five `unet_channels` and an `encoder_scale` of 1 its state dict is that of `smp.Unet`, so that weights
    trained as such can be loaded; with fewer the decoder ends earlier.

    Parameters
    ----------
    classes : planes of the output
    """

    def __init__(self, config: ModelConfig, classes: int = 1):
        super().__init__()
        channels = config.unet_channels
        self.normalise = Normalise(config)
        self.scale = config.encoder_scale
        self.encoder = smp.encoders.get_encoder(encoder_name(config.encoder), weights=None)
        self.decoder = UnetDecoder(self.encoder.out_channels, channels, n_blocks=len(channels))
        self.segmentation_head = OutputConvolution(channels[-1], classes)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] → logits (B, classes, H/s, W/s)"""
        image = self.normalise(image)
        if self.scale > 1:
            size = [length // self.scale for length in image.shape[-2:]]
            image = F.pad(F.avg_pool2d(image, self.scale), (0, -size[1] % 32, 0, -size[0] % 32), mode="replicate")
            logits = self.segmentation_head(self.decoder(self.encoder(image)))  # of the padded image
            reduction = image.shape[-1] // logits.shape[-1]
            return logits[..., : size[0] // reduction, : size[1] // reduction]
        return self.segmentation_head(self.decoder(self.encoder(image)))


class TrimapMatting(nn.Module):
    """Image and trimap to alpha: the joint network's neck and decoder on an encoder that reads both."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.normalise = Normalise(config)
        self.encoder = Encoder(config.encoder, in_channels=6, scale=config.encoder_scale)
        self.neck = Neck(self.encoder.channels, config.neck_channels)
        self.decoder = MattingDecoder(self.encoder.channels, self.neck.stride, config)

    def forward(self, image: Tensor, trimap: Tensor, prior: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1], planes (B, 3, H, W), an earlier alpha → alpha before fusion (B, 1, H, W)"""
        image = self.normalise(image)
        features = self.encoder(torch.cat([image, trimap], dim=1))
        planes = F.avg_pool2d(trimap, 4)  # B, 3, H/4, W/4
        guess = planes[:, 2:] + planes[:, 1:2] / 2 if prior is None else F.avg_pool2d(prior, 4)
        return self.decoder(image, features, self.neck(features), torch.cat([guess, planes], dim=1))


class TwoNetworks(nn.Module):
    """Segmentation, trimap, matting: the base of both forms.

    Parameters
    ----------
    segmentation : image (B, 3, H, W) → logits (B, C, h, w), at H×W or a fraction of it down to 1/4
    matting : image and planes (B, 3, H, W) → alpha before fusion (B, 1, H, W)
    """

    def __init__(self, config: ModelConfig, segmentation: nn.Module, matting: nn.Module):
        super().__init__()
        self.config = config
        self.segmentation = segmentation
        self.matting = matting

    def forward(self, image: Tensor, trimap: Tensor | None = None, prior: Tensor | None = None) -> JointOutput:
        """Arguments, result and errors as of `JointMatting`."""
        check_batch(image, trimap, prior, self.config.stride)
        logits = self.segmentation(image)
        predicted = self.trimap(logits, image.shape[-2:])  # B, 3, H, W
        planes = predicted if trimap is None else given_over(trimap, predicted)
        guess = planes[:, 2:] + planes[:, 1:2] / 2
        if trimap is not None and prior is not None:
            share = trimap.sum(dim=1, keepdim=True)  # 0 where nothing is given
            guess = share * prior + (1 - share) * guess
        takes_prior = isinstance(self.matting, TrimapMatting)  # the published network does not
        alpha_raw = self.matting(image, planes, guess) if takes_prior else self.matting(image, planes)
        mask_logits = _quarter(self.mask_logits(logits), image)
        band = torch.full_like(mask_logits, self.band)
        trimaps = F.avg_pool2d(planes, 4), F.avg_pool2d(predicted, 4)  # each B, 3, H/4, W/4
        mask = mask_logits.sigmoid()
        return JointOutput(fuse(planes, alpha_raw), *trimaps, mask, mask_logits, band, alpha_raw)

    band: float
    """Half-width of the unknown band, pixels at 1/4; 0 where there is no such number."""

    def mask_logits(self, logits: Tensor) -> Tensor:
        """Logits of foreground against background, (B, 1, h, w)."""
        raise NotImplementedError

    def trimap(self, logits: Tensor, size: torch.Size) -> Tensor:
        """Planes (B, 3, *size)."""
        raise NotImplementedError


class TwoModelMatting(TwoNetworks):
    """The classic pipeline: mask, hard trimap, matting. No gradient passes from one network to the other."""

    @property
    def band(self) -> float:  # type: ignore[override]
        return (self.config.kernel - 1) / 2 * self.config.iterations / 4

    def mask_logits(self, logits: Tensor) -> Tensor:
        return logits

    def trimap(self, logits: Tensor, size: torch.Size) -> Tensor:
        mask = logits.detach().float().sigmoid().cpu().numpy()
        planes = trimap_planes(mask, (size[0], size[1]), self.config.kernel, self.config.iterations)
        return torch.from_numpy(planes).to(logits)


class SemanticHumanMatting(TwoNetworks):
    """T-Net and M-Net in one (Chen et al., "Semantic Human Matting", ACM MM 2018).

    The first network classifies pixels as background, unknown and foreground, the second one takes the softmax,
    and α = F + U·α_raw (eq. 3) lets the whole learn end to end.
    """

    band = 0.0

    def mask_logits(self, logits: Tensor) -> Tensor:
        """Logits of p = F + U/2: log p/(1 − p), with the halves inside of the sums as −log 2."""
        background, unknown, foreground = logits.split(1, dim=1)
        half = unknown - torch.log(torch.tensor(2.0, device=logits.device))
        return torch.logaddexp(foreground, half) - torch.logaddexp(background, half)

    def trimap(self, logits: Tensor, size: torch.Size) -> Tensor:
        return F.interpolate(logits.softmax(dim=1), size, mode="bilinear", align_corners=False)


def two_model(config: ModelConfig) -> TwoModelMatting:
    """The comparison at equal budget: the joint network's encoder twice, its matting decoder."""
    return TwoModelMatting(config, SegmentationUNet(config), TrimapMatting(config))


def semantic_human_matting(config: ModelConfig) -> SemanticHumanMatting:
    """The same two networks, trained as one."""
    return SemanticHumanMatting(config, SegmentationUNet(config, _SHM_CLASSES), TrimapMatting(config))


def classic(config: ModelConfig) -> TwoModelMatting:
    """The usual pipeline: a U-Net and the published GCA network."""
    return TwoModelMatting(config, SegmentationUNet(config), GCAMatting())


def encoder_name(name: str) -> str:
    """An encoder's name in segmentation-models-pytorch: its own as they are, timm's with a prefix."""
    if name in smp.encoders.encoders or name.startswith("tu-"):
        return name
    if timm.is_model(name):
        return f"tu-{name}"
    raise ConfigError(f"encoder={name!r}: neither segmentation-models-pytorch nor timm has it")


def _quarter(plane: Tensor, image: Tensor) -> Tensor:
    """(B, 1, h, w) averaged to 1/4 of the image's size."""
    factor = 4 * plane.shape[-1] // image.shape[-1]
    return F.avg_pool2d(plane, factor) if factor > 1 else plane
