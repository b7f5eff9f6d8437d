"""Frames as video stores them: luma, and chroma at half the size. Compositing there saves two conversions."""

from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from jointmat.ops.planes import Planes, in_one

_RED, _BLUE = 0.2126, 0.0722  # weights of luma in BT.709


class Yuv:
    """A frame in BT.709 of the usual range, 16–235.

    Parameters
    ----------
    data : (3/2 H, W) uint8, NV12: the rows of luma, then those of chroma; H and W are even
    """

    def __init__(self, data: np.ndarray):
        self.data = data
        height, width = data.shape[0] * 2 // 3, data.shape[1]
        self.size = height, width
        self.planes = [
            data[:height].reshape(height, width, 1),
            data[height:].reshape(height // 2, width // 2, 2),
        ]

    @classmethod
    def of_planes(cls, planes: Planes) -> "Yuv":
        """(H, W, 1) and (H/2, W/2, 2) uint8."""
        width = planes[0].shape[1]
        return cls(np.concatenate([plane.reshape(-1, width) for plane in planes]))

    @classmethod
    def from_frame(cls, frame: "av.VideoFrame", space: int) -> "Yuv":
        """A decoded frame whose colours are of `space`, an enumeration of FFmpeg."""
        return cls(
            frame.reformat(
                format="nv12",
                src_colorspace=space,
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            ).to_ndarray()
        )

    @classmethod
    def from_image(cls, image: np.ndarray) -> "Yuv":
        """(H, W, 3) uint8 RGB."""
        image = np.ascontiguousarray(image)
        return cls.from_frame(av.VideoFrame.from_numpy_buffer(image, format="rgb24"), Colorspace.ITU709)

    def to_frame(self) -> "av.VideoFrame":
        """For an encoder; it shares the memory."""
        frame = av.VideoFrame.from_numpy_buffer(self.data, format="nv12")
        frame.colorspace, frame.color_range = cast("Any", Colorspace.ITU709), cast("Any", ColorRange.MPEG)
        return frame

    def copy(self) -> "Yuv":
        return Yuv(self.data.copy())

    def part(self, rows: slice, columns: slice) -> "Yuv":
        """The part at even places."""
        luma, chroma = self.planes
        if luma[rows, columns].shape == luma.shape:
            return self
        half = [slice(side.start // 2, side.stop // 2) for side in (rows, columns)]
        return Yuv.of_planes([luma[rows, columns], chroma[half[0], half[1]]])

    def guide(self, size: tuple[int, int]) -> np.ndarray:
        """(3, h, w) float32: the levels at another size, divided by 255."""
        return cv2.dnn.blobFromImage(in_one(self.planes, size), 1 / 255)[0]

    def rgb(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """(h, w, 3) uint8 RGB at its own or another size."""
        return cv2.transform(in_one(self.planes, size or self.size), _TO_RGB)


def _to_rgb() -> np.ndarray:
    """(3, 4): levels of Y, Cb, Cr and 1 to those of R, G, B, as `cv2.transform` takes it."""
    green = 1 - _RED - _BLUE
    luma, chroma = 255 / 219, 255 / 112
    red, blue = (1 - _RED) * chroma, (1 - _BLUE) * chroma
    matrix = np.array([
        [luma, 0, red],
        [luma, -blue * _BLUE / green, -red * _RED / green],
        [luma, blue, 0],
    ])  # fmt: skip
    return np.hstack([matrix, -matrix @ [[16], [128], [128]]])


_TO_RGB = _to_rgb()
