"""The two networks that the joint one replaces."""

import dataclasses

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from jointmat.baseline.networks import SegmentationUNet, encoder_name
from jointmat.config import ModelConfig
from jointmat.errors import ConfigError
from jointmat.ops.morphology import hard_trimap, trimap_planes
from tests.tiny import CONFIG, images, tiny_model

TWO = dataclasses.replace(CONFIG, architecture="two-model", kernel=3, iterations=2)


@torch.inference_mode()
def test_with_five_channels_the_unet_is_that_of_segmentation_models_pytorch():
    config = ModelConfig(encoder="resnet18", encoder_scale=1, unet_channels=(64, 32, 16, 16, 8))
    published = smp.Unet("resnet18", encoder_weights=None, decoder_channels=config.unet_channels).eval()
    ours = SegmentationUNet(config).eval()
    ours.load_state_dict(published.state_dict())
    image = images(1, 64, 96)
    assert torch.equal(ours(image), published((image - 0.5) / 0.5))


def test_encoders_by_their_names():
    assert encoder_name("resnet34") == "resnet34"
    assert encoder_name("efficientnet_lite0") == "tu-efficientnet_lite0"
    assert encoder_name("tu-resnet10t") == "tu-resnet10t"
    with pytest.raises(ConfigError, match="encoder='resnet3': neither"):
        encoder_name("resnet3")


@torch.inference_mode()
def test_the_trimap_between_two_models_is_the_classic_one_of_the_mask():
    model = tiny_model(TWO)
    output = model(images(1, 96, 128))
    mask = torch.nn.functional.interpolate(output.mask, scale_factor=4.0, mode="bilinear")[0, 0]
    trimap = torch.from_numpy(hard_trimap(np.where(mask >= 0.5, 255, 0).astype(np.uint8), 3, 2))
    assert set(trimap.unique().tolist()) == {0, 128, 255}
    assert (output.alpha[0, 0][trimap == 0] == 0).all() and (output.alpha[0, 0][trimap == 255] == 1).all()
    unknown = trimap == 128
    assert torch.equal(output.alpha[0, 0][unknown], output.alpha_raw[0, 0][unknown])
    assert (output.band == 0.5).all()  # (3 − 1)/2 · 2 pixels, at 1/4


@torch.inference_mode()
def test_the_mask_of_the_end_to_end_form_is_foreground_and_half_of_the_unknown():
    output = tiny_model(dataclasses.replace(TWO, architecture="shm"))(images(2, 64, 64))
    trimap = tiny_model(dataclasses.replace(TWO, architecture="shm")).segmentation(images(2, 64, 64)).softmax(1)
    torch.testing.assert_close(output.mask, trimap[:, 2:] + trimap[:, 1:2] / 2)


def test_masks_are_enlarged_before_the_trimap_is_made():
    mask = np.zeros((1, 1, 16, 16), np.float32)
    mask[..., 8:] = 1
    planes = trimap_planes(mask, (64, 64), kernel=3, iterations=2)
    assert planes.shape == (1, 3, 64, 64) and (planes.sum(axis=1) == 1).all()
    assert planes[0, :, 32].argmax(axis=0).tolist() == [0] * 30 + [1] * 4 + [2] * 30
