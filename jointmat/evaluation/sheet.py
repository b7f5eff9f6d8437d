"""Contact sheets: pictures side by side, because people look before they read."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from jointmat.io.write import save_image

_GAP = 4


def save_sheet(path: Path, rows: Sequence[Sequence[np.ndarray]], height: int = 240) -> None:
    """Write rows of pictures, each scaled to one height.

    A picture is (H, W, 3) uint8, or a plane (H, W) float in [0, 1], shown as grey.
    """
    lines = [_line([_fit(_colour(picture), height) for picture in row]) for row in rows]
    width = max(line.shape[1] for line in lines)
    padded = [
        cv2.copyMakeBorder(x, 0, _GAP, 0, width - x.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
        for x in lines
    ]
    save_image(path, np.vstack(padded))


def error_picture(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Where a matte is wrong: red has too much, blue too little; (H, W, 3) uint8 on a faint truth."""
    difference = prediction - truth
    shown = np.repeat(255 - 0.25 * 255 * truth[..., None], 3, axis=2)
    much, little = np.clip(difference, 0, 1)[..., None], np.clip(-difference, 0, 1)[..., None]
    shown = shown * (1 - much - little) + much * np.array([220, 20, 20]) + little * np.array([20, 60, 220])
    return np.rint(shown).astype(np.uint8)


def _line(pictures: Sequence[np.ndarray]) -> np.ndarray:
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.hstack(parts[:-1])


def _colour(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return np.repeat(np.rint(picture * 255).astype(np.uint8)[..., None], 3, axis=2)
    return picture


def _fit(picture: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
