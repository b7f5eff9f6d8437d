"""The torch backend answers as the model does, and says what is missing."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from jointmat.errors import DeviceError, WeightsError
from jointmat.io.write import save_image
from jointmat.runtime.torch import TorchBackend
from tests.tiny import images


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_memory_is_one_line_for_this_image(exported, monkeypatch, error):
    def model(*_):
        raise error

    backend = TorchBackend(exported.weights, device="cpu")
    monkeypatch.setattr(backend, "_model", model)
    with pytest.raises(DeviceError) as raised:
        backend.run(images(2, 64, 96).numpy())
    assert str(raised.value) == "cpu: not enough memory for 2 images of 64x96 (HxW): use a smaller max_side"


def test_says_what_it_is(exported):
    backend = TorchBackend(str(exported.weights))
    assert (backend.name, backend.stride) == ("torch", 32)
    assert backend.engine == f"torch {torch.__version__}, {backend.device}, {exported.weights} (fp32)"
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


@pytest.mark.parametrize("package", ["torch", "timm", "segmentation_models_pytorch", "pydantic"])
def test_without_a_package(exported, tmp_path, package):
    code = f"import sys; sys.modules[{package!r}] = None; from jointmat.cli.main import main; main()"
    image, out = tmp_path / "a.png", tmp_path / "b.png"
    save_image(image, np.zeros((8, 8, 3), np.uint8))
    arguments = ["predict", image, "-o", out, "--model", exported.weights]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not out.exists()
    expected = rf"error: .* needs {package}: pip install .*\[train\]'\n"
    assert re.fullmatch(expected, done.stderr), done.stderr
