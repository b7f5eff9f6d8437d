"""From an image in any form to its matte: load → plan → preprocess → backend → finish."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeAlias, TypedDict, Unpack, cast, get_args, overload

import cv2
import numpy as np
from PIL import Image

from jointmat.errors import InputError, InputTypeError
from jointmat.foreground import Method
from jointmat.io.arrays import Color, is_tensor
from jointmat.io.image import ImageSource, load, load_trimap, pixels_of
from jointmat.io.limits import DEFAULT_MAX_PIXELS
from jointmat.io.source import is_encoded
from jointmat.looks import (
    MAX_SIDE,
    WORTH,
    Look,
    enlarged,
    enlarged_alpha,
    look_at_small_subjects,
    reduced,
    second_look,
)
from jointmat.matte import Matte, capped
from jointmat.memory import enough_memory
from jointmat.ops.guided_upsampling import upsample_guided
from jointmat.parallel import default_jobs, in_order
from jointmat.preprocess import OVERVIEW, Geometry, plan, postprocess, preprocess, preprocess_trimap
from jointmat.runtime.base import Backend, RawOutput
from jointmat.runtime.files import Precision
from jointmat.runtime.open import BackendName, open_backend
from jointmat.subject import Subject, SubjectChooser

Edit: TypeAlias = Callable[[RawOutput, Geometry], RawOutput]
"""(the network's answer for one image, the sizes) → the answer to use instead"""

Detail: TypeAlias = Literal["fine", "fast"]
_BATCH = 8


class ImageOptions(TypedDict, total=False):
    """Options for reading images and choosing the subject; see `Predictor.matte`."""

    color: Color
    subject: Subject
    fill_holes: bool


class MatteOptions(ImageOptions, total=False):
    """Options for a single image; see `Predictor.matte`."""

    trimap: ImageSource | None


class PredictorOptions(TypedDict, total=False):
    """Options of a model for single calls; see `Predictor`."""

    model: str | Path
    backend: BackendName
    device: str
    precision: Precision
    detail: Detail
    max_side: int | None
    max_pixels: int


class PredictOptions(PredictorOptions, MatteOptions, total=False):
    """Options of a single call."""


class View(NamedTuple):
    """An image as the network is to see it."""

    image: np.ndarray
    """(H, W, 3) uint8, the image itself"""
    trimap: np.ndarray | None
    """(H, W) uint8 of 0, 128 and 255 at the image's size, if one was given"""
    geometry: Geometry
    tensor: np.ndarray
    """(1, 3, h, w) float32 in [0, 1]"""


class Predictor:
    """A loaded model, for one image or many.

    Safe to share between threads. Pickling keeps the settings and loads the model again where it arrives; after
    a fork, make a new one, since the runtime's threads do not survive it.

    Parameters
    ----------
    model : "lite", or a path of a .onnx or .safetensors file; or an open backend (`jointmat.runtime.open`), which
        the next three and `threads` have no effect on
    backend : "onnx", "torch", or "auto": by the file's extension, ONNX Runtime for names
    device : "auto", "cpu", "cuda", or with ONNX Runtime "tensorrt"
    precision : "fp32", "fp16" or "int8": the file that ONNX Runtime opens, NAME.onnx, NAME-fp16.onnx or
        NAME-int8.onnx
    detail : "fine" looks twice: at the whole image with its long side at 512 pixels, then at native resolution
        where the trimap is unknown, see `jointmat.looks`. "fast" leaves the second look out.
    max_side : bounds the long side in both looks, pixels; None for 512 and 2048
    max_pixels : larger images are refused before they are decoded
    threads : for one call; None for one per core

    Raises
    ------
    WeightsError, DeviceError, DependencyError
        if the model, the device or the backend's package is missing.
    InputError
        for an unknown backend, or a number below 1.
    """

    backend: Backend
    """what computes"""
    _open: Callable[..., Backend] = staticmethod(open_backend)

    def __init__(
        self,
        model: str | Path | Backend = "lite",
        *,
        backend: BackendName = "auto",
        device: str = "auto",
        precision: Precision = "fp32",
        detail: Detail = "fine",
        max_side: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        threads: int | None = None,
    ):
        at_least_one(max_side=max_side, max_pixels=max_pixels, threads=threads)
        if detail not in get_args(Detail):
            raise InputError(f"detail={detail!r}: expected {' or '.join(get_args(Detail))}")
        self.detail, self.max_side, self.max_pixels = detail, max_side, max_pixels
        opening = {"backend": backend, "device": device, "precision": precision, "threads": threads}
        self._settings: dict[str, Any] = {
            "model": model,
            **opening,
            "detail": detail,
            "max_side": max_side,
            "max_pixels": max_pixels,
        }
        self.backend = self._open(model, **opening) if isinstance(model, str | Path) else model

    def predict(self, image: ImageSource, **options: Unpack[MatteOptions]) -> np.ndarray:
        """The alpha matte: (H, W) float32 in [0, 1]. Options and errors as of `matte`."""
        return self.matte(image, **options).alpha

    def matte(
        self,
        image: ImageSource,
        *,
        trimap: ImageSource | None = None,
        color: Color = "RGB",
        subject: Subject = "all",
        fill_holes: bool = False,
    ) -> Matte:
        """The matte with the image, trimap and mask it belongs to.

        Parameters
        ----------
        image : path, bytes, binary file, PIL image, array (HxWx3, HxWx4, HxWx1 or HxW; uint8, uint16, or float
            in [0, 1]) or torch tensor (CxHxW)
        trimap : HxW of the image's size, dark background, grey unknown, bright foreground; replaces the trimap
            that the network would make by itself
        color : "RGB" or "BGR", the order of the channels of an array
        subject : "all" of the people in the image, the "largest" of them, or the one at or nearest to the pixel
            (x, y); people who touch count as one, see `jointmat.subject`
        fill_holes : make opaque what the subject surrounds on all sides

        Raises
        ------
        ImageError, InputError, InputTypeError
            for an image that cannot be used; see `jointmat.io.image.load_image`.
        DeviceError
            if there is not enough memory.
        """
        edits = _edits(subject, fill_holes)
        if trimap is not None and edits:
            raise InputError("trimap= already defines the subject; drop subject= and fill_holes=")
        if are_many(image):
            kind = type(image).__name__
            raise InputTypeError(f"got {kind}, expected one image; for several use Predictor.mattes")
        pixels, opacity, dpi = load(image, color=color, max_pixels=self.max_pixels)
        given = None if trimap is None else load_trimap(trimap, pixels.shape[:2])
        with enough_memory(_named(pixels)):
            matte = self._see(self._view(pixels, given), edits)
            matte.dpi = dpi
            matte.alpha  # noqa: B018 (what the caller does to the image after this must not change it)
            return matte if opacity is None else matte.capped(opacity)

    def mattes(
        self, images: Iterable[ImageSource], *, jobs: int | None = None, **options: Unpack[ImageOptions]
    ) -> Iterator[Matte | Exception]:
        """Mattes of many images, in order, made while you work on the ones before.

        An image that cannot be used does not end the rest: in its place comes its error.

        Parameters
        ----------
        images : any iterable; it is read as late as possible, and few images are held at a time
        jobs : images worked on at the same time; None for one per core
        options : as of `matte`, for all images
        """
        at_least_one(jobs=jobs)

        def work(image: ImageSource) -> Matte | Exception:
            try:
                return self.matte(image, **options)
            except Exception as error:  # noqa: BLE001 (whatever it is, it belongs to this image alone)
                return error

        _edits(options.get("subject", "all"), options.get("fill_holes", False))  # refuses before the work
        return in_order(work, _each(images), jobs or default_jobs(), pixels_of)

    def predict_batch(
        self,
        images: Iterable[ImageSource],
        *,
        color: Color = "RGB",
        subject: Subject = "all",
        fill_holes: bool = False,
    ) -> list[np.ndarray]:
        """Mattes of several images, those of one size in one pass; in the order given. Options as of `matte`."""
        _edits(subject, fill_holes)  # refuses what it cannot use before the work
        loaded = [load(image, color=color, max_pixels=self.max_pixels) for image in _each(images)]
        with enough_memory(f"{len(loaded)} images at once"):
            views = [self._view(pixels.rgb) for pixels in loaded]
            alphas: dict[int, np.ndarray] = {}
            for indices in _same_size(views):
                output = self.backend.run(np.concatenate([views[i].tensor for i in indices]))
                for row, i in enumerate(indices):
                    one = RawOutput(*(planes[row : row + 1] for planes in output))
                    alphas[i] = self._finish(views[i], one, _edits(subject, fill_holes)).alpha
            return [
                alphas[i] if pixels.alpha is None else capped(alphas[i], pixels.alpha)
                for i, pixels in enumerate(loaded)
            ]

    def _frame(self, view: View, output: RawOutput) -> Matte:
        """Matte of a part of a frame, from the network's answer."""
        return self._finish(view, output, [], choose_subjects=False)

    def _view(self, image: np.ndarray, trimap: np.ndarray | None = None) -> View:
        geometry = plan(image.shape[:2], min(OVERVIEW, self.max_side or OVERVIEW), self.backend.stride)
        return View(image, trimap, geometry, preprocess(image, geometry))

    def _see(self, view: View, edits: Sequence[Edit]) -> Matte:
        planes = None if view.trimap is None else preprocess_trimap(view.trimap, view.geometry)
        return self._finish(view, self.backend.run(view.tensor, planes), edits)

    def _finish(
        self, view: View, output: RawOutput, edits: Sequence[Edit], choose_subjects: bool = True
    ) -> Matte:
        """The network's answer for one image at the image's size."""
        image, given, geometry, tensor = view
        for edit in edits:
            output = edit(output, geometry)
        mask = partial(postprocess, output.mask[0, 0], geometry)
        trimap = partial(_hard, output.trimap[0], geometry) if given is None else given
        if self.detail == "fast":
            alpha = partial(enlarged_alpha, output, tensor[0], geometry, [image])
            return Matte(image, alpha if given is None else _held(alpha(), given), trimap, mask)
        look = self._look_again(view, output, choose_subjects and given is None and not edits)
        if given is not None:
            return Matte(image, _held(look.alpha, given), given, mask)
        return Matte(image, look.alpha, partial(_hardened, look.trimap, image.shape[:2]), mask)

    def _look_again(self, view: View, output: RawOutput, choose_subjects: bool) -> Look:
        """Second look: small subjects by themselves, then the band at native resolution."""
        image, given, geometry, tensor = view
        limit = min(MAX_SIDE, self.max_side or MAX_SIDE)
        work = reduced(image, limit)
        look = enlarged(output, tensor, replace(geometry, original=work.shape[:2]), work)
        if given is not None:
            look.trimap = np.ascontiguousarray(
                preprocess_trimap(given, Geometry(given.shape, work.shape[:2], work.shape[:2]))[0].transpose(
                    1, 2, 0
                )
            )
        overview = max(geometry.resized)
        if choose_subjects:
            reduction = geometry.padded[1] // output.mask.shape[-1]
            height, width = (-(-n // reduction) for n in geometry.resized)
            look_at_small_subjects(self.backend, work, look, output.mask[0, 0, :height, :width], overview)
        if max(work.shape[:2]) > WORTH * overview:
            look.alpha = second_look(self.backend, work, look)
        if work.shape != image.shape:
            seen = preprocess(work, Geometry(work.shape[:2], work.shape[:2], work.shape[:2]))
            look.alpha = upsample_guided(look.alpha, seen[0], [image])
        return look

    def __call__(self, image: ImageSource, **options: Unpack[MatteOptions]) -> np.ndarray:
        """`predict`."""
        return self.predict(image, **options)

    def close(self) -> None:
        """Free the model, as the end of `with Predictor() as p:` does; any use after that is an InputError."""
        self.backend = cast(Backend, _Closed())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Predictor({self.backend.engine})"

    def __getstate__(self) -> dict[str, Any]:
        return self._settings

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]


class _Closed:
    """Replaces the backend of a closed predictor."""

    engine = "closed"

    def __getattr__(self, name: str) -> Any:
        raise InputError("this Predictor is closed; make a new one")


@overload
def predict(image: ImageSource, **options: Unpack[PredictOptions]) -> np.ndarray: ...


@overload
def predict(
    image: list[Any] | tuple[Any, ...] | Generator[Any, Any, Any], **options: Unpack[PredictOptions]
) -> list[np.ndarray]: ...


def predict(image: Any, **options: Unpack[PredictOptions]) -> Any:
    """Alpha matte of an image in one call. The model is loaded once and kept.

    Parameters
    ----------
    image : as in `Predictor.matte`; or several: a list, tuple or generator of them
    options : model, backend, device, precision, detail, max_side and max_pixels as in `Predictor`; trimap, color,
        subject and fill_holes as in `Predictor.matte`

    Returns
    -------
    (H, W) float32 in [0, 1] at the image's size; for several images, a list of them.

    Raises
    ------
    ImageError, InputError, InputTypeError
        for an image that cannot be used; see `jointmat.io.image.load_image`.
    WeightsError, DeviceError, DependencyError
        if the model, the device or the backend's package is missing.
    """
    predictor, rest = _kept_predictor(options)
    if are_many(image):
        if rest.pop("trimap", None) is not None:
            raise InputError("trimap= goes with one image, got several; call predict once for each")
        return predictor.predict_batch(image, **rest)
    return predictor.predict(image, **rest)


def cutout(image: ImageSource, *, method: Method = "fast", **options: Unpack[PredictOptions]) -> Image.Image:
    """The people in an image, in clean colours on transparency: a Pillow image of mode RGBA, in one call.

    Parameters
    ----------
    method : of the colours at soft edges, see `jointmat.foreground.estimate_foreground`
    image, options : as in `predict`, errors too
    """
    predictor, rest = _kept_predictor(options)
    return predictor.matte(image, **rest).to_pil(method)


_kept: dict[tuple[Any, ...], Backend] = {}
_keeping = threading.Lock()


def _kept_backend(model: str | Path, **opening: Any) -> Backend:
    """`open_backend`, once for the same arguments."""
    settings = str(model), *opening.values()
    with _keeping:
        if settings not in _kept:
            _kept[settings] = open_backend(model, **opening)
        return _kept[settings]


class _KeptPredictor(Predictor):
    """A predictor on a backend that is loaded once."""

    _open = staticmethod(_kept_backend)


def _kept_predictor(options: PredictOptions) -> tuple[Predictor, dict[str, Any]]:
    """A predictor with its part of the options, and the rest of them."""
    rest: dict[str, Any] = dict(options)
    own = {name: rest.pop(name) for name in PredictorOptions.__optional_keys__ & rest.keys()}
    return _KeptPredictor(**own), rest


def at_least_one(**numbers: int | None) -> None:
    """InputError for a number below 1, InputTypeError for anything but a whole number; None passes."""
    for name, number in numbers.items():
        if number is not None and not isinstance(number, Integral):
            raise InputTypeError(f"{name}={number!r}: expected a whole number, got {type(number).__name__}")
        if number is not None and number < 1:
            raise InputError(f"{name}={number}: expected at least 1")


def are_many(source: object) -> bool:
    """Tell a list, tuple, generator or other iterable of images from one image."""
    one = is_encoded(source) or isinstance(source, np.ndarray | Image.Image) or is_tensor(source)
    return isinstance(source, Iterable) and not one


def _each(images: Iterable[ImageSource]) -> Iterable[ImageSource]:
    """The images themselves, unless they are only one."""
    if are_many(images) or (isinstance(images, np.ndarray) and images.ndim == 4):
        return images
    raise InputTypeError(
        f"got {type(images).__name__}, expected several images: a list, tuple or generator of them"
    )


def _named(pixels: np.ndarray) -> str:
    return f"an image of {pixels.shape[0]}x{pixels.shape[1]} (HxW)"


def _same_size(views: Sequence[View]) -> Iterator[tuple[int, ...]]:
    """Indices of images that can share a pass, at most `_BATCH` at a time."""
    order = sorted(range(len(views)), key=lambda i: views[i].geometry.padded)
    for _, group in groupby(order, key=lambda i: views[i].geometry.padded):
        same = tuple(group)
        yield from (same[start : start + _BATCH] for start in range(0, len(same), _BATCH))


def _edits(subject: Subject, fill_holes: bool) -> list[Edit]:
    """The edits of the network's answer for one image, in order."""
    chooser = SubjectChooser(subject, fill_holes)
    return [] if chooser.changes_nothing else [chooser]


def _held(alpha: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Set the pixels that a given trimap knows, at full resolution; changes `alpha`."""
    alpha[given == 0] = 0.0
    alpha[given == 255] = 1.0
    return alpha


def _hardened(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest plane of a trimap (h, w, 3) at each pixel of `size`: uint8 of 0, 128 and 255."""
    full = planes if planes.shape[:2] == size else cv2.resize(planes, size[::-1])
    return np.array([0, 128, 255], np.uint8)[full.argmax(axis=2)]


def _hard(planes: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The same, from the network's planes (3, h, w)."""
    return _hardened(np.dstack([postprocess(plane, geometry) for plane in planes]), geometry.original)
