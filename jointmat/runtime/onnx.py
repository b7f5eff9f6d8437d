"""ONNX Runtime: the default backend."""

import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from jointmat.errors import DeviceError, WeightsError
from jointmat.parallel import cores
from jointmat.runtime.base import RawOutput, memory_errors
from jointmat.runtime.files import exported_file
from jointmat.runtime.providers import CHANNELS, PROVIDERS, providers

Signature = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of a graph's inputs and outputs."""

SIGNATURE = ("image", "trimap", "prior"), ("alpha", "used_trimap", "mask")
"""Inputs and outputs of the joint network's file. (A graph's input and output cannot share a name.)"""

_LARGEST_STRIDE = 256
_TRIAL_SIDE = 64
_TRIAL_SECONDS = 30.0


class OnnxBackend:
    """Runs an exported file.

    Parameters
    ----------
    model : name or path of the .onnx file
    device : "auto" (the CPU), "cpu", "cuda" or "tensorrt" (the last two not tested: no such machine was at hand)
    threads : for one call; None for one per core
    precision : "fp32", "fp16" or "int8", see `jointmat.runtime.files.exported_file`. With TensorRT, "fp16" takes
        the fp32 file and lets TensorRT choose where half precision does.
    """

    name = "onnx"

    def __init__(
        self, model: str | Path, device: str = "auto", threads: int | None = None, precision: str = "fp32"
    ):
        self.device = "cpu" if device == "auto" else device
        self.precision = precision
        from_fp32 = self.device == "tensorrt" and precision == "fp16"
        self._path = exported_file(model, "fp32" if from_fp32 else precision)
        chosen = providers(self.device, precision, SIGNATURE[0])
        self._session = open_session(self._path, SIGNATURE, chosen, threads)
        self.stride = int(self._session.get_modelmeta().custom_metadata_map["stride"])

    def run(
        self, image: np.ndarray, trimap: np.ndarray | None = None, prior: np.ndarray | None = None
    ) -> RawOutput:
        with memory_errors(self._session.get_providers()[0], image, *_run_errors()):
            return RawOutput(*self._session.run(SIGNATURE[1], feed(image, trimap, prior)))

    @property
    def engine(self) -> str:
        """Engine as shown to users: runtime, provider, file and precision."""
        return engine_of(self._session, self._path, self.precision)


def feed(image: np.ndarray, trimap: np.ndarray | None, prior: np.ndarray | None) -> dict[str, np.ndarray]:
    """The feed of the joint network's file: planes of 0 for a trimap that is not given; see `Backend.run`."""
    if trimap is None:
        trimap = np.zeros_like(image)
    if prior is None:
        prior = trimap[:, 2:] + trimap[:, 1:2] / 2
    return {"image": image, "trimap": trimap, "prior": prior}


def engine_of(session: ort.InferenceSession, source: object, precision: str) -> str:
    """Engine as shown to users: runtime, provider, file and precision."""
    return f"ONNX Runtime {ort.__version__}, {session.get_providers()[0]}, {source} ({precision})"


def open_session(
    path: Path, signature: Signature, chosen: list[tuple[str, dict[str, Any]]], threads: int | None
) -> ort.InferenceSession:
    """A session on a file whose inputs and outputs are those of `signature`, on the chosen providers (with their
    options, best first); WeightsError or DeviceError if that cannot be."""
    provider = chosen[0][0]
    on_cpu = provider == PROVIDERS["cpu"]
    options = session_options(threads)
    # Exceptions say what is wrong with a file; why CUDA does not start is in the log only.
    options.log_severity_level = 4 if on_cpu else 3
    session = load_session(path, options, chosen)
    if session.get_providers()[0] != provider:  # ONNX Runtime falls back to the CPU silently
        raise DeviceError(f"{provider} could not be started; use device='cpu'")
    try:
        _check_graph(path, session, signature)
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path}: not a usable ONNX file (a name in it is not UTF-8)") from error
    _check_trial(path, session, signature)
    return session


