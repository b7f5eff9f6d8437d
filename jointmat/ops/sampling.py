"""Small planes between their pixels, at chosen places of a full size."""

import cv2
import numpy as np

_ROW = 1024  # OpenCV remaps to rows of a limited length


def sampled(plane: np.ndarray, places: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """What `cv2.resize` to `size` would give at some places alone: linear, without enlarging the rest.

    Parameters
    ----------
    plane : (h, w) or (h, w, C) float32, C at most 4
    places : (N,) of the flattened full size
    size : (H, W)

    Returns
    -------
    (N, C) float32
    """
    count, channels = len(places), 1 if plane.ndim == 2 else plane.shape[2]
    if not count:
        return np.empty((0, channels), np.float32)
    padded = np.zeros((-(-count // _ROW), _ROW), np.int32)
    padded.reshape(-1)[:count] = places
    rows = padded // np.int32(size[1])
    columns = padded - rows * np.int32(size[1])
    height, width = plane.shape[:2]
    x = (columns.astype(np.float32) + 0.5) * np.float32(width / size[1]) - 0.5
    y = (rows.astype(np.float32) + 0.5) * np.float32(height / size[0]) - 0.5
    found = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(-1, channels)[:count]
