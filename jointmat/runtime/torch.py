"""PyTorch: for training machines, GPUs, and weights that were not exported."""

from pathlib import Path

import numpy as np

from jointmat.errors import DependencyError, DeviceError
from jointmat.runtime.base import RawOutput
from jointmat.weights import find_weights, load_model


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

    def __init__(self, model: str | Path, device: str = "auto", threads: int | None = None):
        try:
            import torch
        except ImportError as error:
            raise DependencyError("backend='torch' needs torch: pip install 'jointmat[train]'") from error
        self._torch = torch
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._device = torch.device(device)
        except RuntimeError:
            self._device = torch.device("meta")
        if self._device.type not in ("cpu", "cuda"):
            raise DeviceError(f"device={device!r}: expected auto, cpu, cuda or cuda:N")
        if self._device.type == "cuda" and not torch.cuda.is_available():
            raise DeviceError(
                f"device={device!r}: torch {torch.__version__} finds no CUDA device; use device='cpu'"
            )
        if threads:
            torch.set_num_threads(threads)
        self.device = device
        model_ = load_model(find_weights(model, ".safetensors"))
        self.stride = model_.config.stride
        self._model = model_.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, image: np.ndarray, trimap: np.ndarray | None = None) -> RawOutput:
        torch = self._torch
        with torch.inference_mode():
            x = torch.from_numpy(image).to(self._device).contiguous(memory_format=torch.channels_last)
            given = None if trimap is None else torch.from_numpy(trimap).to(self._device)
            output = self._model(x, given)
            return RawOutput(*(getattr(output, name).cpu().numpy() for name in RawOutput._fields))
