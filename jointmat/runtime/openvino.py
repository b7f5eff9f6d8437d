"""OpenVINO: for processors by Intel, from the same files as ONNX Runtime."""

from pathlib import Path

import numpy as np
import openvino

from jointmat.errors import DeviceError, WeightsError
from jointmat.runtime.base import RawOutput, memory_errors
from jointmat.runtime.files import exported_file
from jointmat.runtime.onnx import SIGNATURE, OnnxBackend, feed


class OpenVinoBackend:
    """Runs an exported file on the CPU, in float32 even where the processor has bfloat16 (AMX).

    INT8 files are left to ONNX Runtime: OpenVINO rounds them its own way, and moves alpha of the bundled portrait
    eight times as far from float32 (mean absolute difference .0197 against .0026).

    Parameters
    ----------
    model, threads : see `OnnxBackend`, which checks the file
    device : "auto" or "cpu"
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: str | Path, device: str = "auto", threads: int | None = None):
        if device not in ("auto", "cpu"):
            raise DeviceError(f"device={device!r}: backend='openvino' runs on the CPU; use device='cpu'")
        self.stride = OnnxBackend(model, "cpu", threads).stride
        self._path = exported_file(model)
        self._network = _compiled(self._path, threads)

    def run(
        self, image: np.ndarray, trimap: np.ndarray | None = None, prior: np.ndarray | None = None
    ) -> RawOutput:
        with memory_errors("OpenVINO", image, RuntimeError):
            request = self._network.create_infer_request()  # of its own: one cannot serve two threads
            request.infer(feed(image, trimap, prior))
            return RawOutput(*(request.get_tensor(name).data.copy() for name in SIGNATURE[1]))

    @property
    def engine(self) -> str:
        """Engine as shown to users: runtime, file and precision."""
        return f"OpenVINO {openvino.__version__.partition('-')[0]}, CPU, {self._path} (fp32)"


def _compiled(path: Path, threads: int | None) -> openvino.CompiledModel:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or 0}
    try:
        return openvino.Core().compile_model(path, "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise WeightsError(f"{path}: OpenVINO cannot run this file ({reason})") from error