def load_session(
    path: Path, options: ort.SessionOptions, chosen: Sequence[tuple[str, dict[str, Any]]]
) -> ort.InferenceSession:
    """A session on a file, whatever its inputs are; WeightsError if it is no ONNX file or cannot run here."""
    # On the CPU there is nothing to fall back to, and it would be printed to standard output.
    falls_back = chosen[0][0] != PROVIDERS["cpu"]
    try:
        return ort.InferenceSession(path, options, providers=chosen, enable_fallback=int(falls_back))
    except Exception as error:  # what the runtime raises for damaged bytes is no closed list
        raise WeightsError(f"{path}: not a usable ONNX file ({_first_line(error)})") from error


def session_options(threads: int | None) -> ort.SessionOptions:
    """Options of every session that predicts; `threads` for one call, None for one per core.

    Idle threads sleep. By default they would spin for a while, and take the cores from other work. By default,
    too, there would be a thread bound to each core of the machine, those that this process may not use included.
    """
    options = ort.SessionOptions()
    confined = cores() < (os.cpu_count() or 1)
    options.intra_op_num_threads = threads or (cores() if confined else 0)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_graph(path: Path, session: ort.InferenceSession, signature: Signature) -> None:
    inputs, outputs = signature
    has = [node.name for node in session.get_inputs()], [node.name for node in session.get_outputs()]
    if set(has[0]) != set(inputs) or not set(has[1]) >= set(outputs):
        raise WeightsError(
            f"{path}: has inputs {', '.join(has[0])} and outputs {', '.join(has[1])}; expected inputs "
            f"{', '.join(inputs)} and outputs {', '.join(outputs)}, as made by python -m export onnx"
        )
    for node in session.get_inputs():
        channels = CHANNELS[node.name]
        if not _takes_any_image(node.type, node.shape, channels):
            raise WeightsError(
                f"{path}: takes {node.name} as {node.type} of {node.shape}; expected tensor(float) with channels "
                f"{channels} and any batch, height and width, as made by python -m export onnx"
            )
    stride = session.get_modelmeta().custom_metadata_map.get("stride", "")
    if not (stride.isdecimal() and len(stride) < 4 and 1 <= int(stride) <= _LARGEST_STRIDE):
        raise WeightsError(
            f"{path}: its metadata says stride={stride[:40]!r}, expected a whole number to {_LARGEST_STRIDE}, "
            "as made by python -m export onnx"
        )


def _check_trial(path: Path, session: ort.InferenceSession, signature: Signature) -> None:
    """Run the graph once on a small grey image: a file from elsewhere may loop for ever, or give no numbers."""
    inputs, outputs = signature
    side = max(_TRIAL_SIDE, int(session.get_modelmeta().custom_metadata_map["stride"]))
    given = {name: np.zeros((1, CHANNELS[name], side, side), np.float32) for name in inputs}
    given["image"] += 0.5
    options = ort.RunOptions()
    options.log_severity_level = 4
    timer = threading.Timer(_TRIAL_SECONDS, partial(setattr, options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        found = session.run(outputs, given, options)
    except Exception as error:
        reason = f"no result within {_TRIAL_SECONDS:g} s" if options.terminate else _first_line(error)
        raise WeightsError(f"{path}: fails on a trial image ({reason})") from error
    finally:
        timer.cancel()
    for name, values in zip(outputs, found, strict=True):
        if not np.isfinite(values).all():
            raise WeightsError(f"{path}: {name} of a trial image is not finite: its weights are damaged")


def _takes_any_image(kind: str, shape: Sequence[int | str | None], expected: int) -> bool:
    """Whether an input is float32 (B, expected, H, W) with open batch, height and width."""
    if kind != "tensor(float)" or len(shape) != 4:
        return False
    batch, channels, height, width = (isinstance(size, int) for size in shape)  # which are fixed
    return not (batch or height or width or (channels and shape[1] != expected))


def _run_errors() -> tuple[type[Exception], ...]:
    state = ort.capi.onnxruntime_pybind11_state
    return state.Fail, state.RuntimeException


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
