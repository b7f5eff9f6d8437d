"""Which backend a model's file and options lead to."""

import pytest

from jointmat.errors import DeviceError, InputError, WeightsError
from jointmat.predictor import Predictor
from jointmat.runtime.onnx import OnnxBackend
from jointmat.runtime.open import open_backend
from tests.conftest import HAS_TORCH


def test_an_onnx_file(model):
    backend = open_backend(model, threads=1)
    assert isinstance(backend, OnnxBackend) and (backend.name, backend.device) == ("onnx", "cpu")
    assert str(model) in backend.engine


def test_a_predictor_takes_a_backend(model):
    backend = open_backend(model)
    assert Predictor(backend).backend is backend


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_a_safetensors_file_says_what_it_holds(tmp_path):
    import dataclasses

    from jointmat.runtime.torch import TorchBackend
    from jointmat.runtime.two_model import TwoModelBackend
    from jointmat.weights import save_weights
    from tests.tiny import CONFIG, tiny_model

    two = dataclasses.replace(CONFIG, architecture="two-model", kernel=3, iterations=2)
    for name, config in (("one", CONFIG), ("two", two)):
        save_weights(tiny_model(config), tmp_path / f"{name}.safetensors")
    assert isinstance(open_backend(tmp_path / "one.safetensors"), TorchBackend)
    pair = open_backend(tmp_path / "two.safetensors", iterations=4)
    assert isinstance(pair, TwoModelBackend) and (pair.kernel, pair.iterations) == (3, 4)
    with pytest.raises(InputError, match="kernel are for two models"):
        open_backend(tmp_path / "one.safetensors", kernel=5)
    with pytest.raises(InputError, match="kernel=4: expected an odd number"):
        open_backend(tmp_path / "two.safetensors", kernel=4)
    with pytest.raises(InputError, match="precision='int8'"):
        open_backend(tmp_path / "one.safetensors", precision="int8")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"backend": "tensorflow"}, InputError, "backend='tensorflow': expected auto, onnx, openvino, torch"),
        ({"precision": "fp8"}, InputError, "precision='fp8': expected one of fp32"),
        ({"device": 0}, DeviceError, "device=0: expected a name such as .*'cuda:0'"),
        ({"device": "abacus"}, DeviceError, "device='abacus': expected one of auto, cpu"),
        ({"kernel": 5}, InputError, "kernel are for two models"),
        ({"model": "huge"}, WeightsError, "available: "),
        ({"model": "gca-dist.pth"}, WeightsError, r"\.onnx or \.safetensors.*python -m export onnx"),
        ({"model": "model.tflite"}, WeightsError, r"expected a name, or a \.onnx or \.safetensors file"),
    ],
)
def test_what_leads_nowhere_is_named(model, options, error, message):
    with pytest.raises(error, match=message):
        open_backend(**{"model": model, **options})
