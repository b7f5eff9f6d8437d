"""The joint network as a whole."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from jointmat.config import MODELS
from jointmat.errors import InputError
from jointmat.evaluation.macs import WHOLE, count
from jointmat.models.joint import JointMatting
from jointmat.models.trimap import saturate
from jointmat.ops.morphology import fuse
from tests.tiny import CONFIG, hard_planes, pictures, tiny_model

ROUNDING = 1e-6


@pytest.fixture(scope="module")
def model():
    return tiny_model()


# --- Shapes and ranges


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (128, 32), (96, 160)])
@torch.inference_mode()
def test_sizes_and_ranges(model, height, width):
    output = model(pictures(2, height, width))
    assert output.alpha.shape == output.alpha_raw.shape == (2, 1, height, width)
    assert output.trimap.shape == (2, 3, height // 4, width // 4)
    assert output.mask.shape == output.mask_logits.shape == output.band.shape == (2, 1, height // 4, width // 4)
    for plane in (output.alpha, output.alpha_raw, output.trimap, output.soft_trimap, output.mask):
        assert plane.min() >= -ROUNDING
        assert plane.max() <= 1 + ROUNDING
    for planes in (output.trimap, output.soft_trimap):
        torch.testing.assert_close(planes.sum(dim=1), torch.ones(2, height // 4, width // 4))
    assert output.band.min() >= 0
    assert output.band.max() <= CONFIG.radii[-1]
    assert output.alpha.std() > 0.01


@torch.inference_mode()
def test_alpha_is_foreground_plus_unknown_times_raw(model):
    output = model(pictures(2, 64, 96))
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


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@torch.inference_mode()
def test_a_constant_picture(model, value):
    for field in model(torch.full((1, 3, 64, 64), value)):
        assert field.isfinite().all()


@torch.inference_mode()
def test_the_same_answer_twice(model):
    image = pictures(2, 64, 64)
    before = image.clone()
    for first, second in zip(model(image), model(image), strict=True):
        assert torch.equal(first, second)
    assert torch.equal(image, before)


@torch.inference_mode()
def test_pictures_of_a_batch_do_not_mix(model):
    image = pictures(2, 64, 96)
    together = model(image)
    for i in (0, 1):
        alone = model(image[i : i + 1])
        torch.testing.assert_close(together.alpha[i : i + 1], alone.alpha, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_without_attention():
    plain = tiny_model(dataclasses.replace(CONFIG, key_channels=0))
    assert plain.decoder.attention is None
    assert plain(pictures(1, 32, 64)).alpha.shape == (1, 1, 32, 64)


def test_no_gradient_is_kept_when_none_is_asked_for(model):
    with torch.no_grad():
        assert not any(field.requires_grad for field in model(pictures(1, 32, 32)))
    frozen = tiny_model().requires_grad_(False)
    assert not any(field.requires_grad for field in frozen(pictures(1, 32, 32)))


# --- A given trimap


@torch.inference_mode()
def test_known_pixels_of_a_given_trimap_come_back_exactly(model):
    planes = hard_planes(64, 96).expand(2, -1, -1, -1)
    image = pictures(2, 64, 96)
    output = model(image, trimap=planes)
    assert (output.alpha[planes[:, :1] == 1] == 0).all()
    assert (output.alpha[planes[:, 2:] == 1] == 1).all()
    unknown = planes[:, 1:2] == 1
    assert torch.equal(output.alpha[unknown], output.alpha_raw[unknown])
    assert torch.equal(output.trimap, F.avg_pool2d(planes, 4))
    free = model(image)
    assert torch.equal(free.mask, output.mask) and torch.equal(free.soft_trimap, output.soft_trimap)
    assert not torch.allclose(free.alpha, output.alpha, atol=0.01)


@pytest.mark.parametrize("plane", [0, 1, 2])
@torch.inference_mode()
def test_a_trimap_of_one_value(model, plane):
    planes = torch.zeros(1, 3, 64, 64)
    planes[:, plane] = 1
    output = model(pictures(1, 64, 64), planes)
    expected = (torch.zeros_like(output.alpha), output.alpha_raw, torch.ones_like(output.alpha))[plane]
    assert output.alpha_raw.isfinite().all()
    assert torch.equal(output.alpha, expected)


@torch.inference_mode()
def test_planes_of_nothing_leave_the_predicted_ones(model):
    image = pictures(2, 64, 96)
    free, empty = model(image), model(image, torch.zeros(2, 3, 64, 96), torch.rand(2, 1, 64, 96))
    for name, first, second in zip(free._fields, free, empty, strict=True):
        torch.testing.assert_close(first, second, msg=name)


@torch.inference_mode()
def test_images_with_a_trimap_and_without_stand_in_one_batch(model):
    image, given = pictures(2, 64, 96), hard_planes(64, 96)
    prior = torch.rand(1, 1, 64, 96)
    both = model(image, torch.cat([given, 0 * given]), torch.cat([prior, 0 * prior]))
    with_trimap, without = model(image[:1], given, prior), model(image[1:])
    torch.testing.assert_close(both.alpha, torch.cat([with_trimap.alpha, without.alpha]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both.trimap, torch.cat([with_trimap.trimap, without.trimap]), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_planes_may_be_given_at_some_pixels_alone(model):
    given = hard_planes(64, 96)
    given[..., 48:] = 0
    image = pictures(1, 64, 96)
    output, free = model(image, given), model(image)
    assert torch.equal(output.trimap[..., :12], F.avg_pool2d(given, 4)[..., :12])
    torch.testing.assert_close(output.trimap[..., 12:], free.trimap[..., 12:])
    assert (output.alpha[given[:, :1] == 1] == 0).all()


@torch.inference_mode()
def test_an_earlier_alpha_counts_where_the_trimap_does_not_know(model):
    image, given = pictures(1, 64, 96), hard_planes(64, 96)
    default = model(image, given)
    uninformed = given[:, 2:] + given[:, 1:2] / 2
    assert torch.equal(model(image, given, uninformed).alpha, default.alpha)
    informed = model(image, given, torch.rand(1, 1, 64, 96))
    known = given[:, 1:2] == 0
    assert torch.equal(informed.alpha[known], default.alpha[known])
    assert not torch.allclose(informed.alpha[~known], default.alpha[~known], atol=1e-3)


# --- Errors


@pytest.mark.parametrize(("height", "width"), [(33, 64), (64, 48), (31, 31)])
def test_a_size_that_is_not_a_multiple_of_the_stride(model, height, width):
    with pytest.raises(InputError) as error:
        model(torch.rand(1, 3, height, width))
    assert str(error.value) == (
        f"image: got {height}x{width}, expected height and width divisible by 32; pad it, or use "
        "jointmat.predict, which takes any size"
    )


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (1, 1, 64, 64)])
def test_a_trimap_that_does_not_fit(model, shape):
    with pytest.raises(InputError) as error:
        model(torch.rand(1, 3, 64, 64), torch.zeros(shape))
    assert str(error.value) == f"trimap: got {shape}, expected Bx3x64x64 like the image"


def test_an_earlier_alpha_that_does_not_fit(model):
    with pytest.raises(InputError, match=r"prior: got \(1, 1, 16, 16\), expected Bx1x64x64"):
        model(torch.rand(1, 3, 64, 64), torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 16, 16))


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
    alpha_loss(model(pictures(2, 64, 64))).backward()
    assert idle(model.segmentation) == []
    assert idle(model.encoder) == []
    assert all(head.any() for head in model.segmentation.to_maps.weight.grad)  # mask and band


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_by_default_no_alpha_loss_passes_the_trimap(training, hard):
    model = tiny_model(dataclasses.replace(CONFIG, hard_trimap=hard)).train(training)
    silence(model.decoder)
    assert not model(pictures(2, 64, 64)).alpha.requires_grad


@pytest.mark.parametrize("training", [False, True])
def test_an_alpha_loss_reaches_encoder_and_decoder_whether_or_not_it_passes_the_trimap(training):
    for share in (0.0, 1.0):
        model = in_mode(training, share)
        alpha_loss(model(pictures(2, 64, 64))).backward()
        assert idle(model.decoder) == idle(model.encoder) == []
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_the_gradient_through_the_trimap_is_scaled_by_its_share():
    def gradient(share):
        model = in_mode(False, share)
        silence(model.decoder)
        output = model(pictures(2, 64, 64))
        return output.alpha, torch.autograd.grad(alpha_loss(output), output.band)[0]

    (alpha, whole), (same, part) = gradient(1.0), gradient(0.25)
    assert torch.equal(alpha, same) and whole.any()
    torch.testing.assert_close(part, 0.25 * whole)


def test_the_mask_is_the_decoders_first_alpha_and_learns_from_what_comes_of_it_while_the_band_does_not():
    model = in_mode(False, 0.0)
    output = model(pictures(2, 64, 64))
    loss = alpha_loss(output)
    of_mask, of_band = torch.autograd.grad(
        loss, (output.mask_logits, output.band), allow_unused=True, materialize_grads=True
    )
    assert of_mask.any() and not of_band.any()


def test_a_given_trimap_trains_the_decoder_alone():
    model = tiny_model()
    loss = alpha_loss(model(pictures(2, 64, 64), hard_planes(64, 64).expand(2, -1, -1, -1)))
    loss.backward()
    assert idle(model.decoder) == []
    grad = model.segmentation.to_maps.weight.grad
    assert grad is None or not grad.any()  # mask and band have no say in a given trimap


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_are_finite_on_a_constant_picture(value):
    model = tiny_model().train()
    alpha_loss(model(torch.full((2, 3, 64, 64), value))).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


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
