"""The device that torch computes on, by its name."""

import re
from typing import TYPE_CHECKING

from jointmat.errors import DeviceError

if TYPE_CHECKING:
    import torch


def torch_device(name: str) -> "torch.device":
    """The device of a name; DeviceError if it is not available.

    Parameters
    ----------
    name : "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N"; CUDA has not been tested: no such machine was
        at hand

    Raises
    ------
    DeviceError
        for another name, or a GPU that torch does not find.
    """
    import torch

    there = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if there else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise DeviceError(f"device={name!r}: expected auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= there:
        raise DeviceError(
            f"device={name!r}: torch {torch.__version__} finds {there or 'no'} CUDA devices; use device='cpu'"
        )
    return device
