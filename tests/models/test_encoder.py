"""What the heads may rely on, for any timm backbone."""

import pytest
import torch

from jointmat.config import MODELS
from jointmat.errors import ConfigError
from jointmat.models.encoder import Encoder, Neck


@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_byobnet"])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 32)])
@torch.no_grad()
def test_features_have_the_promised_sizes(name, scale, height, width):
    encoder = Encoder(name, scale=scale).eval()
    features = encoder(torch.rand(2, 3, height, width))
    assert list(features) == list(encoder.channels) == [scale * stride for stride in (2, 4, 8, 16, 32)]
    for stride, feature in features.items():
        assert feature.shape == (2, encoder.channels[stride], -(-height // stride), -(-width // stride))


@torch.no_grad()
def test_at_half_size_it_sees_the_average_of_squares():
    torch.manual_seed(0)
    whole, half = Encoder("test_resnet").eval(), Encoder("test_resnet", scale=2).eval()
    half.load_state_dict(whole.state_dict())
    image = torch.rand(1, 3, 64, 64)
    small = torch.nn.functional.avg_pool2d(image, 2)
    for stride, feature in whole(small).items():
        assert torch.equal(half(image)[2 * stride], feature)


@torch.no_grad()
def test_it_may_read_more_than_colours():
    assert Encoder("test_resnet", in_channels=6).eval()(torch.rand(1, 6, 32, 32))[32].shape[-2:] == (1, 1)


@pytest.mark.parametrize("model", MODELS)
def test_the_named_models_have_an_encoder(model):
    config = MODELS[model]
    with torch.device("meta"):
        encoder = Encoder(config.encoder, scale=config.encoder_scale)
        features = encoder(torch.rand(1, 3, 192, 128))
    for stride, feature in features.items():
        assert feature.shape[-2:] == (192 // stride, 128 // stride)


def test_an_unknown_backbone():
    with pytest.raises(ConfigError, match=r"encoder='resnet35' is not a timm model: see timm.list_models\(\)"):
        Encoder("resnet35")


def test_a_backbone_without_all_strides():
    with pytest.raises(
        ConfigError, match=r"'test_convnext': expected features at strides \(2, 4, 8, 16, 32\), got \(4, 8"
    ):
        Encoder("test_convnext")


# --- Neck

CHANNELS = {4: 3, 8: 4, 16: 5, 32: 6, 64: 7}


def features(height, width, batch=2):
    generator = torch.Generator().manual_seed(0)
    return {
        stride: torch.randn(batch, channels, -(-height // stride), -(-width // stride), generator=generator)
        for stride, channels in CHANNELS.items()
    }


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 128), (96, 32)])
@torch.no_grad()
def test_the_neck_has_the_stride_of_the_second_deepest_feature(height, width):
    neck = Neck(CHANNELS, 12).eval()
    assert neck.stride == 32
    assert neck(features(height, width)).shape == (2, 12, height // 32, width // 32)


@torch.no_grad()
def test_the_neck_reads_the_two_deepest_features_alone():
    torch.manual_seed(0)
    neck, x = Neck(CHANNELS, 12).eval(), features(64, 128)
    before = neck(x)
    for stride in CHANNELS:
        after = neck({**x, stride: x[stride] + 1})
        assert torch.equal(before, after) == (stride < 32)
