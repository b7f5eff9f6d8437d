"""What the joint network replaces, as a backend: segmentation network → classic trimap → matting network."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jointmat.errors import WeightsError
from jointmat.ops.morphology import check_kernel, fuse, given_over, trimap_planes
from jointmat.runtime.base import RawOutput, memory_errors

if TYPE_CHECKING:
    from torch import nn

_SEGMENTATION = ("image",), ("mask",)
_MATTING = ("image", "trimap"), ("alpha",)


@dataclass(frozen=True)
class TwoModelBackend:
    """Two networks, as functions of float32 arrays in [0, 1], behind the protocol of `Backend`.

    The trimap in its answer is the one that the matting network got, at the image's size.

    Raises
    ------
    InputError
        for an even kernel, or a number below 1.
    """

    segment: Callable[[np.ndarray], np.ndarray]
    """image (B, 3, H, W) → mask (B, 1, h, w), at H×W or smaller"""
    matte: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """image and trimap planes (B, 3, H, W) → alpha before fusion (B, 1, H, W)"""
    stride: int
    """H and W must be multiples of it"""
    kernel: int = 7
    """of the trimap, like the next; see `jointmat.ops.morphology.hard_trimap`"""
    iterations: int = 6
    name: str = "torch"
    device: str = "cpu"
    engine: str = "two models"
    """engine as shown to users"""

    def __post_init__(self) -> None:
        check_kernel(self.kernel, self.iterations)

    def run(
        self, image: np.ndarray, trimap: np.ndarray | None = None, prior: np.ndarray | None = None
    ) -> RawOutput:
        """See `Backend.run`; an earlier alpha has no effect."""
        with memory_errors(self.device, image, Exception):
            mask = self.segment(image)
            planes = trimap_planes(mask, (image.shape[2], image.shape[3]), self.kernel, self.iterations)
            if trimap is not None:
                planes = given_over(trimap, planes)
            return RawOutput(fuse(planes, self.matte(image, planes)), planes, mask)


def from_networks(
    segmentation: "nn.Module", matting: "nn.Module", device: str = "cpu", **settings: Any
) -> TwoModelBackend:
    """Any two torch networks.

    Parameters
    ----------
    segmentation : image (B, 3, H, W) RGB in [0, 1] → logits (B, 1, h, w), such as `SegmentationUNet`
    matting : image and one-hot planes (B, 3, H, W) → alpha (B, 1, H, W), such as `GCAMatting`
    settings : further fields of `TwoModelBackend`; `stride` is 32 unless given
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

    return TwoModelBackend(segment, matte, device=device, **{"stride": 32, **settings})


def from_weights(path: Path, device: str = "auto", threads: int | None = None) -> TwoModelBackend:
    """A .safetensors file of two models; arguments and errors as of `TorchBackend`."""
    import torch

    from jointmat.build import load_model
    from jointmat.runtime.devices import torch_device
    from jointmat.runtime.torch import engine_of

    place = str(torch_device(device))
    if threads:
        torch.set_num_threads(threads)
    network = load_model(path)
    config = network.config
    return from_networks(
        network.segmentation,
        network.matting,  # type: ignore[arg-type]
        place,
        stride=config.stride,
        kernel=config.kernel,
        iterations=config.iterations,
        engine=engine_of(place, path),
    )


def onnx_pair(model: str | Path) -> tuple[Path, Path] | None:
    """NAME-segmentation.onnx and NAME-matting.onnx of NAME.onnx, if one of them is there and NAME.onnx is not."""
    path = Path(model)
    pair = tuple(path.with_name(f"{path.stem}-{stage}.onnx") for stage in ("segmentation", "matting"))
    if path.suffix != ".onnx" or path.is_file() or not any(stage.is_file() for stage in pair):
        return None
    return pair[0], pair[1]


def from_onnx(pair: tuple[Path, Path], device: str = "cpu", threads: int | None = None) -> TwoModelBackend:
    """The two files that `python -m export onnx` makes of two models; errors as of `OnnxBackend`."""
    from jointmat.runtime.onnx import engine_of, open_session
    from jointmat.runtime.providers import providers

    segmentation, matting = (
        open_session(path, signature, providers(device, "fp32", signature[0]), threads)
        for path, signature in zip(pair, (_SEGMENTATION, _MATTING), strict=True)
    )
    facts = segmentation.get_modelmeta().custom_metadata_map
    try:
        config = json.loads(facts.get("config", "{}"))
        recipe = {name: int(config[name]) for name in ("kernel", "iterations") if name in config}
    except (ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{pair[0]}: its metadata does not say in JSON what trimap it was made for") from error
    return TwoModelBackend(
        lambda image: segmentation.run(["mask"], {"image": image})[0],
        lambda image, trimap: matting.run(["alpha"], {"image": image, "trimap": trimap})[0],
        int(facts["stride"]),
        **recipe,
        name="onnx",
        device=device,
        engine=engine_of(segmentation, f"{pair[0]} and {pair[1]}", "fp32"),
    )
