"""Synthetic figures with hair and exact alpha, so that the ablation can run without data."""

from pathlib import Path

import cv2
import numpy as np

from jointmat.evaluation.table import write_csv
from jointmat.io.arrays import to_uint8
from jointmat.io.write import save_image
from train.data.compose import Layer, composite
from train.data.hair import add_hair

FOLDER = "figures"
"""Their folder in the output of a comparison."""

_SIDE = 192
_FIELDS = ("id", "split", "source", "licence", "kind", "image", "label", "trimap")

CHANGES = {
    "mixture": [
        {"weight": 0.8, "sources": ["figures"]},
        {"weight": 0.2, "sources": ["backdrops"]},
    ],
    "backgrounds": [{"sources": ["backdrops"]}],
    "given": [],
    "exclude": [],
}
"""To a `train.config.DataConfig`, to train on what `write` makes."""


def write(root: Path, train: int = 12, val: int = 4) -> None:
    """Fill `root` with cut-outs and backgrounds to train on, images with alpha to judge on, and a manifest."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = [_row(root, f"backdrop{i}", "train", "background", backdrop(rng)) for i in range(train // 2)]
    for index in range(train):
        layer = figure(rng)
        rgba = np.dstack([layer.colour, layer.alpha])
        rows.append(_row(root, f"figure{index}", "train", "cutout", rgba))
    for index in range(val):
        layer = figure(rng)
        rows.append(_row(root, f"photo{index}", "val", "alpha", composite(layer, backdrop(rng)), layer.alpha))
    write_csv(root / "manifest.csv", [_FIELDS, *rows])


def figure(rng: np.random.Generator) -> Layer:
    """Head, shoulders and hair."""
    middle = _SIDE // 2 + int(rng.integers(-20, 20))
    head, width = int(rng.integers(22, 32)), int(rng.integers(50, 75))
    alpha = np.zeros((_SIDE, _SIDE), np.float32)
    cv2.ellipse(alpha, (middle, 80), (head, int(head * 1.3)), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    cv2.ellipse(alpha, (middle, _SIDE + 10), (width, 85), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    colour = np.empty((_SIDE, _SIDE, 3), np.float32)
    colour[:] = rng.uniform(0.1, 0.9, 3)
    colour[:110] = rng.uniform(0.2, 0.8, 3)
    return add_hair(rng, Layer(colour, cv2.GaussianBlur(alpha, (0, 0), 0.7)))


def backdrop(rng: np.random.Generator) -> np.ndarray:
    """Blurred patches of colour, (H, W, 3) float32 in [0, 1]."""
    coarse = rng.uniform(0, 1, (6, 6, 3)).astype(np.float32)
    return cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)


def _row(
    root: Path, name: str, split: str, kind: str, image: np.ndarray, alpha: np.ndarray | None = None
) -> list[str]:
    """Write one item's files; returns its row of the manifest."""
    source = {"background": "backdrops", "cutout": "figures", "alpha": "figures"}[kind]
    save_image(root / f"{name}.png", to_uint8(image))
    label = ""
    if alpha is not None:
        label = f"{name}-alpha.png"
        save_image(root / label, to_uint8(alpha))
    return [name, split, source, "drawn by the program", kind, f"{name}.png", label, ""]
