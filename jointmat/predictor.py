"""From a picture in any form to its matte."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jointmat.errors import DependencyError, InputError, InputTypeError
from jointmat.io.image import ImageSource, load_image, load_trimap
from jointmat.io.limits import DEFAULT_MAX_PIXELS
from jointmat.matte import Matte
from jointmat.memory import enough_memory
from jointmat.ops.guided_upsampling import upsample_guided
from jointmat.preprocess import Geometry, plan, postprocess, preprocess, preprocess_trimap
from jointmat.runtime.base import Backend, RawOutput
from jointmat.subject import Subject, SubjectChooser

Edit = Callable[[RawOutput, np.ndarray, Geometry], RawOutput]
"""(the answer for one photo, what the network saw (1, 3, h, w), the sizes) → the answer to go on with"""

if TYPE_CHECKING:
    from jointmat.runtime.onnx import OnnxBackend
    from jointmat.runtime.torch import TorchBackend

DEFAULT_MAX_SIDE = 512
GIVEN_MAX_SIDE = 1024
"""with a given trimap: what the subject is needs no overview any more, and detail counts"""
_BATCH = 8


class BackendPredictor:
    """Pictures in, mattes out, whatever backend computes them.

    Parameters
    ----------
    max_side : the backend sees the photo with its long side reduced to this, pixels; None for the usual sizes
    max_pixels : larger photos are refused before they are decoded
    """

    def __init__(self, backend: Backend, max_side: int | None, max_pixels: int):
        self.max_side = max_side
        self.max_pixels = max_pixels
        self.backend = backend

    def predict(
        self,
        image: ImageSource,
        *,
        trimap: ImageSource | None = None,
        color: str = "RGB",
        subject: Subject = "all",
        fill_holes: bool = False,
    ) -> np.ndarray:
        """The alpha matte: (H, W) float32 in [0, 1]. Arguments as in `jointmat.predict`."""
        return self.matte(image, trimap=trimap, color=color, subject=subject, fill_holes=fill_holes).alpha

    def matte(
        self,
        image: ImageSource,
        *,
        trimap: ImageSource | None = None,
        color: str = "RGB",
        subject: Subject = "all",
        fill_holes: bool = False,
        edit: Edit | None = None,
        later: bool = False,
    ) -> Matte:
        """The matte with the picture, trimap and mask it belongs to. Arguments as in `jointmat.predict`.

        edit : changes the network's answer before it is brought to the photo's size; after `subject`
        later : do that only when alpha is asked for, by the photo as it is then: in another thread, or never
        """
        edits = _edits(subject, fill_holes, edit)
        if trimap is not None and edits:
            raise InputError("trimap: says itself what the subject is; leave out subject and fill_holes")
        pixels = load_image(image, color=color, max_pixels=self.max_pixels)
        geometry = self._plan(pixels, DEFAULT_MAX_SIDE if trimap is None else GIVEN_MAX_SIDE)
        given = None if trimap is None else load_trimap(trimap, pixels.shape[:2])
        with enough_memory(_named(pixels)):
            planes = None if given is None else preprocess_trimap(given, geometry)
            tensor = preprocess(pixels, geometry)
            matte = _finish(pixels, geometry, tensor, self.backend.run(tensor, planes), given, edits)
            if not later:
                matte.alpha  # noqa: B018 (what the caller does to the photo after this must not change it)
            return matte

    def predict_batch(
        self,
        images: Sequence[ImageSource],
        *,
        color: str = "RGB",
        subject: Subject = "all",
        fill_holes: bool = False,
    ) -> list[np.ndarray]:
        """Mattes of several pictures, those of one size in one pass; in the order given."""
        pixels = [load_image(image, color=color, max_pixels=self.max_pixels) for image in images]
        with enough_memory(f"{len(pixels)} pictures at once"):
            return [matte.alpha for matte in self._mattes(pixels, subject, fill_holes)]

    def _plan(self, pixels: np.ndarray, usual: int = DEFAULT_MAX_SIDE) -> Geometry:
        return plan(pixels.shape[:2], self.max_side or usual, self.backend.stride)

    def _mattes(self, pixels: list[np.ndarray], subject: Subject, fill_holes: bool) -> list[Matte]:
        plans = [self._plan(p) for p in pixels]
        mattes: dict[int, Matte] = {}
        for indices in _same_size(plans):
            batch = np.concatenate([preprocess(pixels[i], plans[i]) for i in indices])
            output = self.backend.run(batch)
            for row, i in enumerate(indices):
                one = RawOutput(*(planes[row : row + 1] for planes in output))
                edits = _edits(subject, fill_holes)
                mattes[i] = _finish(pixels[i], plans[i], batch[row : row + 1], one, edits=edits)
        return [mattes[i] for i in range(len(pixels))]


class Predictor(BackendPredictor):
    """A loaded model, for one picture or many.

    Safe to share between threads. Pickling keeps the settings and loads the model again where it arrives; after
    a fork, make a new one, since the runtime's threads do not survive it.

    Parameters
    ----------
    model : "lite", or a path of a .onnx or .safetensors file
    backend : "onnx", "torch", or "auto": by the file's extension, ONNX Runtime for names
    device : "auto", "cpu", "cuda", or with ONNX Runtime "tensorrt"
    precision : "fp32", "fp16" or "int8": the file that ONNX Runtime opens, NAME.onnx, NAME-fp16.onnx or
        NAME-int8.onnx
    max_side : the network sees the photo with its long side reduced to this, pixels; None for 512, which the
        models are trained for, and 1024 with a given trimap, where only detail is asked for
    max_pixels : larger photos are refused before they are decoded
    threads : for one call; None for one per core

    Raises
    ------
    WeightsError, DeviceError, DependencyError
        if the model, the device or the backend's package is not there.
    InputError
        for an unknown backend, or a number below 1.
    """

    def __init__(
        self,
        model: str | Path = "lite",
        *,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "fp32",
        max_side: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        threads: int | None = None,
    ):
        at_least_one(max_side=max_side, max_pixels=max_pixels, threads=threads)
        super().__init__(open_backend(model, backend, device, threads, precision), max_side, max_pixels)
        self._settings: dict[str, Any] = {
            "model": model,
            "backend": backend,
            "device": device,
            "precision": precision,
            "max_side": max_side,
            "max_pixels": max_pixels,
            "threads": threads,
        }

    def __getstate__(self) -> dict[str, Any]:
        return self._settings

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]


def at_least_one(**numbers: int | None) -> None:
    """InputError for a number below 1, by its name, InputTypeError for what is no whole number; None passes."""
    for name, number in numbers.items():
        if number is not None and not isinstance(number, Integral):
            raise InputTypeError(f"{name}={number!r}: expected a whole number, got {type(number).__name__}")
        if number is not None and number < 1:
            raise InputError(f"{name}={number}: expected at least 1")


def open_backend(
    model: str | Path, backend: str, device: str, threads: int | None, precision: str = "fp32"
) -> "OnnxBackend | TorchBackend":
    """The backend by name, or for "auto" by the model file's extension."""
    if backend == "auto":
        backend = "torch" if Path(model).suffix == ".safetensors" else "onnx"
    if backend == "onnx":
        try:
            from jointmat.runtime.onnx import OnnxBackend
        except ModuleNotFoundError as error:
            raise DependencyError(f"backend='onnx' needs {error.name}: pip install {error.name}") from error
        return OnnxBackend(model, device, threads, precision)
    if backend == "torch":
        if precision != "fp32":
            raise InputError(f"precision={precision!r}: backend='torch' computes in fp32; use backend='onnx'")
        try:
            from jointmat.runtime.torch import TorchBackend
        except ModuleNotFoundError as error:
            needs = f"backend='torch' needs {error.name}: pip install 'jointmat[train]'"
            raise DependencyError(needs) from error
        return TorchBackend(model, device, threads)
    raise InputError(f"backend={backend!r}: expected auto, onnx or torch")


