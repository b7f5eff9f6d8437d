"""What the network can take: InputError and InputTypeError for everything else."""

import numpy as np
from torch import Tensor

from jointmat.errors import InputError, InputTypeError

MULTIPLE = 32  # pixels; what the height and width of an input must be a multiple of


def check_batch(image: Tensor, trimap: Tensor) -> None:
    for name, planes in (("image", image), ("trimap", trimap)):
        if planes.dim() != 4 or planes.shape[1] != 3:
            raise InputError(f"{name}: expected Bx3xHxW, got {size_text(planes.shape)}")
    if image.shape != trimap.shape:
        raise InputError(
            f"image is {size_text(image.shape)} and trimap {size_text(trimap.shape)}: expected one size; "
            "resize the trimap"
        )
    height, width = image.shape[-2:]
    if height % MULTIPLE or width % MULTIPLE:
        raise InputError(
            f"image: expected height and width divisible by {MULTIPLE}, got {height}x{width}; pad it to "
            f"{height + -height % MULTIPLE}x{width + -width % MULTIPLE}, or call .matte(…), which does"
        )


def check_picture(image: np.ndarray, trimap: np.ndarray) -> None:
    for name, array in (("image", image), ("trimap", trimap)):
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise InputTypeError(f"{name}: expected a uint8 array, got {found}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(f"image: expected HxWx3 with at least one pixel, got {size_text(image.shape)}")
    if trimap.shape != image.shape[:2]:
        raise InputError(
            f"trimap: expected {size_text(image.shape[:2])}, the size of the image, got {size_text(trimap.shape)}"
        )


def size_text(shape: tuple[int, ...]) -> str:
    """Sizes as messages give them: 3x4."""
    return "x".join(map(str, shape)) or "a scalar"
