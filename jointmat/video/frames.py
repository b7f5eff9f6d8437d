"""Mattes of frames that follow each other."""

import numpy as np

from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.preprocess import Geometry
from jointmat.runtime.base import RawOutput
from jointmat.subject import Subject, SubjectChooser
from jointmat.video.smoothing import Smoother

DEFAULT_MAX_SIDE = 320
"""Long side that the network sees of a frame, pixels."""


class FrameMatter:
    """A predictor for the frames of one video or camera, in order; remembers what one tells about the next.

    Parameters
    ----------
    subject, fill_holes : as in `jointmat.predict`; the subject chosen in the first frame is followed
    smooth : reduce flicker, see `jointmat.video.smoothing`
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        subject: Subject = "all",
        fill_holes: bool = False,
        smooth: bool = True,
    ):
        self._predictor = predictor
        self._chooser = SubjectChooser(subject, fill_holes)
        self._smoother = Smoother() if smooth else None

    def __call__(self, image: np.ndarray, opacity: np.ndarray | None = None) -> Matte:
        """The matte of the next frame.

        image : (H, W, 3) uint8 RGB
        opacity : (H, W) uint8, of a frame that has transparent pixels: nothing becomes more opaque than it was
        """
        matte = self._predictor._frame(image, self._edit)
        return matte if opacity is None else matte.capped(opacity)

    def _edit(self, output: RawOutput, tensor: np.ndarray, geometry: Geometry) -> RawOutput:
        output = self._chooser(output, geometry)
        if self._smoother is None:
            return output
        return output._replace(alpha=self._smoother(output.alpha[0, 0], tensor[0])[None, None])
