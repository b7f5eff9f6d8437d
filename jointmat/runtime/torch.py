"""PyTorch: for training machines, GPUs, and weights that were not exported."""

from pathlib import Path

import numpy as np
import torch

from jointmat.build import Network, load_model
from jointmat.runtime.base import RawOutput, memory_errors
from jointmat.runtime.devices import torch_device
from jointmat.weights import find_weights


class TorchBackend:
    """Runs a network in torch.

    Parameters
    ----------
    model : name or path of a .safetensors file, or a network in evaluation mode
    device : see `jointmat.runtime.devices.torch_device`
    threads : kept by torch for the whole process, so that it is only set when given
    """

    name = "torch"
    engine: str
    """Engine as shown to users: package, device, file and precision."""

    def __init__(self, model: str | Path | Network, device: str = "auto", threads: int | None = None):
        self._device = torch_device(device)
        self.device = str(self._device)
        if threads:
            torch.set_num_threads(threads)
        if isinstance(model, str | Path):
            path = find_weights(model, ".safetensors")
            network, self.engine = load_model(path), engine_of(self.device, path)
        else:
            network, self.engine = model, engine_of(self.device, type(model).__name__)
        self.stride = network.config.stride
        self._model = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(
        self, image: np.ndarray, trimap: np.ndarray | None = None, prior: np.ndarray | None = None
    ) -> RawOutput:
        # Of which OutOfMemoryError is one; on the CPU it has no class of its own.
        with torch.inference_mode(), memory_errors(self.device, image, RuntimeError):
            x = torch.from_numpy(image).to(self._device).contiguous(memory_format=torch.channels_last)
            given = (
                None if plane is None else torch.from_numpy(plane).to(self._device) for plane in (trimap, prior)
            )
            output = self._model(x, *given)
            return RawOutput(*(x.cpu().numpy() for x in (output.alpha, output.trimap, output.mask)))


def engine_of(device: str, source: object) -> str:
    """Engine as shown to users: package, device, file and precision."""
    return f"torch {torch.__version__}, {device}, {source} (fp32)"
