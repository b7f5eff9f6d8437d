"""PyTorch: for training machines, GPUs, and weights that were not exported."""

from pathlib import Path

import numpy as np
import torch

from jointmat.build import load_model
from jointmat.runtime.base import RawOutput, memory_errors
from jointmat.runtime.devices import torch_device
from jointmat.weights import find_weights


class TorchBackend:
    """Runs a safetensors file.

    Parameters
    ----------
    model : name or path of the .safetensors file
    device : see `jointmat.runtime.devices.torch_device`
    threads : kept by torch for the whole process, so that it is only set when given
    """

    name = "torch"
    engine: str
    """What computes, for people: package, device, file and precision."""

    def __init__(self, model: str | Path, device: str = "auto", threads: int | None = None):
        self._device = torch_device(device)
        self.device = str(self._device)
        if threads:
            torch.set_num_threads(threads)
        path = find_weights(model, ".safetensors")
        model_ = load_model(path)
        self.engine = f"torch {torch.__version__}, {self.device}, {path} (fp32)"
        self.stride = model_.config.stride
        self._model = model_.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, image: np.ndarray, trimap: np.ndarray | None = None) -> RawOutput:
        # Of which OutOfMemoryError is one; on the CPU it has no class of its own.
        with torch.inference_mode(), memory_errors(self.device, image, RuntimeError):
            x = torch.from_numpy(image).to(self._device).contiguous(memory_format=torch.channels_last)
            given = None if trimap is None else torch.from_numpy(trimap).to(self._device)
            output = self._model(x, given)
            alpha, planes, mask = (x.cpu().numpy() for x in (output.alpha, output.trimap, output.mask))
            return RawOutput(alpha, planes if trimap is None else trimap, mask)
