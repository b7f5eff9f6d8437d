"""Contact sheets: images side by side."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from jointmat.io.arrays import to_uint8
from jointmat.io.write import save_image

_GAP = 4  # pixels
_CAPTION = 20  # pixels, height of the strip above an image


def save_sheet(
    path: Path,
    rows: Sequence[Sequence[np.ndarray]],
    height: int = 240,
    captions: Sequence[Sequence[str]] = (),
) -> None:
    """Write rows of images, all scaled to one height.

    Parameters
    ----------
    rows : of images, (H, W, 3) uint8, or planes (H, W) float in [0, 1], shown as grey
    height : of each image, pixels
    captions : of the images of the first rows, or of all
    """
    lines = []
    for index, row in enumerate(rows):
        images = [_fit(_colour(image), height) for image in row]
        if index < len(captions):
            images = [_captioned(image, text) for image, text in zip(images, captions[index], strict=True)]
        lines.append(_line(images))
    width = max(line.shape[1] for line in lines)
    padded = [
        cv2.copyMakeBorder(x, 0, _GAP, 0, width - x.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3)
        for x in lines
    ]
    save_image(path, np.vstack(padded))


def error_image(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The errors of a matte: (H, W, 3) uint8, the truth in faint grey, too much in red, too little in blue."""
    difference = prediction - truth
    shown = np.repeat(255 - 0.25 * 255 * truth[..., None], 3, axis=2)
    much, little = np.clip(difference, 0, 1)[..., None], np.clip(-difference, 0, 1)[..., None]
    shown = shown * (1 - much - little) + much * np.array([220, 20, 20]) + little * np.array([20, 60, 220])
    return np.rint(shown).astype(np.uint8)


def _line(images: Sequence[np.ndarray]) -> np.ndarray:
    gap = np.full((images[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for image in images for part in (image, gap)]
    return np.hstack(parts[:-1])


def _colour(image: np.ndarray) -> np.ndarray:
    return np.repeat(to_uint8(image)[..., None], 3, axis=2) if image.ndim == 2 else image


def _fit(image: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _captioned(image: np.ndarray, text: str) -> np.ndarray:
    strip = np.full((_CAPTION, image.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, text, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, image])
