"""Mattes of frames that follow each other."""

from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from jointmat.compositing import blurred, put_fused
from jointmat.looks import enlarged_alpha
from jointmat.matte import Matte
from jointmat.memory import enough_memory
from jointmat.predictor import Predictor, View
from jointmat.preprocess import OVERVIEW, preprocess, to_tensor
from jointmat.runtime.base import RawOutput
from jointmat.subject import Subject, SubjectChooser
from jointmat.video.smoothing import Smoother
from jointmat.video.window import Box, Window, both, box_of, following, is_cut, whole

if TYPE_CHECKING:
    from jointmat.io.video.yuv import Yuv

DEFAULT_MAX_SIDE = 320
"""Long side that the network sees of a frame, pixels; it sees as many of a window."""

_SEARCH_EVERY = 30
"""frames from one search for more people to the next"""
_SEARCH_SCALES = 2, 4
"""how much larger the frame is seen in a search, up to its own size; the second one if there is nobody else"""


class _Look(NamedTuple):
    """The network's answer for a window."""

    window: Window
    part: "np.ndarray | Yuv"
    tensor: np.ndarray
    output: RawOutput
    box: Box | None


class YuvMatte:
    """A frame as video stores it, and its alpha."""

    def __init__(self, look: _Look, image: "Yuv"):
        self.image, self._look = image, look

    @cached_property
    def alpha(self) -> np.ndarray:
        """(H, W) float32 in [0, 1]"""
        window, part, _, output, _ = self._look
        assert not isinstance(part, np.ndarray)
        alpha = enlarged_alpha(output, part.guide(window.geometry.resized), window.geometry, part.planes)
        return _pasted(alpha, window, self.image.size)

    def composite(self, background: "Yuv | str") -> "Yuv":
        """In front of a background of the same size, or "blur": as `Matte.composite`."""
        if isinstance(background, str):
            result = self.image.of_planes(blurred(self.image.planes, 1 - self.alpha))
        else:
            result = background.copy()
        put_fused(self.image.planes, self.alpha, result.planes)
        return result


