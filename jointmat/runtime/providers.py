"""The devices that ONNX Runtime runs on here, and how it is told to.

CUDA and TensorRT have not been run: no such machine was at hand. They need another package, `onnxruntime-gpu`.
"""

import os
from pathlib import Path
from typing import Any

import onnxruntime as ort

from jointmat.errors import DeviceError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
CHANNELS = {"image": 3, "trimap": 3, "prior": 1}
"""Channels of the inputs of all exported files, by name."""

# TensorRT builds an engine for sizes between these, and the best one for the second; batch, height and width.
_ENGINE_SIZES = {"min": (1, 32, 32), "opt": (1, 512, 512), "max": (8, 2048, 2048)}


def providers(device: str, precision: str, inputs: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    """The `providers` of an `InferenceSession` for a device by its name.

    Raises
    ------
    DeviceError
        for an unknown device, or one that this installation has no provider for.
    """
    kind, _, number = device.partition(":")
    provider = PROVIDERS.get(kind)
    if provider is None or not (device == kind or (kind != "cpu" and number.isdecimal())):
        raise DeviceError(f"device={device!r}: expected one of auto, {', '.join(PROVIDERS)}, cuda:N")
    if provider not in ort.get_available_providers():
        have = ", ".join(ort.get_available_providers())
        advice = "pip install onnxruntime-gpu in place of onnxruntime, or use device='cpu'"
        raise DeviceError(f"device={device!r}: onnxruntime here has no {provider} (it has {have}); {advice}")
    if kind == "cpu":
        return [(provider, {})]
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # finds the libraries of NVIDIA's own packages
    which = {"device_id": int(number or 0)}
    cuda = (PROVIDERS["cuda"], {"cudnn_conv_algo_search": "HEURISTIC", **which})  # the default tries all, always
    return [cuda] if kind == "cuda" else [(provider, {**_tensorrt(precision, inputs), **which}), cuda]


def _tensorrt(precision: str, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Options with which a built engine is kept, and one engine serves all sizes."""
    shapes = {
        name: ",".join(f"{i}:{batch}x{CHANNELS[i]}x{height}x{width}" for i in inputs)
        for name, (batch, height, width) in _ENGINE_SIZES.items()
    }
    return {
        "trt_fp16_enable": precision != "fp32",
        "trt_int8_enable": precision == "int8",
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(_cache()),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(_cache()),
        **{f"trt_profile_{name}_shapes": shape for name, shape in shapes.items()},
    }


def _cache() -> Path:
    """The user's own folder for engines: one that others can write to could hold others' code."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "jointmat" / "tensorrt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = "set XDG_CACHE_HOME to a folder that you can write to"
        raise DeviceError(f"device='tensorrt': cannot keep engines in {folder} ({error}); {advice}") from error
    return folder
