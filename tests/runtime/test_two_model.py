"""Two models as a backend of the one predictor."""

import dataclasses
import pickle

import cv2
import numpy as np
import onnx
import pytest

from export.baseline import export_stages
from jointmat.baseline.gca import GCAMatting
from jointmat.baseline.networks import SegmentationUNet
from jointmat.baseline.pipeline import TwoModelPipeline
from jointmat.cli.main import cli
from jointmat.errors import DeviceError, InputError, WeightsError
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.io.write import save_image
from jointmat.predictor import Predictor
from jointmat.runtime.torch import TorchBackend
from jointmat.runtime.two_model import from_networks
from jointmat.weights import save_weights
from tests.tiny import CONFIG, images, tiny_model

TWO = dataclasses.replace(CONFIG, architecture="two-model", kernel=3, iterations=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("two") / "two.safetensors"
    save_weights(tiny_model(TWO), path)
    return path


@pytest.fixture(scope="module")
def photo():
    return cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 6, 3), np.uint8), (100, 75))


def pipeline(weights, **settings):
    return TwoModelPipeline(weights, **({"kernel": 3, "iterations": 2} | settings))


def whole(weights):
    """The two networks as the one that they are in training."""
    return Predictor(TorchBackend(weights))


def test_the_pipeline_gives_what_the_network_as_a_whole_gives(weights, photo):
    matte, whole_matte = Predictor(weights).matte(photo), whole(weights).matte(photo)
    assert set(np.unique(matte.trimap)) == {0, 128, 255}
    for name in ("image", "alpha", "mask"):
        np.testing.assert_allclose(getattr(matte, name), getattr(whole_matte, name), atol=1e-6)


def test_the_trimap_is_that_of_the_network_as_a_whole_before_it_is_averaged(weights):
    image = images(2, 64, 96).numpy()
    planes, averaged = (p.backend.run(image).trimap for p in (Predictor(weights), whole(weights)))
    assert planes.shape == (2, 3, 64, 96) and set(np.unique(planes)) == {0, 1}
    np.testing.assert_allclose(planes.reshape(2, 3, 16, 4, 24, 4).mean(axis=(3, 5)), averaged, atol=1e-6)


def test_kernel_and_iterations_are_those_of_the_model_unless_given(weights, photo):
    own = TwoModelPipeline(weights).matte(photo).trimap
    assert (own == pipeline(weights).matte(photo).trimap).all()
    assert (own != TwoModelPipeline(weights, iterations=3).matte(photo).trimap).any()


def test_a_larger_kernel_leaves_more_unknown(weights, photo):
    areas = [(pipeline(weights, kernel=k).matte(photo).trimap == 128).mean() for k in (1, 3, 7)]
    assert areas[0] < areas[1] < areas[2]


def test_a_given_trimap_is_kept(weights, photo):
    trimap = np.full(photo.shape[:2], 128, np.uint8)
    trimap[:, :30], trimap[:, 70:] = 0, 255
    matte = pipeline(weights).matte(photo, trimap=trimap)
    assert (matte.trimap == trimap).all()
    assert (matte.alpha[:, :30] == 0).all() and (matte.alpha[:, 70:] == 1).all()


def test_several_images_and_a_pickled_pipeline(weights, photo):
    one = pipeline(weights).predict(photo)
    again = pickle.loads(pickle.dumps(pipeline(weights)))
    for alpha in again.predict_batch([photo, photo]):
        np.testing.assert_allclose(alpha, one, atol=1e-6)


@pytest.mark.parametrize("config", ["", "[", '{"kernel": "wide"}', '{"iterations": []}'])
def test_metadata_that_names_no_trimap_is_refused(weights, tmp_path, config):
    export_stages(tiny_model(TWO), tmp_path / "two.onnx", weights)
    path = tmp_path / "two-segmentation.onnx"
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, {"stride": "32", "config": config})
    onnx.save(proto, path)
    with pytest.raises(WeightsError, match="does not say in JSON"):
        Predictor(tmp_path / "two.onnx")


def test_any_two_networks_can_be_put_together(photo):
    backend = from_networks(SegmentationUNet(TWO), GCAMatting())
    assert (backend.kernel, backend.iterations, backend.stride) == (7, 6, 32)
    matte = Predictor(backend, max_side=64).matte(photo)
    assert matte.alpha.shape == photo.shape[:2] and np.isfinite(matte.alpha).all()


def test_the_command_sees_two_models_in_the_file(weights, photo, tmp_path):
    save_image(tmp_path / "photo.png", photo)
    arguments = ["predict", str(tmp_path / "photo.png"), "-o", str(tmp_path / "out.png"), "--model", str(weights)]
    cli.main([*arguments, "--only-alpha"], standalone_mode=False)
    assert (load_image(tmp_path / "out.png")[..., 0] == to_uint8(Predictor(weights).predict(photo))).all()


def test_what_cannot_be_used_is_refused_before_the_work(weights, tmp_path):
    with pytest.raises(InputError, match=r"kernel=4: expected an odd number"):
        pipeline(weights, kernel=4)
    with pytest.raises(InputError, match="iterations=0: expected at least 1"):
        pipeline(weights, iterations=0)
    with pytest.raises(InputError, match="max_side=0: expected at least 1"):
        pipeline(weights, max_side=0)
    with pytest.raises(DeviceError, match="device='gpu': expected auto, cpu, cuda"):
        pipeline(weights, device="gpu")
    with pytest.raises(WeightsError, match=r"two\.onnx: no such weights file"):
        pipeline(tmp_path / "two.onnx")
    (tmp_path / "two-matting.onnx").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"two-segmentation\.onnx: "):
        pipeline(tmp_path / "two.onnx")
    with pytest.raises(InputError, match=r"precision='int8': .* two models compute in fp32"):
        Predictor(tmp_path / "two.onnx", precision="int8")
    save_weights(tiny_model(), tmp_path / "joint.safetensors")
    with pytest.raises(WeightsError, match=r"holds one network; use jointmat\.Predictor"):
        TwoModelPipeline(tmp_path / "joint.safetensors")
