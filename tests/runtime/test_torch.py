"""The torch backend answers as the model does, and says what is missing."""

import sys

import numpy as np
import pytest
import torch

from jointmat.errors import DependencyError, DeviceError, WeightsError
from jointmat.runtime.base import RawOutput
from jointmat.runtime.torch import TorchBackend
from tests.tiny import hard_planes, pictures


@pytest.mark.parametrize("given", [False, True])
def test_answers_as_the_model(exported, given):
    backend = TorchBackend(exported.weights, device="cpu")
    image = pictures(2, 64, 96)
    trimap = hard_planes(64, 96).expand(2, -1, -1, -1).contiguous() if given else None
    with torch.inference_mode():
        expected = exported.model(image, trimap)
    output = backend.run(image.numpy(), None if trimap is None else trimap.numpy())
    for name in RawOutput._fields:
        found = getattr(output, name)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, getattr(expected, name).numpy(), atol=1e-5)


def test_says_what_it_is(exported):
    backend = TorchBackend(str(exported.weights))
    assert (backend.name, backend.stride) == ("torch", 32)
    assert backend.device == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_that_is_not_there(exported, device):
    with pytest.raises(
        DeviceError, match=rf"device='{device}': torch .* finds no CUDA devices; use device='cpu'"
    ):
        TorchBackend(exported.weights, device=device)


@pytest.mark.parametrize("device", ["tpu", "meta", "mps", "cuda:x", "", "cpu cuda"])
def test_an_unknown_device(exported, device):
    with pytest.raises(DeviceError) as error:
        TorchBackend(exported.weights, device=device)
    assert str(error.value) == f"device={device!r}: expected auto, cpu, cuda or cuda:N"


def test_a_file_of_the_other_backend(exported):
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        TorchBackend(exported.onnx)


def test_without_torch(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match=r"backend='torch' needs torch: pip install 'jointmat\[train\]'"):
        TorchBackend(exported.weights)