def predict(
    image: "ImageSource | list[ImageSource]",
    *,
    trimap: ImageSource | None = None,
    model: str | Path = "lite",
    backend: str = "auto",
    device: str = "auto",
    precision: str = "fp32",
    max_side: int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    color: str = "RGB",
    subject: Subject = "all",
    fill_holes: bool = False,
) -> Any:
    """Alpha matte of a photo in one call. The model is loaded once and kept.

    Parameters
    ----------
    image : path, bytes, binary file, PIL image, array (HxWx3, HxWx4, HxWx1 or HxW; uint8, uint16, or float in
        [0, 1]) or torch tensor (CxHxW); or a list of them
    trimap : HxW of the picture's size, dark background, grey unknown, bright foreground; replaces the trimap
        that the network would make by itself
    model, backend, device, precision, max_side, max_pixels : see `Predictor`
    color : "RGB" or "BGR", the order of the channels of an array
    subject : "all" of the people in the photo, the "largest" of them, or the one at or nearest to the pixel
        (x, y); people who touch count as one, see `jointmat.subject`
    fill_holes : make opaque what the subject surrounds on all sides

    Returns
    -------
    (H, W) float32 in [0, 1] at the picture's size; for a list, a list of them.

    Raises
    ------
    ImageError, InputError, InputTypeError
        for a picture that cannot be used; see `jointmat.io.image.load_image`.
    WeightsError, DeviceError, DependencyError
        if the model, the device or the backend's package is not there.
    """
    at_least_one(max_side=max_side, max_pixels=max_pixels)
    predictor = BackendPredictor(_kept_backend(str(model), backend, device, precision), max_side, max_pixels)
    if isinstance(image, list):
        if trimap is not None:
            raise InputError("trimap: goes with one image, got a list of images; call predict once for each")
        return predictor.predict_batch(image, color=color, subject=subject, fill_holes=fill_holes)
    return predictor.predict(image, trimap=trimap, color=color, subject=subject, fill_holes=fill_holes)


