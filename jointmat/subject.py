"""One of several people, and holes filled: by the connected parts of the network's mask.

The network's mask, from which its trimap comes, falls into parts that do not touch. Choosing one gives it every
pixel that no other part is nearer to, so that hair keeps all its reach and there is no width to choose; alpha,
trimap and mask are set to background elsewhere.

Limits: people who touch, or overlap, in the image are one part. What is held or worn but is separate in the
mask goes with the others. A hole is background that the mask surrounds on all sides: the gap between an arm and
the body is one, unless it reaches the image's edge.
"""

from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, TypeAlias

import cv2
import numpy as np

from jointmat.errors import InputError, InputTypeError
from jointmat.preprocess import Geometry
from jointmat.runtime.base import RawOutput

Subject: TypeAlias = Literal["all", "largest"] | tuple[int, int]
""""all", "largest", or the (x, y) of a pixel of the image on or near the subject"""

_SUBJECTS: tuple[Literal["all", "largest"], ...] = ("all", "largest")
_INSIDE = 0.5
_RIM = 3
"""Around a hole, alpha is filled too where it is at least this far inside of the outline, cells of the mask."""


@dataclass
class SubjectChooser:
    """Applies a choice to the network's answers; one object for one image, or for the frames of one video.

    In a video the part that overlaps the one chosen before stays chosen, so that "largest" stays with one
    person, and a point need be right in the first frame alone.
    """

    subject: Subject = "all"
    fill_holes: bool = False
    _previous: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        point = isinstance(self.subject, tuple) and len(self.subject) == 2
        if point and not all(isinstance(place, Real) for place in self.subject):
            raise InputTypeError(f"subject={self.subject!r}: expected two numbers")
        if not point and not (isinstance(self.subject, str) and self.subject in _SUBJECTS):
            raise InputError(f"subject={self.subject!r}: expected all, largest or (x, y)")

    @property
    def changes_nothing(self) -> bool:
        return self.subject == "all" and not self.fill_holes

    def __call__(self, output: RawOutput, geometry: Geometry) -> RawOutput:
        """The answer for one image (a batch of one) with the choice applied.

        Raises
        ------
        InputError
            if the point is outside the image.
        """
        mask = output.mask[0, 0]
        inside = np.zeros(mask.shape, bool)
        shown = _seen_part(mask.shape, geometry)
        inside[shown] = mask[shown] >= _INSIDE
        if not isinstance(self.subject, str) and self._previous is None:
            _cell(self.subject, mask.shape, geometry)  # a point must be in the image, whatever is seen there
        if self.subject != "all" and inside.any():
            parts = _nearest_part(inside)
            chosen = parts == self._choose(parts, inside, geometry)
            self._previous = chosen & inside
            output = _background_outside(output, chosen)
        if self.fill_holes:
            output = _foreground_inside(output, _filling(output.mask[0, 0] >= _INSIDE, geometry))
        return output

    def move(self, place: np.ndarray, size: tuple[int, ...]) -> None:
        """Memory carried from one view to another whose masks are (h, w): `place` is (2, 3), from the old
        cells to the new ones, as `cv2.warpAffine` takes it."""
        if self._previous is not None:
            moved = cv2.warpAffine(self._previous.view(np.uint8), place, size[::-1], flags=cv2.INTER_NEAREST)
            self._previous = moved.view(bool)

    def _choose(self, parts: np.ndarray, inside: np.ndarray, geometry: Geometry) -> int:
        before = self._previous
        if before is not None and before.shape == parts.shape and before.any():
            shared = np.bincount(parts[before & inside])
            if shared.any():
                return int(shared.argmax())
            row, column = (round(places.mean()) for places in np.nonzero(before))
            return int(parts[row, column])
        if isinstance(self.subject, str) or before is not None:
            return int(np.bincount(parts[inside]).argmax())
        return int(parts[_cell(self.subject, parts.shape, geometry)])


def parse_subject(text: str) -> Subject:
    """The value of `--subject`: "all", "largest" or "x,y"."""
    for subject in _SUBJECTS:
        if text == subject:
            return subject
    x, comma, y = text.partition(",")
    if comma and x.strip().isdecimal() and y.strip().isdecimal():
        return int(x), int(y)
    raise InputError(f"subject: got {text!r}, expected all, largest or x,y such as 320,240")


def _nearest_part(inside: np.ndarray) -> np.ndarray:
    """The number of the nearest connected part for every cell: (h, w) int32."""
    outside = (~inside).astype(np.uint8)
    return cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)[1]


def _cell(point: tuple[int, int], shape: tuple[int, ...], geometry: Geometry) -> tuple[int, ...]:
    """(row, column) of the mask where a pixel of the image is."""
    height, width = geometry.original
    x, y = point
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"subject: the point {x},{y} is outside the image, which is {width}x{height}")
    share = zip((y, x), geometry.original, geometry.resized, geometry.padded, shape, strict=True)
    return tuple(
        int((place + 0.5) * resized / original * cells / padded)
        for place, original, resized, padded, cells in share
    )


def _background_outside(output: RawOutput, chosen: np.ndarray) -> RawOutput:
    keep = chosen.astype(np.float32)
    trimap = output.trimap * _at(keep, output.trimap)
    trimap[:, 0] = 1 - trimap[:, 1] - trimap[:, 2]
    return RawOutput(output.alpha * _at(keep, output.alpha), trimap, output.mask * keep)


def _foreground_inside(output: RawOutput, filling: np.ndarray) -> RawOutput:
    fill = filling.astype(np.float32)
    trimap = output.trimap * (1 - _at(fill, output.trimap))
    trimap[:, 2] = 1 - trimap[:, 0] - trimap[:, 1]
    return RawOutput(np.maximum(output.alpha, _at(fill, output.alpha)), trimap, np.maximum(output.mask, fill))


def _filling(inside: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Holes and the soft rim around them: (h, w) bool."""
    shown = _seen_part(inside.shape, geometry)
    seen = inside[shown]
    holes = np.pad(~seen, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(holes, None, (0, 0), 0)
    holes = holes[1:-1, 1:-1]
    wide = np.ones((2 * _RIM + 1,) * 2, np.uint8)
    within = cv2.erode((seen | (holes > 0)).astype(np.uint8), wide)
    filling = np.zeros_like(inside)
    filling[shown] = (holes > 0) | ((cv2.dilate(holes, wide) > 0) & (within > 0))
    return filling


def _seen_part(shape: tuple[int, ...], geometry: Geometry) -> tuple[slice, ...]:
    """Where the image is in a mask of this shape; the rest is padding."""
    sides = zip(shape, geometry.resized, geometry.padded, strict=True)
    return tuple(slice(-(-cells * resized // padded)) for cells, resized, padded in sides)


def _at(plane: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A plane (h, w) at the size of `like` (…, H, W), between them linearly."""
    return cv2.resize(plane, (like.shape[-1], like.shape[-2]), interpolation=cv2.INTER_LINEAR)
