"""The classic pipeline as a predictor: segmentation network, hard trimap, matting network.

It takes the same pictures and gives the same results as `jointmat.Predictor`, so that the two can be compared
picture by picture. Only running .safetensors files needs torch.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jointmat.baseline.recipe import fuse_planes, trimap_planes
from jointmat.errors import DependencyError, WeightsError
from jointmat.io.limits import DEFAULT_MAX_PIXELS
from jointmat.ops.morphology import hard_trimap
from jointmat.predictor import BackendPredictor, at_least_one
from jointmat.runtime.base import RawOutput, memory_errors
from jointmat.weights import find_weights

if TYPE_CHECKING:
    from torch import nn

_SEGMENTATION = ("image",), ("mask",)
_MATTING = ("image", "trimap"), ("alpha",)


class Stages(NamedTuple):
    """The two networks as functions of float32 arrays in [0, 1]."""

    segment: Callable[[np.ndarray], np.ndarray]
    """image (B, 3, H, W) → mask (B, 1, h, w), at H×W or smaller"""
    matte: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """image and trimap planes (B, 3, H, W) → alpha (B, 1, H, W)"""
    stride: int
    """H and W must be multiples of it"""
    name: str = "torch"
    device: str = "cpu"
    kernel: int = 7
    """Of the trimap that they were made for, like the next"""
    iterations: int = 6


class TwoModelBackend:
    """Runs the stages one after the other, behind the protocol of `jointmat.runtime.base.Backend`.

    The trimap in its answer is the one that the matting network got, at the image's size; `JointOutput` of the
    network as a whole has its average at 1/4.
    """

    def __init__(self, stages: Stages):
        self.stages = stages
        self.name, self.device, self.stride = stages.name, stages.device, stages.stride

    def run(self, image: np.ndarray, trimap: np.ndarray | None = None) -> RawOutput:
        """As of the protocol."""
        with memory_errors(self.device, image, Exception):
            mask = self.stages.segment(image)
            if trimap is None:
                size = image.shape[2], image.shape[3]
                trimap = trimap_planes(mask, size, self.stages.kernel, self.stages.iterations)
            return RawOutput(fuse_planes(trimap, self.stages.matte(image, trimap)), trimap, mask)


class TwoModelPipeline(BackendPredictor):
    """Segmentation network → hard trimap → matting network → alpha.

    Parameters
    ----------
    model : name or path of a .safetensors file of a two-model network; path NAME.onnx of a pair
        NAME-segmentation.onnx and NAME-matting.onnx (`python -m export onnx` writes them); or the `Stages`
        themselves, for other networks (`torch_stages`)
    kernel, iterations : of the trimap, see `jointmat.ops.morphology.hard_trimap`; None for those of the model,
        7 and 6 if its configuration says nothing else
    device, max_side, max_pixels, threads : see `jointmat.Predictor`

    Raises
    ------
    WeightsError, DeviceError, DependencyError
        if the model, the device or the backend's package is not there, or the file holds another network.
    InputError
        for an even kernel, or a number below 1.
    """

    def __init__(
        self,
        model: str | Path | Stages = "two-model",
        *,
        kernel: int | None = None,
        iterations: int | None = None,
        device: str = "auto",
        max_side: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        threads: int | None = None,
    ):
        at_least_one(max_side=max_side, max_pixels=max_pixels, threads=threads)
        recipe = {"kernel": kernel, "iterations": iterations}
        given = {name: number for name, number in recipe.items() if number is not None}
        hard_trimap(np.zeros((1, 1), np.uint8), **given)  # refuses what it cannot use before the work
        stages = model if isinstance(model, Stages) else _open(model, device, threads)
        self.stages = stages._replace(**given)  # type: ignore[arg-type]
        super().__init__(TwoModelBackend(self.stages), max_side, max_pixels)
        self._settings: dict[str, Any] = {
            "model": model,
            **recipe,
            "device": device,
            "max_side": max_side,
            "max_pixels": max_pixels,
            "threads": threads,
        }

    def __getstate__(self) -> dict[str, Any]:
        return self._settings

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]


def torch_stages(
    segmentation: "nn.Module", matting: "nn.Module", device: str = "cpu", stride: int = 32
) -> Stages:
    """Any two torch networks as stages.

    Parameters
    ----------
    segmentation : image (B, 3, H, W) RGB in [0, 1] → logits (B, 1, h, w), such as `SegmentationUNet`
    matting : image and one-hot planes (B, 3, H, W) → alpha (B, 1, H, W), such as `GCAMatting`
    """
    import torch

    for network in (segmentation, matting):
        network.eval().to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def segment(image: np.ndarray) -> np.ndarray:
        return segmentation(torch.from_numpy(image).to(device)).sigmoid().cpu().numpy()

    @torch.inference_mode()
    def matte(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        return matting(*(torch.from_numpy(x).to(device) for x in (image, trimap))).cpu().numpy()

    return Stages(segment, matte, stride, "torch", device)


def _open(model: str | Path, device: str, threads: int | None) -> Stages:
    if Path(model).suffix == ".onnx":
        return _onnx_stages(Path(model), "cpu" if device == "auto" else device, threads)
    return _loaded_stages(model, device, threads)


def _loaded_stages(model: str | Path, device: str, threads: int | None) -> Stages:
    try:
        import torch

        from jointmat.baseline.networks import TwoModelMatting
        from jointmat.build import load_model
        from jointmat.runtime.devices import torch_device
    except ModuleNotFoundError as error:
        needs = f"a .safetensors file needs {error.name}: pip install 'jointmat[train]'"
        raise DependencyError(needs) from error

    found = torch_device(device)
    network = load_model(find_weights(model, ".safetensors"))
    if not isinstance(network, TwoModelMatting):
        raise WeightsError(
            f"{model}: holds a {type(network).__name__}, which is not two models with a hard trimap between "
            "them; use jointmat.Predictor for it"
        )
    if threads:
        torch.set_num_threads(threads)
    config = network.config
    stages = torch_stages(network.segmentation, network.matting, str(found), config.stride)
    return stages._replace(kernel=config.kernel, iterations=config.iterations)


def _onnx_stages(model: Path, device: str, threads: int | None) -> Stages:
    from jointmat.runtime.onnx import open_session
    from jointmat.runtime.providers import providers

    def session(stage: str, signature: tuple[tuple[str, ...], tuple[str, ...]]) -> Any:
        path = model.with_name(f"{model.stem}-{stage}.onnx")
        if not path.is_file():
            raise WeightsError(f"{path}: no such file; two models come as two, see python -m export onnx --help")
        return open_session(path, signature, providers(device, "fp32", signature[0]), threads)

    first, second = session("segmentation", _SEGMENTATION), session("matting", _MATTING)
    facts = first.get_modelmeta().custom_metadata_map
    config = json.loads(facts.get("config", "{}"))
    return Stages(
        lambda image: first.run(["mask"], {"image": image})[0],
        lambda image, trimap: second.run(["alpha"], {"image": image, "trimap": trimap})[0],
        int(facts["stride"]),
        "onnx",
        device,
        **{name: config[name] for name in ("kernel", "iterations") if name in config},
    )
