"""What every architecture must do, and how one is built from its configuration."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from export.baseline import export_stages
from jointmat.build import ARCHITECTURES, build, load_model
from jointmat.config import MODELS, ModelConfig
from jointmat.errors import ConfigError, ExportError, InputError, WeightsError
from jointmat.models.joint import JointMatting, JointOutput
from jointmat.predictor import Predictor
from jointmat.weights import save_weights
from tests.tiny import CONFIG, hard_planes, images, tiny_model

SHIPPED = Path(__file__).parents[2] / "weights"

ROUNDING = 1e-6


# --- What every architecture does


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request):
    """In evaluation mode; do not change it."""
    return small(request.param)


def small(architecture):
    return tiny_model(dataclasses.replace(CONFIG, architecture=architecture, kernel=3, iterations=2))


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (128, 32)])
@torch.inference_mode()
def test_shapes_and_ranges(network, height, width):
    output = network(images(2, height, width))
    assert isinstance(output, JointOutput)
    assert output.alpha.shape == output.alpha_raw.shape == (2, 1, height, width)
    quarter = height // 4, width // 4
    assert output.trimap.shape == output.soft_trimap.shape == (2, 3, *quarter)
    assert output.mask.shape == output.mask_logits.shape == output.band.shape == (2, 1, *quarter)
    for plane in (output.alpha, output.alpha_raw, output.trimap, output.soft_trimap, output.mask):
        assert plane.min() >= -ROUNDING
        assert plane.max() <= 1 + ROUNDING
    for planes in (output.trimap, output.soft_trimap):
        torch.testing.assert_close(planes.sum(dim=1), torch.ones(2, *quarter))
    torch.testing.assert_close(output.mask, output.mask_logits.sigmoid())
    assert 0 <= output.band.min() <= output.band.max() <= CONFIG.radii[-1]


@torch.inference_mode()
def test_images_of_a_batch_do_not_mix_nor_change(network):
    image = images(2, 64, 96)
    before = image.clone()
    together = network(image)
    for i in (0, 1):
        close(together.alpha[i : i + 1], network(image[i : i + 1]).alpha)
    assert torch.equal(network(image).alpha, together.alpha)
    assert torch.equal(image, before)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("training", [False, True])
def test_a_constant_image_gives_finite_planes_and_gradients(network, value, training):
    model = copy.deepcopy(network).train(training)
    output = model(torch.full((2, 3, 64, 64), value))
    assert all(field.isfinite().all() for field in output)
    (output.alpha.sum() + output.mask_logits.sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@torch.inference_mode()
def test_known_pixels_of_a_given_trimap_come_back_exactly(network):
    planes = hard_planes(64, 96).expand(2, -1, -1, -1)
    image = images(2, 64, 96)
    free, output = network(image), network(image, trimap=planes)
    assert (output.alpha[planes[:, :1] == 1] == 0).all()
    assert (output.alpha[planes[:, 2:] == 1] == 1).all()
    unknown = planes[:, 1:2] == 1
    assert torch.equal(output.alpha[unknown], output.alpha_raw[unknown])
    assert torch.equal(output.trimap, F.avg_pool2d(planes, 4))
    assert torch.equal(free.mask, output.mask) and torch.equal(free.soft_trimap, output.soft_trimap)
    assert not torch.allclose(free.alpha, output.alpha, atol=0.01)


@pytest.mark.parametrize("plane", [0, 1, 2])
@torch.inference_mode()
def test_a_trimap_of_one_value(network, plane):
    planes = torch.zeros(1, 3, 64, 64)
    planes[:, plane] = 1
    output = network(images(1, 64, 64), planes)
    expected = (torch.zeros_like(output.alpha), output.alpha_raw, torch.ones_like(output.alpha))[plane]
    assert output.alpha_raw.isfinite().all()
    assert torch.equal(output.alpha, expected)


@torch.inference_mode()
def test_images_with_a_trimap_and_without_in_one_batch(network):
    image, given = images(2, 64, 96), hard_planes(64, 96)
    prior = torch.rand(1, 1, 64, 96)
    both = network(image, torch.cat([given, 0 * given]), torch.cat([prior, 0 * prior]))
    with_trimap, without = network(image[:1], given, prior), network(image[1:])
    close(both.alpha, torch.cat([with_trimap.alpha, without.alpha]))
    both_trimaps = torch.cat([with_trimap.trimap, without.trimap])
    torch.testing.assert_close(both.trimap, both_trimaps, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_trimap_may_be_given_at_some_pixels_alone(network):
    given = hard_planes(64, 96)
    given[..., 48:] = 0
    image = images(1, 64, 96)
    output, free = network(image, given), network(image)
    assert torch.equal(output.trimap[..., :12], F.avg_pool2d(given, 4)[..., :12])
    close(output.trimap[..., 12:], free.trimap[..., 12:])
    assert (output.alpha[given[:, :1] == 1] == 0).all()


@torch.inference_mode()
def test_an_earlier_alpha_counts_where_the_trimap_does_not_know(network):
    image, given = images(1, 64, 96), hard_planes(64, 96)
    default, uninformed = network(image, given).alpha, given[:, 2:] + given[:, 1:2] / 2
    assert torch.equal(network(image, given, uninformed).alpha, default)
    informed = network(image, given, torch.rand(1, 1, 64, 96)).alpha
    unknown = given[:, 1:2] == 1
    assert torch.equal(informed[~unknown], default[~unknown])
    takes_it = network.config.architecture != "classic"  # the published network has no input for it
    assert torch.allclose(informed[unknown], default[unknown], atol=1e-3) != takes_it


@pytest.mark.parametrize(
    ("image", "trimap", "prior", "text"),
    [
        ((1, 3, 33, 64), None, None, "image: got 33x64, expected .* divisible by 32"),
        ((1, 3, 64, 48), None, None, "image: got 64x48, expected .* divisible by 32"),
        ((1, 3, 64, 64), (1, 3, 16, 16), None, r"trimap: got \(1, 3, 16, 16\), expected Bx3x64x64"),
        ((1, 3, 64, 64), (1, 1, 64, 64), None, r"trimap: got \(1, 1, 64, 64\), expected Bx3x64x64"),
        ((2, 3, 64, 64), (1, 3, 64, 64), None, r"trimap: got \(1, 3, 64, 64\), expected Bx3x64x64"),
        ((1, 3, 64, 64), (1, 3, 64, 64), (1, 1, 16, 16), r"prior: got \(1, 1, 16, 16\), expected Bx1x64x64"),
    ],
)
def test_sizes_that_do_not_fit(network, image, trimap, prior, text):
    with pytest.raises(InputError, match=text):
        network(*(None if shape is None else torch.rand(shape) for shape in (image, trimap, prior)))


# By the parts that learn from the error of alpha; two networks share a gradient where they are trained as one.
LEARN = {
    "joint": {"encoder", "neck", "segmentation", "decoder"},
    "two-model": {"matting"},
    "shm": {"segmentation", "matting"},
    "classic": {"matting"},
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_error_of_alpha_reaches_the_parts_that_learn_from_it(name, training):
    model = small(name).train(training)
    (model(images(2, 64, 64)).alpha - 0.5).square().mean().backward()
    gradients = {part: p.grad for part, p in model.named_parameters() if p.grad is not None}
    assert {part.partition(".")[0] for part, grad in gradients.items() if grad.any()} == LEARN[name]
    assert all(grad.isfinite().all() for grad in gradients.values())


def test_no_gradient_is_kept_when_none_is_asked_for(network):
    with torch.no_grad():
        assert not any(field.requires_grad for field in network(images(1, 32, 32)))


def test_weights_files_say_which_network_they_are(network, tmp_path):
    save_weights(network, tmp_path / "w.safetensors")
    again = load_model(tmp_path / "w.safetensors")
    assert type(again) is type(network) and again.config == network.config
    with torch.inference_mode():
        image = images(1, 64, 64)
        assert torch.equal(again(image).alpha, network(image).alpha)


@pytest.mark.parametrize("name", ["joint", "two-model"])  # the network of "classic" takes a minute
def test_the_exported_network_mattes_as_the_network_does(name, exported, tmp_path):
    image = (images(1, 75, 100)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    weights, onnx = exported.weights, exported.onnx
    if name == "two-model":
        weights, onnx = tmp_path / "two.safetensors", tmp_path / "two.onnx"
        save_weights(small(name), weights)
        comparisons = export_stages(load_model(weights), onnx, weights)
        assert [path.name for path in comparisons] == ["two-segmentation.onnx", "two-matting.onnx"]
        assert all(comparison.worst < 1e-4 for comparison in comparisons.values())
    loaded, run = (Predictor(path).matte(image) for path in (weights, onnx))
    np.testing.assert_allclose(run.alpha, loaded.alpha, atol=5e-3)  # noise, through two looks
    assert (run.trimap == loaded.trimap).mean() > 0.999


def test_a_soft_trimap_between_two_networks_is_not_exported(tmp_path):
    with pytest.raises(ExportError, match="SemanticHumanMatting: only two models with a hard trimap"):
        export_stages(small("shm"), tmp_path / "x.onnx")


# --- Each by itself


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
    image = images(1, 96, 64)
    output = load_model(SHIPPED / "lite.safetensors")(image)
    exported = ort.InferenceSession(SHIPPED / "lite.onnx").run(["alpha", "mask"], {"image": image.numpy()})
    for found, expected in zip((output.alpha, output.mask), exported, strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)
