"""Files to try the other commands on, written by `jointmat demo`."""

import math
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

_FRAMES, _RATE = 48, 24
_SWAY = 24
"""how far the portrait of the clip moves to each side, pixels"""


def write_samples(folder: Path, portrait: np.ndarray) -> list[str]:
    """Write portrait.jpg, background.jpg and, where PyAV is installed, clip.mp4; their names.

    portrait : (H, W, 3) uint8 RGB, even sides
    """
    from jointmat.backgrounds import sunset
    from jointmat.io.write import save_image

    save_image(folder / "portrait.jpg", portrait)
    save_image(folder / "background.jpg", sunset(640, 960))
    try:
        import av  # noqa: F401
    except ImportError:
        return ["portrait.jpg", "background.jpg"]
    _write_clip(folder / "clip.mp4", portrait)
    return ["portrait.jpg", "background.jpg", "clip.mp4"]


def _write_clip(path: Path, portrait: np.ndarray) -> None:
    """Two seconds in which the portrait sways from side to side."""
    import av

    from jointmat.io.atomic import atomic_write

    height, width = portrait.shape[:2]
    with atomic_write(path) as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _RATE)
        for index in range(_FRAMES):
            offset = _SWAY * math.sin(2 * math.pi * index / _FRAMES)
            shift = np.array([[1, 0, offset], [0, 1, 0]])
            moved = cv2.warpAffine(portrait, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(moved.astype(np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
