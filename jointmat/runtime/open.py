"""From a model's file and options to the backend that runs it."""

from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from jointmat.errors import DependencyError, DeviceError, InputError, WeightsError, pip_install
from jointmat.runtime.base import Backend
from jointmat.runtime.files import Precision, check_precision
from jointmat.weights import find_weights, has_weights, read_config

BackendName: TypeAlias = Literal["auto", "onnx", "openvino", "torch"]

TWO_MODELS = ("two-model", "classic")
"""Architectures of two networks with a hard trimap between them."""

_SUFFIXES = ("", ".onnx", ".safetensors")


def open_backend(
    model: str | Path = "lite",
    *,
    backend: BackendName = "auto",
    device: str = "auto",
    precision: Precision = "fp32",
    threads: int | None = None,
    kernel: int | None = None,
    iterations: int | None = None,
) -> Backend:
    """Load a model.

    The file determines the networks: a .safetensors file in its header, two models as ONNX by their names,
    NAME-segmentation.onnx and NAME-matting.onnx for the model NAME.onnx.

    Parameters
    ----------
    model, backend, device, precision, threads : see `jointmat.Predictor`
    kernel, iterations : of the trimap between two models, instead of the numbers that they were made for; see
        `jointmat.ops.morphology.hard_trimap`

    Raises
    ------
    WeightsError, DeviceError, DependencyError
        if the model, the device or the backend's package is missing.
    InputError
        for an unknown backend or precision, or options that do not go with the model.
    """
    if backend not in get_args(BackendName):
        raise InputError(f"backend={backend!r}: expected {', '.join(get_args(BackendName))}")
    if not isinstance(device, str):
        raise DeviceError(f"device={device!r}: expected a name such as 'auto', 'cpu' or 'cuda:0'")
    if Path(model).suffix not in _SUFFIXES:
        advice = ": convert it with python -m export onnx" if Path(model).suffix in (".pth", ".pt") else ""
        raise WeightsError(f"{model}: expected a name, or a .onnx or .safetensors file{advice}")
    if backend == "auto":
        backend = "torch" if _is_for_torch(model) else "onnx"
    openers = {"onnx": _open_onnx, "openvino": _open_openvino, "torch": _open_torch}
    opened = openers[backend](model, device, precision, threads)
    recipe = {"kernel": kernel, "iterations": iterations}
    given = {name: number for name, number in recipe.items() if number is not None}
    if not given:
        return opened
    if not is_dataclass(opened):
        raise InputError(
            f"{model}: one network; {' and '.join(given)} are for two models with a trimap between them"
        )
    return replace(opened, **given)


def _is_for_torch(model: str | Path) -> bool:
    if Path(model).suffix:
        return Path(model).suffix == ".safetensors"
    return has_weights(str(model), ".safetensors") and not has_weights(str(model), ".onnx")


def _open_onnx(model: str | Path, device: str, precision: str, threads: int | None) -> Backend:
    try:
        from jointmat.runtime.onnx import OnnxBackend
    except ModuleNotFoundError as error:
        raise DependencyError(f"backend='onnx' needs {error.name}: pip install {error.name}") from error
    from jointmat.runtime.two_model import from_onnx, onnx_pair

    pair = onnx_pair(model)
    if pair is None:
        return OnnxBackend(model, device, threads, precision)
    _only_fp32(precision, f"{model}: two models compute")
    return from_onnx(pair, "cpu" if device == "auto" else device, threads)


def _open_openvino(model: str | Path, device: str, precision: str, threads: int | None) -> Backend:
    try:
        from jointmat.runtime.openvino import OpenVinoBackend
    except ModuleNotFoundError as error:
        raise DependencyError(f"backend='openvino' needs {error.name}: {pip_install('openvino')}") from error
    _only_fp32(precision, "backend='openvino' computes")
    return OpenVinoBackend(model, device, threads)


def _open_torch(model: str | Path, device: str, precision: str, threads: int | None) -> Backend:
    _only_fp32(precision, "backend='torch' computes")
    try:
        from jointmat.runtime.torch import TorchBackend
        from jointmat.runtime.two_model import from_weights
    except ModuleNotFoundError as error:
        raise DependencyError(f"backend='torch' needs {error.name}: {pip_install('train')}") from error
    path = find_weights(model, ".safetensors")
    opener = from_weights if read_config(path).architecture in TWO_MODELS else TorchBackend
    return opener(path, device, threads)


def _only_fp32(precision: str, what: str) -> None:
    check_precision(precision)
    if precision != "fp32":
        raise InputError(f"precision={precision!r}: {what} in fp32; use the .onnx file of one network")
