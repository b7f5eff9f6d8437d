"""Does the exported file compute what torch computes?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from export.graph import Graph

# (batch, height, width), the latter in strides: none is the traced one; N patches below and above the attention's
# bound on queries
SHAPES = ((1, 1, 1), (2, 4, 3), (3, 7, 2), (1, 12, 16), (2, 9, 16), (1, 20, 15))


@dataclass(frozen=True)
class Comparison:
    """Largest absolute difference of any output, by input shape (B, H, W)."""

    by_shape: dict[tuple[int, int, int], float]

    @property
    def worst(self) -> float:
        return float(np.max(list(self.by_shape.values())))  # Python's max may pass over NaN

    def __str__(self) -> str:
        rows = [f"{b}x3x{h}x{w}: {d:.2e}" for (b, h, w), d in self.by_shape.items()]
        return "max |onnx − torch|  " + "  ".join(rows)


def compare(graph: Graph, path: Path) -> Comparison:
    """Run the network and its file on the same inputs, of all `SHAPES` times the graph's stride."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    differences = {}
    for batch, height, width in ((b, h * graph.stride, w * graph.stride) for b, h, w in SHAPES):
        example = graph.example(batch, height, width, generator)
        with torch.inference_mode():
            expected = graph(*example)
        feed = {name: value.numpy() for name, value in zip(graph.inputs, example, strict=True)}
        pairs = zip(session.run(list(graph.outputs), feed), expected, strict=True)
        differences[(batch, height, width)] = float(np.max([_difference(f, e.numpy()) for f, e in pairs]))
    return Comparison(differences)


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest one; ∞ if the shapes differ."""
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")
