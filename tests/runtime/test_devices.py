"""The device that torch computes on."""

import pytest
import torch

from jointmat.errors import DeviceError
from jointmat.runtime.devices import torch_device


@pytest.mark.parametrize(
    ("there", "name", "found"),
    [(0, "auto", "cpu"), (2, "auto", "cuda"), (2, "cpu", "cpu"), (2, "cuda", "cuda"), (2, "cuda:1", "cuda:1")],
)
def test_a_device_that_is_there(monkeypatch, there, name, found):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    assert torch_device(name) == torch.device(found)


@pytest.mark.parametrize(
    ("there", "name", "why"),
    [
        (0, "cuda", "finds no CUDA devices; use device='cpu'"),
        (2, "cuda:2", "finds 2 CUDA devices; use device='cpu'"),
        (2, "cuda:x", "expected auto, cpu, cuda or cuda:N"),
        (2, "gpu", "expected auto, cpu, cuda or cuda:N"),
        (0, "", "expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_device_that_is_not_there(monkeypatch, there, name, why):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(DeviceError, match=f"device={name!r}: .*{why}"):
        torch_device(name)
