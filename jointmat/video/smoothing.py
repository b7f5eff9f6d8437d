"""Less flicker: the previous frame's answer is warped along the image's motion and averaged in.

A network that sees every frame by itself answers a little differently each time, most of all at soft edges.
Averaging over time would take that away and smear whatever moves. So the previous matte is first moved to where
its pixels are now, by the optical flow between the two images (DIS, Kroeger et al., ECCV 2016, at half the
network's size),
and counts only where the moved image then looks like the new one:

    α̂ₜ = αₜ + w (α̂ₜ₋₁∘flow − αₜ),   w = 0.75 · exp(−(d / 0.06)²)

with d the difference of the two images around a pixel, in [0, 1]. Where something appears, is uncovered, or the
scene cuts, d is large and the new answer stands alone: nothing is smeared. It looks back only, so there is no
delay.

`python -m train.studies.flicker` measures it. Averaging without flow, by the difference of the images alone,
takes away about a quarter less.
"""

import cv2
import numpy as np

_WEIGHT = 0.75
"""of the past where the image has not changed"""
_TOLERANCE = 0.06
"""difference of colours in [0, 1] at which the past counts a third of that; a camera's noise is 0.01"""
_WINDOW = 5
"""that differences are averaged over, pixels of the network's size"""


class Smoother:
    """The filter; one object for one video."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._past: np.ndarray | None = None  # h, w, 4: colours and alpha
        self._past_grey: np.ndarray | None = None

    def __call__(self, alpha: np.ndarray, image: np.ndarray) -> np.ndarray:
        """The next matte.

        Parameters
        ----------
        alpha : (h, w) float32 in [0, 1]
        image : (3, h, w) float32 RGB in [0, 1]

        Returns
        -------
        (h, w) float32 in [0, 1]; alpha itself for the first frame and after a change of size
        """
        grey = _half_grey(image)
        if self._past is not None and self._past.shape[:2] == alpha.shape:
            moved = cv2.remap(self._past, *self._places(grey), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            *colours, past = cv2.split(moved)
            red, green, blue = map(cv2.absdiff, image, colours)
            difference = cv2.blur(cv2.max(cv2.max(red, green), blue), (_WINDOW, _WINDOW))
            weight = _WEIGHT * np.exp(-np.square(difference / _TOLERANCE))
            alpha = alpha + weight * (past - alpha)
        self._past, self._past_grey = cv2.merge([*image, alpha]), grey
        return alpha

    def move(self, place: np.ndarray, size: tuple[int, ...]) -> None:
        """What is remembered, from one view of the frames to another of (h, w): `place` is (2, 3), from the old
        pixels to the new ones, as `cv2.warpAffine` takes it."""
        if self._past is not None:
            unlike = -1, -1, -1, 0  # any colour, so that the new answer counts there
            self._past = cv2.warpAffine(self._past, place, size[::-1], borderValue=unlike)
            self._past_grey = _half_grey(np.maximum(self._past[..., :3].transpose(2, 0, 1), 0))

    def _places(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where in the past frame each pixel was: x and y, (h, w) float32 each."""
        assert self._past is not None and self._past_grey is not None
        height, width = self._past.shape[:2]
        flow = self._flow.calc(grey, self._past_grey, np.zeros((*grey.shape, 2), np.float32))
        across, down = cv2.split(cv2.resize(flow, (width, height)))
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        return x + across * (width / grey.shape[1]), y + down * (height / grey.shape[0])


def _half_grey(image: np.ndarray) -> np.ndarray:
    """(3, h, w) float32 to (h/2, w/2) uint8, at least the 16 pixels that the flow needs."""
    size = [max(16, side // 2) for side in image.shape[:0:-1]]
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in image]
    return np.rint(255 * cv2.cvtColor(cv2.merge(small), cv2.COLOR_RGB2GRAY)).astype(np.uint8)
