"""PyTorch: for training machines, GPUs, and weights that were not exported."""

import re
from pathlib import Path

import numpy as np

from jointmat.errors import DependencyError, DeviceError
from jointmat.models.build import load_model
from jointmat.runtime.base import RawOutput, memory_errors
from jointmat.weights import find_weights


class TorchBackend:
    """Runs a safetensors file.

    Parameters
    ----------
    model : name or path of the .safetensors file
    device : "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N" (CUDA not tested: no such machine was at
        hand)
    threads : kept by torch for the whole process, so that it is only set when given
    """

    name = "torch"
    engine: str
    """What computes, for people: package, device, file and precision."""

    def __init__(self, model: str | Path, device: str = "auto", threads: int | None = None):
        try:
            import torch
        except ImportError as error:
            raise DependencyError("backend='torch' needs torch: pip install 'jointmat[train]'") from error
        self._torch = torch
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            raise DeviceError(f"device={device!r}: expected auto, cpu, cuda or cuda:N")
        self._device = torch.device(device)
        there = torch.cuda.device_count()
        if self._device.type == "cuda" and (self._device.index or 0) >= there:
            raise DeviceError(
                f"device={device!r}: torch {torch.__version__} finds {there or 'no'} CUDA devices; "
                "use device='cpu'"
            )
        if threads:
            torch.set_num_threads(threads)
        self.device = device
        path = find_weights(model, ".safetensors")
        model_ = load_model(path)
        self.engine = f"torch {torch.__version__}, {device}, {path} (fp32)"
        self.stride = model_.config.stride
        self._model = model_.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, image: np.ndarray, trimap: np.ndarray | None = None) -> RawOutput:
        torch = self._torch
        # Of which OutOfMemoryError is one; on the CPU it has no class of its own.
        with torch.inference_mode(), memory_errors(self.device, image, RuntimeError):
            x = torch.from_numpy(image).to(self._device).contiguous(memory_format=torch.channels_last)
            given = None if trimap is None else torch.from_numpy(trimap).to(self._device)
            output = self._model(x, given)
            alpha, planes, mask = (x.cpu().numpy() for x in (output.alpha, output.trimap, output.mask))
            return RawOutput(alpha, planes if trimap is None else trimap, mask)
