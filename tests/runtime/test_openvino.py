"""OpenVINO answers as ONNX Runtime does, from the same files."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jointmat import Predictor
from jointmat.assets import PORTRAIT
from jointmat.errors import DependencyError, DeviceError, InputError, WeightsError
from jointmat.runtime.base import RawOutput
from jointmat.runtime.onnx import OnnxBackend
from jointmat.runtime.open import open_backend

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def backend():
    return open_backend("lite", backend="openvino", threads=1)


def example(batch, height, width):
    rng = np.random.default_rng(0)
    return rng.random((batch, 3, height, width), np.float32)


@pytest.mark.parametrize("size", [(1, 32, 32), (2, 96, 160), (1, 256, 224)])
def test_answers_as_onnx_runtime(backend, size):
    image = example(*size)
    expected = OnnxBackend("lite").run(image)
    for name, found in backend.run(image)._asdict().items():
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, getattr(expected, name), atol=1e-3, err_msg=name)


def test_answers_as_onnx_runtime_to_a_given_trimap(backend):
    image = example(1, 96, 96)
    trimap = np.zeros_like(image)
    trimap[:, 0, :, :32], trimap[:, 1, :, 32:64], trimap[:, 2, :, 64:] = 1, 1, 1
    prior = example(1, 96, 96)[:, :1]
    found, expected = (b.run(image, trimap, prior) for b in (backend, OnnxBackend("lite")))
    np.testing.assert_allclose(found.alpha, expected.alpha, atol=1e-3)


def test_a_portrait_gets_the_same_matte(backend):
    found = Predictor(backend="openvino", threads=1, max_side=256).predict(PORTRAIT)
    expected = Predictor(backend="onnx", threads=1, max_side=256).predict(PORTRAIT)
    assert expected.mean() > 0.3
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_int8_is_refused():
    with pytest.raises(InputError, match="openvino"):
        open_backend("lite", backend="openvino", precision="int8")


def test_threads_do_not_disturb_each_other(backend):
    images = [example(1, 64, 64 + 32 * i) for i in range(4)]
    alone = [backend.run(image).alpha for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: backend.run(image).alpha, images * 3))
    for i, alpha in enumerate(together):
        np.testing.assert_array_equal(alpha, alone[i % 4])


def test_it_says_what_computes(backend):
    assert backend.name == "openvino" and "OpenVINO" in backend.engine and "lite.onnx" in backend.engine
    assert isinstance(backend.run(example(1, 32, 32)), RawOutput)


def test_a_gpu_is_refused():
    with pytest.raises(DeviceError, match=r"openvino.*cpu"):
        open_backend("lite", backend="openvino", device="cuda")


def test_a_file_that_is_no_onnx_file_is_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no onnx file")
    with pytest.raises(WeightsError, match=r"x\.onnx"):
        open_backend(tmp_path / "x.onnx", backend="openvino")


def test_without_openvino_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jointmat.runtime.openvino", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(DependencyError, match=r"openvino.*pip install .*\[openvino\]"):
        open_backend("lite", backend="openvino")
