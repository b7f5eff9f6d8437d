"""The joint network's variants, each chosen by its configuration."""

import dataclasses

import pytest
import torch

from jointmat.models.trimap import one_hot_argmax, saturate, scale_gradient, straight_through
from tests.tiny import CONFIG, hard_planes, images, tiny_model

VARIANTS = {
    "band": {"band": 1.5},
    "hard": {"hard_trimap": True},
    "not saturated": {"saturation": 0.0},
    "no fusion": {"fusion": False},
    "no attention": {"key_channels": 0},
}


def variant(**change):
    return tiny_model(dataclasses.replace(CONFIG, **change))


@pytest.mark.parametrize("change", VARIANTS.values(), ids=VARIANTS)
def test_variants_answer_like_the_joint_network_and_learn(change):
    output = variant(**change).train()(images(2, 64, 96))
    assert output.alpha.shape == (2, 1, 64, 96)
    assert output.alpha.min() >= 0 and output.alpha.max() <= 1 + 1e-6
    output.alpha.mean().backward()


def test_a_variant_without_parts_left_out_has_the_same_weights():
    names = tiny_model().state_dict().keys()
    for name in ("band", "hard", "not saturated", "no fusion"):
        assert variant(**VARIANTS[name]).state_dict().keys() == names


@torch.inference_mode()
def test_a_fixed_band_is_the_same_everywhere_and_a_wider_one_leaves_more_unknown():
    narrow, wide = (variant(band=width)(images(1, 64, 64)) for width in (1.0, 3.5))
    assert (narrow.band == 1).all() and (wide.band == 3.5).all()
    assert wide.trimap[:, 1].sum() > narrow.trimap[:, 1].sum()


def test_of_a_hard_trimap_alpha_takes_the_largest_plane_and_the_losses_see_the_soft_one():
    output = variant(hard_trimap=True)(images(1, 64, 64))
    soft = output.soft_trimap
    assert ((soft > 0.05) & (soft < 0.95)).any()
    torch.testing.assert_close(output.trimap, one_hot_argmax(soft))
    hard = torch.nn.functional.interpolate(output.trimap, scale_factor=4.0, mode="bilinear")
    torch.testing.assert_close(output.alpha, hard[:, 2:] + hard[:, 1:2] * output.alpha_raw)


@torch.inference_mode()
def test_without_fusion_alpha_is_what_the_decoder_says_whatever_the_trimap():
    model = variant(fusion=False)
    for trimap in (None, hard_planes(64, 64)):
        output = model(images(1, 64, 64), trimap)
        assert torch.equal(output.alpha, output.alpha_raw)


def test_saturation_keeps_a_partition_and_takes_what_is_nearly_known_at_its_word():
    planes = torch.tensor([[0.95, 0.04, 0.01], [0.3, 0.5, 0.2], [0.0, 0.08, 0.92], [0.5, 0.0, 0.5]])
    saturated = saturate(planes.T.reshape(1, 3, 2, 2), 0.1)
    expected = [[1, 0, 0], [0.25, 0.625, 0.125], [0, 0, 1], [0.5, 0, 0.5]]
    torch.testing.assert_close(saturated.reshape(3, 4).T, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.25, 0.4, 0.49])
def test_saturated_planes_sum_to_one_and_are_in_range(threshold):
    planes = torch.softmax(3 * torch.randn(2, 3, 16, 16), dim=1)
    saturated = saturate(planes, threshold)
    torch.testing.assert_close(saturated.sum(dim=1), torch.ones(2, 16, 16))
    assert saturated.min() >= -1e-6 and saturated.max() <= 1 + 1e-6


def test_without_a_threshold_saturation_changes_nothing():
    planes = torch.softmax(torch.randn(2, 3, 8, 8), dim=1)
    torch.testing.assert_close(saturate(planes, 0.0), planes)


def test_the_gradient_of_saturation():
    planes = torch.softmax(torch.randn(1, 3, 4, 4, dtype=torch.float64), dim=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: saturate(x, 0.1), planes)


@torch.inference_mode()
def test_alpha_is_made_with_the_saturated_trimap():
    output = variant(saturation=0.4)(images(1, 64, 64))
    assert (output.trimap == 1).any() and ((output.trimap > 0) & (output.trimap < 1)).any()
    torch.testing.assert_close(output.trimap, saturate(output.soft_trimap, 0.4))
    planes = torch.nn.functional.interpolate(output.trimap, scale_factor=4.0, mode="bilinear")
    torch.testing.assert_close(output.alpha, planes[:, 2:] + planes[:, 1:2] * output.alpha_raw)


def test_one_plane_is_chosen_even_where_planes_are_equal():
    planes = torch.tensor([[0.2, 0.5], [0.5, 0.5], [0.3, 0.0]]).view(1, 3, 1, 2)
    assert one_hot_argmax(planes).squeeze().tolist() == [[0, 1], [1, 0], [0, 0]]


def test_straight_through_is_hard_forwards_and_soft_backwards():
    soft = torch.softmax(torch.randn(1, 3, 4, 4), dim=1).requires_grad_()
    hard, factor = one_hot_argmax(soft), torch.rand(1, 3, 4, 4)
    planes = straight_through(hard, soft)
    torch.testing.assert_close(planes, hard)
    (gradient,) = torch.autograd.grad((factor * planes).sum(), soft)
    assert torch.equal(gradient, factor)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_scaled_gradient(share):
    x = torch.randn(5, requires_grad=True)
    y = scale_gradient(x, share)
    assert torch.equal(y, x)
    if not share:
        assert not y.requires_grad
        return
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, torch.full_like(x, share))
