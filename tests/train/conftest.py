"""A small folder of training material, disks on noise in every kind that a manifest knows; and a short run."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from jointmat.weights import save_weights
from tests.tiny import CONFIG, tiny_model
from train.config import DataConfig, PartConfig, TrainConfig


def disk(size: int, soft: float) -> np.ndarray:
    """(size, size) uint8: a disk in the middle whose edge is `soft` pixels wide."""
    y, x = np.mgrid[:size, :size] - size / 2
    return np.clip(255 * ((size / 3 - np.hypot(x, y)) / soft + 0.5), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)
    rows = []
    for index in range(4):
        noise = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (96, 96))
        name = f"{index}.png"
        cv2.imwrite(str(root / f"photo{name}"), noise)
        cv2.imwrite(str(root / f"mask{name}"), np.where(disk(96, 1) > 127, 255, 0).astype(np.uint8))
        cv2.imwrite(str(root / f"alpha{name}"), disk(96, 20))
        cv2.imwrite(str(root / f"cutout{name}"), np.dstack([noise, disk(96, 20)]))
        rows += [
            (f"m{index}", "train", "masks", "CC0", "mask", f"photo{name}", f"mask{name}"),
            (f"a{index}", "val", "mattes", "CC0", "alpha", f"photo{name}", f"alpha{name}"),
            (f"c{index}", "train", "cutouts", "see masks", "cutout", f"cutout{name}", ""),
            (f"b{index}", "train", "bg", "MIT", "background", f"photo{name}", ""),
        ]
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "source", "licence", "kind", "image", "label", "trimap"])
        writer.writerows([*row, ""] for row in rows)
    return root


def short_run(material: Path, folder: Path, **settings: Any) -> TrainConfig:
    """Of the tiny model from weights in `folder`, on cut-outs and masks in one process."""
    weights = folder / "start.safetensors"
    save_weights(tiny_model(), weights)
    parts = (PartConfig(1.0, ("train",), ("cutouts",)), PartConfig(1.0, ("train",), ("masks",)))
    data = DataConfig(
        str(material), parts, backgrounds=(PartConfig(sources=("bg",)),), shapes=((64, 64),), workers=0
    )
    return TrainConfig("run", CONFIG, str(weights), **{"data": data, "batch_size": 2, "threads": 1} | settings)
