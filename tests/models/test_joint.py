"""The joint network as a whole."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from jointmat.config import MODELS
from jointmat.evaluation.macs import WHOLE, count
from jointmat.models.joint import JointMatting
from jointmat.models.trimap import saturate
from jointmat.ops.morphology import fuse
from tests.tiny import CONFIG, hard_planes, images, tiny_model

ROUNDING = 1e-6


@pytest.fixture(scope="module")
def model():
    return tiny_model()


# --- Planes


@torch.inference_mode()
def test_alpha_is_foreground_plus_unknown_times_raw(model):
    output = model(images(2, 64, 96))
    torch.testing.assert_close(output.trimap, saturate(output.soft_trimap, model.config.saturation))
    planes = F.interpolate(output.trimap, scale_factor=4, mode="bilinear")
    torch.testing.assert_close(output.alpha, planes[:, 2:] + planes[:, 1:2] * output.alpha_raw)
    torch.testing.assert_close(output.mask, output.mask_logits.sigmoid())


def test_fusion():
    background, unknown, foreground = torch.eye(3).view(3, 3, 1, 1)
    for raw in (0.0, 0.3, 1.0):
        value = torch.full((1, 1, 1, 1), raw)
        assert fuse(background[None], value).item() == 0
        assert fuse(foreground[None], value).item() == 1
        assert fuse(unknown[None], value).item() == pytest.approx(raw)


@torch.inference_mode()
def test_without_attention():
    plain = tiny_model(dataclasses.replace(CONFIG, key_channels=0))
    assert plain.decoder.attention is None
    assert plain(images(1, 32, 64)).alpha.shape == (1, 1, 32, 64)


# --- Gradients of an alpha loss


def alpha_loss(output):
    target = torch.zeros_like(output.alpha)
    target[..., 16:48, 16:48] = 1
    return (output.alpha - target).square().mean()


def idle(module):
    """Parameters without a gradient."""
    return [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]


def in_mode(training, share, **change):
    model = tiny_model(dataclasses.replace(CONFIG, **change)).train(training)
    model.trimap_gradient = share
    return model


def silence(decoder):
    """Have it say the same whatever it gets, so that alpha depends on the trimap alone."""
    decoder.forward = lambda image, *_: torch.full_like(image[:, :1], 0.3)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_an_alpha_loss_reaches_the_segmentation_through_the_trimap_where_it_may(training, hard):
    model = in_mode(training, 1.0, hard_trimap=hard)
    silence(model.decoder)
    alpha_loss(model(images(2, 64, 64))).backward()
    assert idle(model.segmentation) == []
    assert idle(model.encoder) == []
    assert all(head.any() for head in model.segmentation.to_maps.weight.grad)  # mask and band


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_by_default_no_alpha_loss_passes_the_trimap(training, hard):
    model = tiny_model(dataclasses.replace(CONFIG, hard_trimap=hard)).train(training)
    silence(model.decoder)
    assert not model(images(2, 64, 64)).alpha.requires_grad


@pytest.mark.parametrize("training", [False, True])
def test_an_alpha_loss_reaches_encoder_and_decoder_whether_or_not_it_passes_the_trimap(training):
    for share in (0.0, 1.0):
        model = in_mode(training, share)
        alpha_loss(model(images(2, 64, 64))).backward()
        assert idle(model.decoder) == idle(model.encoder) == []
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_the_gradient_through_the_trimap_is_scaled_by_its_share():
    def gradient(share):
        model = in_mode(False, share)
        silence(model.decoder)
        output = model(images(2, 64, 64))
        return output.alpha, torch.autograd.grad(alpha_loss(output), output.band)[0]

    (alpha, whole), (same, part) = gradient(1.0), gradient(0.25)
    assert torch.equal(alpha, same) and whole.any()
    torch.testing.assert_close(part, 0.25 * whole)


def test_the_mask_is_the_decoders_first_alpha_and_learns_from_what_comes_of_it_while_the_band_does_not():
    model = in_mode(False, 0.0)
    output = model(images(2, 64, 64))
    loss = alpha_loss(output)
    of_mask, of_band = torch.autograd.grad(
        loss, (output.mask_logits, output.band), allow_unused=True, materialize_grads=True
    )
    assert of_mask.any() and not of_band.any()


def test_a_given_trimap_trains_the_decoder_alone():
    model = tiny_model()
    loss = alpha_loss(model(images(2, 64, 64), hard_planes(64, 64).expand(2, -1, -1, -1)))
    loss.backward()
    assert idle(model.decoder) == []
    grad = model.segmentation.to_maps.weight.grad
    assert grad is None or not grad.any()  # mask and band have no say in a given trimap


# --- Size of the named models


def test_lite_is_light():
    with torch.device("meta"):
        parameters, macs = count(JointMatting(MODELS["lite"]).eval(), torch.rand(1, 3, 512, 512))[WHOLE]
    assert parameters <= 5e6
    assert macs <= 4.5e9


@pytest.mark.parametrize("name", MODELS)
def test_the_named_models_run(name):
    with torch.device("meta"):
        output = JointMatting(MODELS[name])(torch.rand(2, 3, 96, 64))
    assert output.alpha.shape == (2, 1, 96, 64)
    assert output.trimap.shape == (2, 3, 24, 16)


def test_base_has_a_resnet34():
    with torch.device("meta"):
        base = JointMatting(MODELS["base"])
    stages = [len(getattr(base.encoder.backbone, f"layer{i}")) for i in (1, 2, 3, 4)]
    assert stages == [3, 4, 6, 3]
