"""One configuration for every network."""

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from safetensors import safe_open

from jointmat.build import ARCHITECTURES, build, load_model
from jointmat.config import MODELS, ModelConfig
from jointmat.errors import ConfigError, InputError, WeightsError
from jointmat.models.joint import JointMatting, JointOutput
from jointmat.weights import save_weights
from tests.tiny import CONFIG, hard_planes, pictures, tiny_model

SHIPPED = Path(__file__).parents[2] / "weights"
SMALL = [name for name in ARCHITECTURES if name != "classic"]


def small(architecture):
    config = dataclasses.replace(CONFIG, architecture=architecture, unet_channels=(16, 8, 8, 8), kernel=3)
    return tiny_model(config)


@pytest.mark.parametrize("name", SMALL)
@torch.inference_mode()
def test_every_network_answers_with_the_same_planes(name):
    model = small(name)
    for trimap in (None, hard_planes(64, 96).expand(2, -1, -1, -1)):
        output = model(pictures(2, 64, 96), trimap)
        assert isinstance(output, JointOutput)
        assert output.alpha.shape == output.alpha_raw.shape == (2, 1, 64, 96)
        assert output.trimap.shape == (2, 3, 16, 24)
        assert output.mask.shape == output.mask_logits.shape == output.band.shape == (2, 1, 16, 24)
        torch.testing.assert_close(output.mask, output.mask_logits.sigmoid())
        torch.testing.assert_close(output.trimap.sum(dim=1), torch.ones(2, 16, 24))
        assert output.alpha.min() >= -1e-6 and output.alpha.max() <= 1 + 1e-6
    torch.testing.assert_close(output.alpha[..., :32], torch.zeros(2, 1, 64, 32))  # known background


@pytest.mark.parametrize("name", SMALL)
def test_every_network_refuses_a_size_that_is_no_multiple_of_the_stride(name):
    with pytest.raises(InputError, match="got 64x65, expected height and width divisible by 32"):
        small(name)(pictures(1, 64, 65))


@pytest.mark.parametrize("name", SMALL)
def test_weights_files_say_which_network_they_are(name, tmp_path):
    model = small(name)
    save_weights(model, tmp_path / "w.safetensors")
    again = load_model(tmp_path / "w.safetensors")
    assert type(again) is type(model) and again.config == model.config
    with torch.inference_mode():
        image = pictures(1, 64, 64)
        assert torch.equal(again(image).alpha, model(image).alpha)


def test_the_joint_class_refuses_weights_of_another_network(tmp_path):
    save_weights(small("shm"), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="holds the architecture 'shm', expected 'joint'"):
        JointMatting.from_pretrained(tmp_path / "w.safetensors")


def test_an_architecture_that_there_is_not():
    with pytest.raises(ConfigError, match="architecture='jiont': expected one of joint, two-model"):
        build(ModelConfig(architecture="jiont"))


@pytest.mark.parametrize("band", [0.0, 8.5])
def test_a_fixed_band_must_lie_within_the_radii(band):
    with pytest.raises(ConfigError, match=rf"band={band}: expected more than 0 and at most 8"):
        ModelConfig(band=band)


def test_two_models_have_the_joint_networks_encoder_twice():
    joint, two = (build(MODELS[name]) for name in ("lite", "two-model"))
    encoder, again = (sum(p.numel() for p in m.parameters()) for m in (joint.encoder, two.segmentation.encoder))
    assert encoder == again
    stem = 3 * 32 * 9  # weights for the three planes of the trimap
    assert sum(p.numel() for p in two.matting.encoder.parameters()) == encoder + stem
    assert two.matting.decoder.state_dict().keys() == joint.decoder.state_dict().keys()


@pytest.mark.skipif(not (SHIPPED / "lite.safetensors").is_file(), reason="no weights in this checkout")
@torch.inference_mode()
def test_the_shipped_weights_are_those_of_the_default_network_and_compute_what_their_export_does():
    with safe_open(SHIPPED / "lite.safetensors", framework="pt") as file:
        names = set(file.keys())
    model = build(MODELS["lite"]).eval()
    assert set(model.state_dict()) == names
    image = pictures(1, 96, 64)
    output = load_model(SHIPPED / "lite.safetensors")(image)
    exported = ort.InferenceSession(SHIPPED / "lite.onnx").run(["alpha", "mask"], {"image": image.numpy()})
    for found, expected in zip((output.alpha, output.mask), exported, strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)
