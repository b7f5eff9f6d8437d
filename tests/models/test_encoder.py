"""What the heads may rely on, for any timm backbone."""

import pytest
import torch

from jointmat.config import MODELS
from jointmat.errors import ConfigError
from jointmat.models.encoder import Encoder


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_byobnet"])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 32)])
@torch.no_grad()
def test_features_have_the_promised_sizes(name, height, width):
    encoder = Encoder(name).eval()
    features = encoder(torch.rand(2, 3, height, width))
    assert encoder.strides == (2, 4, 8, 16, 32)
    assert [tuple(f.shape) for f in features] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(encoder.out_channels, encoder.strides, strict=True)
    ]


@pytest.mark.parametrize("model", MODELS)
def test_the_named_models_have_an_encoder(model):
    with torch.device("meta"):
        encoder = Encoder(MODELS[model].encoder)
        features = encoder(torch.rand(1, 3, 96, 64))
    assert [tuple(f.shape[-2:]) for f in features] == [(48, 32), (24, 16), (12, 8), (6, 4), (3, 2)]


def test_an_unknown_backbone():
    with pytest.raises(ConfigError, match=r"encoder='resnet35' is not a timm model: see timm.list_models\(\)"):
        Encoder("resnet35")


def test_a_backbone_without_all_strides():
    with pytest.raises(
        ConfigError, match=r"'test_convnext': expected features at strides \(2, 4, 8, 16, 32\), got \(4, 8"
    ):
        Encoder("test_convnext")
