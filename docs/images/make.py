"""Draw hero.jpg with the bundled weights: python docs/images/make.py, from the root of the checkout."""

from pathlib import Path

import numpy as np

from jointmat import Predictor
from jointmat.backgrounds import sunset
from jointmat.io.write import save_image

HERE = Path(__file__).parent
_SQUARE = 20


def checkerboard(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] // _SQUARE
    return np.where((x + y) % 2, 205, 245)[..., None].astype(np.uint8).repeat(3, axis=2)


matte = Predictor().matte(HERE / "hair.jpg")
size = matte.alpha.shape
panels = [matte.image, matte.composite(checkerboard(*size)), matte.composite(sunset(*size))]
save_image(HERE / "hero.jpg", np.hstack(panels))
