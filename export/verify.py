"""Does the exported file compute what torch computes?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from export.wrapper import GivenTrimap, PredictTrimap

# batch, height, width in units of the stride: none is the traced one, batches 1 to 3, N below and above the
# attention's bound on queries
SHAPES = ((1, 1, 1), (2, 4, 3), (3, 7, 2), (1, 12, 16), (2, 9, 16), (1, 20, 15))


@dataclass(frozen=True)
class Comparison:
    """Largest absolute difference of any output, by input shape (B, H, W)."""

    by_shape: dict[tuple[int, int, int], float]

    @property
    def worst(self) -> float:
        return float(np.max(list(self.by_shape.values())))  # NaN is the worst, which Python's max may pass over

    def __str__(self) -> str:
        rows = [f"{b}x3x{h}x{w}: {d:.2e}" for (b, h, w), d in self.by_shape.items()]
        return "max |onnx − torch|  " + "  ".join(rows)


def compare(wrapper: PredictTrimap | GivenTrimap, path: Path) -> Comparison:
    """Run both on smooth random pictures of several shapes."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    stride = wrapper.model.config.stride
    differences = {}
    for batch, rows, columns in SHAPES:
        size = (rows * stride, columns * stride)
        feed = {"image": _smooth(batch, size, generator)}
        if "trimap" in wrapper.inputs:
            feed["trimap"] = _smooth(batch, size, generator).mul(8).softmax(dim=1)
        with torch.inference_mode():
            expected = wrapper(**feed)
        found = session.run(list(wrapper.outputs), {name: value.numpy() for name, value in feed.items()})
        pairs = zip(found, expected, strict=True)
        differences[(batch, *size)] = float(np.max([_difference(f, e.numpy()) for f, e in pairs]))
    return Comparison(differences)


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest one; ∞ if the shapes differ."""
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")


def _smooth(batch: int, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    coarse = torch.rand(batch, 3, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False).clamp(0, 1)
