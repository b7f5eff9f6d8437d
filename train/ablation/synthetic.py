"""Material drawn by the program: figures with hair and exact alpha, so that the ablation can run on nothing."""

import csv
import io
from pathlib import Path

import cv2
import numpy as np

from jointmat.io.atomic import atomic_write
from jointmat.io.write import save_image
from train.data.compose import Layer, composite
from train.data.hair import add_hair

FOLDER = "figures"
"""Where a comparison keeps it, in its output folder."""

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
"""Of `train.config.DataConfig`, to train on what `write` makes."""


def write(root: Path, train: int = 12, val: int = 4) -> None:
    """Fill `root` with cut-outs and backgrounds to train on, photos with alpha to judge on, and a manifest."""
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
    text = io.StringIO()
    table = csv.DictWriter(text, _FIELDS)
    table.writeheader()
    table.writerows(rows)
    with atomic_write(root / "manifest.csv") as file:
        file.write(text.getvalue().encode())


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
    root: Path, name: str, split: str, kind: str, picture: np.ndarray, alpha: np.ndarray | None = None
) -> dict[str, str]:
    """Write one item's files; its line of the manifest."""
    source = {"background": "backdrops", "cutout": "figures", "alpha": "figures"}[kind]
    save_image(root / f"{name}.png", _bytes(picture))
    label = ""
    if alpha is not None:
        label = f"{name}-alpha.png"
        save_image(root / label, _bytes(alpha))
    values = (name, split, source, "drawn by the program", kind, f"{name}.png", label, "")
    return dict(zip(_FIELDS, values, strict=True))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture * 255).astype(np.uint8)