class FrameMatter:
    """A predictor for the frames of one video or camera, in order; it carries state from frame to frame.

    The network looks at a window around the subject of the frame before, see `jointmat.video.window`. The whole
    frame is searched for people, seen larger, in the beginning, now and then while the window is smaller,
    and when the subject reaches the window's border or is lost.

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
        self.found = False
        """whether a subject was seen in any frame"""
        self._predictor = predictor
        self._chooser = SubjectChooser(subject, fill_holes)
        self._chooser_at: Window | None = None  # of what it remembers
        self._smoother = Smoother() if smooth else None
        self._smoother_at: Window | None = None
        self._all = subject == "all"
        self._whole = self._window = whole((1, 1), 1, predictor.backend.stride)  # until the first frame
        self._box: Box | None = None
        self._until_search = 0

    @overload
    def __call__(self, image: np.ndarray, opacity: np.ndarray | None = None) -> Matte: ...

    @overload
    def __call__(self, image: "Yuv", opacity: np.ndarray | None = None) -> YuvMatte: ...

    def __call__(self, image: "np.ndarray | Yuv", opacity: np.ndarray | None = None) -> Matte | YuvMatte:
        """The matte of the next frame; its alpha is made when it is first asked for, in another thread.

        image : (H, W, 3) uint8 RGB, or a frame as video stores it
        opacity : (H, W) uint8, of an RGB frame with transparent pixels: nothing becomes more opaque than it was
        """
        size = _size(image)
        with enough_memory(f"a frame of {size[0]}x{size[1]} (HxW)"):
            look = self._steadied(self._looked(image))
            if not isinstance(image, np.ndarray):
                return YuvMatte(look, image)
            view = View(look.part, None, look.window.geometry, look.tensor)  # type: ignore[arg-type]
            matte = _of_frame(self._predictor._frame(view, look.output), look.window, image)
        return matte if opacity is None else matte.capped(opacity)

    def _looked(self, image: "np.ndarray | Yuv") -> _Look:
        """The answer for the frame, after which the window is that of the next one."""
        size = _size(image)
        if self._whole.geometry.original != size:
            side = min(OVERVIEW, self._predictor.max_side or OVERVIEW)
            self._whole = self._window = whole(size, side, self._predictor.backend.stride)
            self._box, self._until_search = None, 0
        if self._until_search == 0:
            self._until_search = _SEARCH_EVERY
            if self._box is None or (self._all and self._window is not self._whole):
                self._search(image)
        self._until_search -= 1
        look = self._look(image, self._window)
        if self._window is not self._whole and (look.box is None or is_cut(look.box, self._window, size)):
            self._window, self._box = self._whole, None
            self._search(image)
            look = self._look(image, self._window)
        self._box = look.box
        self.found |= look.box is not None
        self._window = self._whole if look.box is None else self._following(look.box)
        return look

    def _search(self, image: "np.ndarray | Yuv") -> None:
        """Aim at what is seen in the whole frame, looked at more closely, too."""
        size, usual = _size(image), max(self._whole.geometry.resized)
        sides = {min(scale * usual, max(size)) for scale in _SEARCH_SCALES}
        for side in sorted(side for side in sides if side > usual):
            found = self._look(image, whole(size, side, self._predictor.backend.stride)).box
            if found is not None:
                self._window = self._following(found if self._box is None else both(self._box, found))
            if found is not None or self._box is not None:
                return

    def _following(self, box: Box) -> Window:
        return following(self._window, box, self._whole, self._predictor.backend.stride)

    def _look(self, image: "np.ndarray | Yuv", window: Window) -> _Look:
        rows, columns, geometry = window.rows, window.columns, window.geometry
        part: np.ndarray | Yuv
        if isinstance(image, np.ndarray):
            part = np.ascontiguousarray(image[rows, columns])
            tensor = preprocess(part, geometry)
        else:
            part = image.part(rows, columns)
            tensor = to_tensor(part.rgb(geometry.resized), geometry)
        output = self._predictor.backend.run(tensor)
        if not self._chooser.changes_nothing:
            if self._chooser_at not in (None, window):
                reduction = geometry.padded[0] // output.mask.shape[2]
                self._chooser.move(window.place_of(self._chooser_at, reduction), output.mask.shape[2:])
            self._chooser_at = window
            output = self._chooser(output, geometry)
        return _Look(window, part, tensor, output, box_of(output.alpha[0, 0], window))

    def _steadied(self, look: _Look) -> _Look:
        if self._smoother is None:
            return look
        if self._smoother_at not in (None, look.window):
            self._smoother.move(look.window.place_of(self._smoother_at), look.tensor.shape[2:])
        self._smoother_at = look.window
        alpha = self._smoother(look.output.alpha[0, 0], look.tensor[0])[None, None]
        return look._replace(output=look.output._replace(alpha=alpha))


def _size(image: "np.ndarray | Yuv") -> tuple[int, int]:
    return (image.shape[0], image.shape[1]) if isinstance(image, np.ndarray) else image.size


def _of_frame(part: Matte, window: Window, image: np.ndarray) -> Matte:
    """The matte of a window as that of its frame."""
    if part.image.shape == image.shape:
        return part

    def plane(name: str) -> np.ndarray:
        return _pasted(getattr(part, name), window, image.shape)

    return Matte(image, *(partial(plane, name) for name in ("alpha", "trimap", "mask")))


def _pasted(plane: np.ndarray, window: Window, size: tuple[int, ...]) -> np.ndarray:
    """The plane of a window, 0 in the rest of the frame."""
    if plane.shape == tuple(size[:2]):
        return plane
    result = np.zeros(size[:2], plane.dtype)
    result[window.rows, window.columns] = plane
    return result
