"""Every backend answers as the model does."""

import numpy as np
import pytest
import torch

from jointmat.runtime.base import RawOutput
from jointmat.runtime.onnx import OnnxBackend
from jointmat.runtime.torch import TorchBackend
from tests.tiny import hard_planes, images


@pytest.fixture(params=["onnx", "torch"])
def backend(request, exported):
    return OnnxBackend(exported.onnx) if request.param == "onnx" else TorchBackend(exported.weights, device="cpu")


def check(backend, model, *arrays):
    """The answer, which has to be the model's."""
    output = backend.run(*(x.numpy() for x in arrays))
    with torch.inference_mode():
        expected = model(*arrays)
    for name in RawOutput._fields:
        found = getattr(output, name)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, getattr(expected, name).numpy(), atol=1e-5, err_msg=name)
    return output


def test_an_image_alone(backend, exported):
    check(backend, exported.model, images(2, 64, 96))


def test_a_given_trimap(backend, exported):
    check(backend, exported.model, images(2, 32, 96), hard_planes(32, 96).expand(2, -1, -1, -1).contiguous())


def test_an_earlier_alpha(backend, exported):
    image, planes = images(1, 32, 96), hard_planes(32, 96)
    alpha = check(backend, exported.model, image, planes, torch.rand(1, 1, 32, 96)).alpha
    assert not np.allclose(alpha, backend.run(image.numpy(), planes.numpy()).alpha, atol=1e-3)