_kept: dict[tuple[str, ...], Backend] = {}
_keeping = threading.Lock()


def _kept_backend(model: str, backend: str, device: str, precision: str) -> Backend:
    settings = model, backend, device, precision
    with _keeping:
        if settings not in _kept:
            _kept[settings] = open_backend(model, backend, device, None, precision)
        return _kept[settings]


def _named(pixels: np.ndarray) -> str:
    return f"a photo of {pixels.shape[0]}x{pixels.shape[1]} (HxW)"


def _same_size(plans: list[Geometry]) -> Iterator[tuple[int, ...]]:
    """Indices of pictures that can share a pass, at most `_BATCH` at a time."""
    order = sorted(range(len(plans)), key=lambda i: plans[i].padded)
    for _, group in groupby(order, key=lambda i: plans[i].padded):
        same = tuple(group)
        yield from (same[start : start + _BATCH] for start in range(0, len(same), _BATCH))


def _edits(subject: Subject, fill_holes: bool, edit: Edit | None = None) -> list[Edit]:
    """What is to be done to one answer of the network, in order."""
    chooser = SubjectChooser(subject, fill_holes)
    edits: list[Edit] = []
    if not chooser.changes_nothing:
        edits.append(lambda output, _, geometry: chooser(output, geometry))
    return edits + ([edit] if edit else [])


def _finish(
    pixels: np.ndarray,
    geometry: Geometry,
    tensor: np.ndarray,
    output: RawOutput,
    given: np.ndarray | None = None,
    edits: Sequence[Edit] = (),
) -> Matte:
    """The network's answer for one photo at the photo's size."""
    for edit in edits:
        output = edit(output, tensor, geometry)
    height, width = geometry.resized
    small = output.alpha[0, 0, :height, :width], tensor[0, :, :height, :width]
    mask = partial(postprocess, output.mask[0, 0], geometry)
    if given is None:
        trimap = partial(_hard, output.trimap[0], geometry)
        return Matte(pixels, partial(upsample_guided, *small, pixels), trimap, mask)
    alpha = upsample_guided(*small, pixels)
    alpha[given == 0] = 0.0  # what the user knows holds at full resolution
    alpha[given == 255] = 1.0
    return Matte(pixels, alpha, given, mask)


def _hard(planes: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The likeliest plane of a soft trimap at the photo's size: uint8 of 0, 128 and 255."""
    background, unknown, foreground = (postprocess(plane, geometry) for plane in planes)
    trimap = np.full(geometry.original, 128, np.uint8)
    trimap[background > np.maximum(unknown, foreground)] = 0
    trimap[foreground > np.maximum(unknown, background)] = 255
    return trimap
