"""Alpha of the bundled weights on the packaged portrait, as it is known to be good.

After new weights: look at what they make of the portrait, then `python -m tests.golden`.
"""

from pathlib import Path

import cv2
import numpy as np

from jointmat.assets import PORTRAIT
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_alpha, load_image
from jointmat.io.write import save_image
from jointmat.predictor import Predictor

GOLDEN = Path(__file__).parent / "data" / "portrait-alpha.png"
SIDE = 256


def predicted(**options: str) -> np.ndarray:
    """(SIDE, SIDE) float32 in [0, 1]; options of `Predictor`."""
    return _reduced(Predictor("lite", **options).predict(load_image(PORTRAIT)))


def stored() -> np.ndarray:
    """The same, from the file."""
    return load_alpha(GOLDEN)


def _reduced(alpha: np.ndarray) -> np.ndarray:
    return cv2.resize(alpha, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    save_image(GOLDEN, to_uint8(predicted()))
    print(f"wrote {GOLDEN}")
