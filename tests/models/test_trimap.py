"""The joint network's variants, each chosen by its configuration."""

import dataclasses

import pytest
import torch

from jointmat.models.trimap import likeliest, settle
from tests.tiny import CONFIG, hard_planes, pictures, tiny_model

VARIANTS = {
    "band": {"band": 1.5},
    "hard": {"hard_trimap": True},
    "not settled": {"margin": 0.0},
    "no fusion": {"fusion": False},
    "no attention": {"key_channels": 0},
}


def variant(**change):
    return tiny_model(dataclasses.replace(CONFIG, **change))


@pytest.mark.parametrize("change", VARIANTS.values(), ids=VARIANTS)
def test_variants_answer_like_the_joint_network_and_learn(change):
    output = variant(**change).train()(pictures(2, 64, 96))
    assert output.alpha.shape == (2, 1, 64, 96)
    assert output.alpha.min() >= 0 and output.alpha.max() <= 1 + 1e-6
    output.alpha.mean().backward()


def test_a_variant_without_parts_left_out_has_the_same_weights():
    names = tiny_model().state_dict().keys()
    for name in ("band", "hard", "not settled", "no fusion"):
        assert variant(**VARIANTS[name]).state_dict().keys() == names


@torch.inference_mode()
def test_a_fixed_band_is_the_same_everywhere_and_a_wider_one_leaves_more_unknown():
    narrow, wide = (variant(band=width)(pictures(1, 64, 64)) for width in (1.0, 3.5))
    assert (narrow.band == 1).all() and (wide.band == 3.5).all()
    assert wide.trimap[:, 1].sum() > narrow.trimap[:, 1].sum()


def test_of_a_hard_trimap_alpha_takes_the_likeliest_plane_and_the_losses_see_the_soft_one():
    output = variant(hard_trimap=True)(pictures(1, 64, 64))
    soft = output.trimap
    assert ((soft > 0.05) & (soft < 0.95)).any()
    hard = torch.nn.functional.interpolate(likeliest(soft), scale_factor=4.0, mode="bilinear")
    torch.testing.assert_close(output.alpha, hard[:, 2:] + hard[:, 1:2] * output.alpha_raw)


def test_no_gradient_of_alpha_passes_a_hard_trimap():
    def gradient(model):
        output = model(pictures(1, 64, 64))
        return torch.autograd.grad(output.alpha.sum(), output.band)[0].abs().sum()

    with pytest.raises(RuntimeError, match="not have been used"):
        gradient(variant(hard_trimap=True))
    assert gradient(tiny_model()) > 0


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.25])
def test_in_training_a_share_of_alphas_gradient_passes_the_trimap(hard, share):
    def alpha_and_gradient(share):
        torch.manual_seed(0)  # for the dropout
        model = variant(hard_trimap=hard, trimap_gradient=share).train()
        output = model(pictures(2, 64, 64))
        gradient = torch.autograd.grad(output.alpha.sum(), output.band, materialize_grads=True)
        return output.alpha, gradient[0]

    (alpha, whole), (same, part) = alpha_and_gradient(1.0), alpha_and_gradient(share)
    assert torch.equal(alpha, same) and whole.any()
    torch.testing.assert_close(part, share * whole)


@torch.inference_mode()
def test_without_fusion_alpha_is_what_the_decoder_says_whatever_the_trimap():
    model = variant(fusion=False)
    for trimap in (None, hard_planes(64, 64)):
        output = model(pictures(1, 64, 64), trimap)
        assert torch.equal(output.alpha, output.alpha_raw)


def test_settling_keeps_a_partition_and_takes_what_is_nearly_known_at_its_word():
    planes = torch.tensor([[0.95, 0.04, 0.01], [0.3, 0.5, 0.2], [0.0, 0.08, 0.92], [0.5, 0.0, 0.5]])
    settled = settle(planes.T.reshape(1, 3, 2, 2), 0.1)
    expected = [[1, 0, 0], [0.25, 0.625, 0.125], [0, 0, 1], [0.5, 0, 0.5]]
    torch.testing.assert_close(settled.reshape(3, 4).T, torch.tensor(expected, dtype=torch.float32))


def test_without_a_margin_settling_changes_nothing():
    planes = torch.softmax(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    torch.testing.assert_close(settle(planes, 0.0), planes)


@torch.inference_mode()
def test_alpha_is_made_with_the_settled_trimap():
    output = variant(margin=0.4)(pictures(1, 64, 64))
    settled = settle(output.trimap, 0.4)
    assert (settled == 1).any() and ((settled > 0) & (settled < 1)).any()
    planes = torch.nn.functional.interpolate(settled, scale_factor=4.0, mode="bilinear")
    torch.testing.assert_close(output.alpha, planes[:, 2:] + planes[:, 1:2] * output.alpha_raw)


def test_the_likeliest_plane_is_one_even_where_planes_are_equal():
    planes = torch.tensor([[0.2, 0.5], [0.5, 0.5], [0.3, 0.0]]).view(1, 3, 1, 2)
    assert likeliest(planes).squeeze().tolist() == [[0, 1], [1, 0], [0, 0]]
