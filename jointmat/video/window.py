"""The window of a frame that the network sees: around the previous frame's subject, at constant cost.

A subject that fills the frame is seen as the whole frame is; a smaller one is seen larger, at the same cost.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from jointmat.preprocess import Geometry, plan

_ROOM = 0.15
"""around the subject's box on each side, as a share of the box's long side"""
_LARGEST = 2.0
"""pixels of the network to one of the frame at most"""
_WORTH = 1.15
"""how much larger than in the whole frame the subject must be seen"""
_LOOSE = 1.4
"""how much larger the subject could be seen before a window that still holds it is left"""
_CRUMB = 0.01
"""share of the largest subject's area below which it is none"""
_LEAST = 16
"""pixels of the network that are nobody if fewer"""
_INSIDE = 0.5

Box = tuple[int, int, int, int]
"""(top, bottom, left, right), pixels of the frame; the ends are exclusive"""


@dataclass(frozen=True)
class Window:
    """A part of a frame, at even places, and the size that the network sees it at."""

    rows: slice
    columns: slice
    geometry: Geometry

    @property
    def scale(self) -> float:
        """pixels of the network to one of the frame"""
        return max(self.geometry.resized) / max(self.geometry.original)

    def holds(self, box: Box) -> bool:
        top, bottom, left, right = box
        rows, columns = self.rows, self.columns
        return rows.start <= top and bottom <= rows.stop and columns.start <= left and right <= columns.stop

    def place_of(self, other: "Window", reduction: int = 1) -> np.ndarray:
        """(2, 3): where the network's pixels of another window are in this one, as `cv2.warpAffine` takes it.

        reduction : of both planes, from the network's size
        """
        place = np.zeros((2, 3))
        axes = (self.columns, other.columns, 1), (self.rows, other.rows, 0)
        for axis, (own, others, side) in enumerate(axes):
            scale = self.geometry.resized[side] / self.geometry.original[side]
            factor = scale * other.geometry.original[side] / other.geometry.resized[side]
            place[axis, axis] = factor
            place[axis, 2] = scale * (others.start - own.start) / reduction + (factor - 1) / 2
        return place


def whole(size: tuple[int, int], side: int, stride: int) -> Window:
    """The window of a whole frame (height, width), its long side reduced to `side` pixels."""
    return Window(slice(0, size[0]), slice(0, size[1]), plan(size, side, stride))


def around(box: Box, frame: Window, stride: int) -> Window:
    """The window that sees a box largest, with room around it; `frame`, which is all of it, if that is as good.

    It costs no more pixels of the network than `frame` does.
    """
    size = frame.geometry.original
    top, bottom, left, right = _with_room(box, _ROOM, size)
    need = bottom - top, right - left
    cells = frame.geometry.padded[0] * frame.geometry.padded[1] // stride**2
    shapes = [(stride * rows, stride * (cells // rows)) for rows in range(1, cells + 1)]
    scale, shape = max((min(h / need[0], w / need[1]), (h, w)) for h, w in shapes)
    if scale > _LARGEST:
        height, width = (-(-round(_LARGEST * length) // stride) * stride for length in need)
        scale, shape = _LARGEST, (height, width)
    if scale < _WORTH * frame.scale:
        return frame
    sides = zip((top, left), (bottom, right), shape, size, strict=True)
    rows, columns = [_part(start, stop, network / scale, length) for start, stop, network, length in sides]
    original = rows.stop - rows.start, columns.stop - columns.start
    resized = min(shape[0], round(original[0] * scale)), min(shape[1], round(original[1] * scale))
    return Window(rows, columns, Geometry(original, resized, shape))


def following(window: Window, box: Box, frame: Window, stride: int) -> Window:
    """The window for the next frame: the same one while the subject is well inside and not small in it."""
    best = around(box, frame, stride)
    near = _with_room(box, _ROOM / 2, frame.geometry.original)
    return window if window.holds(near) and best.scale < _LOOSE * window.scale else best


def box_of(alpha: np.ndarray, window: Window) -> Box | None:
    """The box around all subjects in the network's alpha (h, w) of a window; None if there is nobody."""
    height, width = window.geometry.resized
    inside = (alpha[:height, :width] > _INSIDE).astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(inside)
    parts = statistics[1:]
    parts = parts[parts[:, cv2.CC_STAT_AREA] >= max(_LEAST, _CRUMB * parts[:, cv2.CC_STAT_AREA].max(initial=0))]
    if not len(parts):
        return None
    left, top = parts[:, :2].min(axis=0)
    right, bottom = (parts[:, :2] + parts[:, 2:4]).max(axis=0)
    down, across = (n / m for n, m in zip(window.geometry.original, window.geometry.resized, strict=True))
    return (
        window.rows.start + int(top * down),
        window.rows.start + round(bottom * down),
        window.columns.start + int(left * across),
        window.columns.start + round(right * across),
    )


def both(box: Box, other: Box) -> Box:
    """The box around two."""
    return min(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), max(box[3], other[3])


def is_cut(box: Box, window: Window, size: tuple[int, ...]) -> bool:
    """Whether the subject touches a border of the window that is not a border of the frame."""
    rows, columns = window.rows, window.columns
    return (
        (box[0] <= rows.start > 0)
        or (box[1] >= rows.stop < size[0])
        or (box[2] <= columns.start > 0)
        or (box[3] >= columns.stop < size[1])
    )


def _with_room(box: Box, room: float, size: tuple[int, int]) -> Box:
    top, bottom, left, right = box
    more = round(room * max(bottom - top, right - left)) + 2
    return max(0, top - more), min(size[0], bottom + more), max(0, left - more), min(size[1], right + more)


def _part(start: int, stop: int, length: float, most: int) -> slice:
    """A part of a side of `most` pixels that holds start to stop in its middle and is `length` long, at most."""
    size = min(most, 2 * round(max(length, stop - start) / 2))
    first = min(max(0, (start + stop - size) // 2), most - size)
    return slice(first - first % 2, first - first % 2 + size)
