"""Read a picture from anything that holds one.

Whatever comes in, a file, bytes, a Pillow image, an array or a tensor, leaves in one form: a fresh
C-contiguous uint8 array, HxWx3, upright, sRGB. The input is never changed and its memory is never shared.
No setting of Pillow is touched, because they are global to the process and so to every thread of it.

A file goes from `source` (bytes) by `parsers` (its format), `limits` (what it may take) and `decode` (Pillow's
image) to `colour` (arrays).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
from PIL import Image, ImageFile

from jointmat.errors import InputError, InputTypeError, JointmatError
from jointmat.io.arrays import Parts, array_parts, as_array, check_color, is_tensor
from jointmat.io.colour import matte_levels, orientation_of, turned, upright_srgb
from jointmat.io.decode import DECODED_IN_ORDER, decode, decode_what_is_there, load_pixels, size_of
from jointmat.io.limits import DEFAULT_MAX_PIXELS, check_size
from jointmat.io.parsers import identify
from jointmat.io.source import EncodedSource, is_encoded, name_of, opened
from jointmat.io.trimap import trimap_levels

if TYPE_CHECKING:
    import torch

# A Union, since a string naming torch.Tensor cannot be joined to other types with |.
ImageSource: TypeAlias = Union[EncodedSource, Image.Image, np.ndarray, "torch.Tensor"]


def load_image(
    source: ImageSource,
    *,
    color: str = "RGB",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> np.ndarray:
    """Return any picture as an upright sRGB array.

    Parameters
    ----------
    source
        A path, the bytes of a file or a binary file object (see `decode_image`), a Pillow image (`from_pil`),
        a numpy array (`from_array`) or a torch tensor (`from_tensor`).
    color
        "RGB" or "BGR": the order of the channels of an array or tensor. Files and Pillow images know theirs.
    max_pixels
        The largest H·W accepted; checked before anything of that size is allocated. Pillow's parsers of WebP,
        TIFF and GIF hold to `PIL.Image.MAX_IMAGE_PIXELS` as well, which has to be raised for very large ones.
    allow_truncated
        Accept a JPEG, PNG, GIF, BMP or PPM that ends too early; the missing part is black or grey. A TIFF or
        WebP has to be whole.

    Returns
    -------
    np.ndarray
        HxWx3 uint8, C-contiguous, writeable, owning its memory. Transparent parts are over white.

    Raises
    ------
    ImageError
        A file that is missing, not an image, of a format not allowed, truncated or damaged.
    ImageTooLarge
        More than `max_pixels` pixels.
    InputError
        An array, tensor or argument with a shape or values that cannot be used.
    InputTypeError
        A source or dtype of another type.

    Warns
    -----
    JointmatWarning
        Damaged EXIF or ICC data was ignored, or frames after the first were.
    """
    return _over(255, *_parts(source, color, max_pixels, allow_truncated))


def load_with_opacity(
    source: ImageSource, *, color: str = "RGB", max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return an image as `load_image` does, and how opaque it was: HxW uint8, or None if it all was."""
    rgb, alpha = _parts(source, color, max_pixels, allow_truncated=False)
    opacity = alpha if alpha is not None and alpha.min() < 255 else None
    return _over(255, rgb, opacity), opacity


def decode_image(
    source: EncodedSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> np.ndarray:
    """Decode an encoded picture; parameters, result and errors as in `load_image`.

    The format is told from the first bytes, never from the name: JPEG, PNG and APNG, WebP, BMP, TIFF, GIF,
    PPM, AVIF, or with the extra `heic` HEIC. A path
    must lead to a regular file; a file object is read from its start if it can seek. Of an
    animated or multi-page file the first frame is taken, with a warning. Bytes after the end of the picture
    are ignored. The checksums of a PNG are verified. Modes, EXIF and ICC are treated as in `from_pil`, and the
    transparent colour of a PNG counts at any depth, that of 16-bit colour by its high bytes.
    """
    return _over(255, *_decoded_parts(source, max_pixels, allow_truncated))


def from_pil(image: Image.Image, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Convert a Pillow image, its current frame if it has several; result and errors as in `load_image`.

    * The EXIF orientation is applied. Malformed EXIF is ignored with a warning.
    * The ICC profile is converted to sRGB, relative colorimetric with black point compensation. A corrupt or
      unfitting profile is dropped with a warning. CMYK without a profile takes Pillow's plain formula.
    * Alpha, a transparent palette entry or a transparent colour puts the picture over white, so that the
      colours hidden under transparent pixels have no influence.
    * 16-bit grey (I;16 in all byte orders, and I) is divided by 257; in mode I values outside 0..65535 are an
      InputError. Mode F must be in [0, 1]. A transparent grey value is not applied in these modes.
    * Pillow decodes 16-bit colour to its high bytes by itself: at most one level below the rounded value.
    * Pillow does not tell how deep a PNG was, so a transparent colour is right only at 8 bits; `decode_image` has
      the file and knows.
    """
    return _over(255, *_pil_parts(image, max_pixels))


def from_array(array: np.ndarray, *, color: str = "RGB", max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Convert an array; result and errors as in `load_image`.

    Parameters
    ----------
    array
        HxW, HxWx1 (grey), HxWx3, or HxWx4 with straight alpha, which is put over white. Strides, byte order
        and writeability do not matter. By dtype, the range is: uint8 0..255; uint16 0..65535, divided by 257;
        bool False is 0 and True 255; float16, float32 and float64 [0, 1], times 255 and rounded.
    color
        "RGB" or "BGR"; with four channels RGBA or BGRA.
    max_pixels
        The largest H·W accepted.
    """
    return _over(255, *array_parts(array, color, max_pixels))


def from_tensor(
    tensor: "torch.Tensor", *, color: str = "RGB", max_pixels: int = DEFAULT_MAX_PIXELS
) -> np.ndarray:
    """Convert a torch tensor on any device, with or without grad; result and errors as in `load_image`.

    Parameters
    ----------
    tensor
        CxHxW or 1xCxHxW with C = 1, 3 or 4, or HxW. uint8 0..255, bool, or float16, bfloat16, float32 and
        float64 in [0, 1].
    color
        "RGB" or "BGR".
    max_pixels
        The largest H·W accepted.
    """
    return from_array(as_array(tensor), color=color, max_pixels=max_pixels)


def pixels_of(source: ImageSource) -> int:
    """Return H·W of an image from its header; 0 for what cannot be used, which decoding it will say."""
    if isinstance(source, np.ndarray):
        return source.size // (source.shape[2] if source.ndim == 3 else 1)
    if isinstance(source, Image.Image):
        return source.width * source.height
    if is_tensor(source):
        return source.shape[-1] * source.shape[-2] if source.ndim > 1 else 0
    if not is_encoded(source) or hasattr(source, "read"):  # what a file object has read may not come again
        return 0
    name = name_of(source)
    try:
        with opened(source, name) as stream:
            return size_of(stream, identify(stream, name), name)
    except JointmatError:
        return 0


def load_trimap(source: ImageSource, size: tuple[int, int]) -> np.ndarray:
    """Return a trimap with its three exact levels.

    Parameters
    ----------
    source
        An image in any form that `load_image` takes, in a coding of `jointmat.io.trimap.trimap_levels`.
    size
        (H, W) of the image that it belongs to.

    Returns
    -------
    np.ndarray
        HxW uint8: 0 background, 128 unknown, 255 foreground.

    Raises
    ------
    InputError
        The trimap has another size, or levels that mean nothing; and all errors of `load_image`.
    """
    rgb, alpha = _parts(source, "RGB", max(DEFAULT_MAX_PIXELS, size[0] * size[1]), allow_truncated=False)
    if rgb.shape[:2] != tuple(size):
        got, expected = (f"{height}x{width}" for height, width in (rgb.shape[:2], size))
        raise InputError(f"the trimap is {got} and the image {expected} (HxW): resize the trimap to it")
    return trimap_levels(rgb, alpha)


def load_alpha(source: EncodedSource) -> np.ndarray:
    """Return a stored matte: (H, W) float32 in [0, 1].

    The alpha channel of a file that has one, which is how AISegment's and cut-outs keep it; else, or where a grey
    picture has one that is opaque everywhere, the luminance.
    Errors as in `load_image`.
    """
    name = name_of(source)
    with decoded(source) as image:
        levels = matte_levels(image, name)
        return turned(levels, orientation_of(image, name)).astype(np.float32) / 255


@contextmanager
def decoded(source: EncodedSource) -> Iterator[ImageFile.ImageFile]:
    """A file as Pillow decodes it, by this package's parsers and limits: for what needs its pixels as stored.

    Errors as in `load_image`.
    """
    name = name_of(source)
    with opened(source, name) as stream:
        yield decode(stream, identify(stream, name), name, DEFAULT_MAX_PIXELS)


def _parts(source: ImageSource, color: str, max_pixels: int, allow_truncated: bool) -> Parts:
    """Return any picture's colours and alpha; arguments and errors as in `load_image`."""
    check_color(color)
    if isinstance(source, np.ndarray):
        return array_parts(source, color, max_pixels)
    if isinstance(source, Image.Image):
        return _pil_parts(source, max_pixels)
    if is_tensor(source):
        return array_parts(as_array(source), color, max_pixels)
    if is_encoded(source):
        return _decoded_parts(source, max_pixels, allow_truncated)
    raise InputTypeError(
        f"got {type(source).__name__}, expected a path, bytes, a binary file, a PIL image, a numpy array "
        "or a torch tensor"
    )


def _decoded_parts(source: EncodedSource, max_pixels: int, allow_truncated: bool) -> Parts:
    name = name_of(source)
    with opened(source, name) as stream:
        kind = identify(stream, name)
        if allow_truncated and kind in DECODED_IN_ORDER:
            picture = decode_what_is_there(stream, kind, name, max_pixels)
        else:
            picture = decode(stream, kind, name, max_pixels)
        return upright_srgb(picture, name)


def _pil_parts(image: Image.Image, max_pixels: int) -> Parts:
    name = "PIL image"
    check_size(image.height, image.width, max_pixels, name)
    load_pixels(image, name)
    return upright_srgb(image, name)


def _over(level: int, rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Return α·rgb + (1 − α)·level, rounded, as a C-contiguous array; rgb HxWx3 and alpha HxW, uint8."""
    if alpha is not None:
        # At most 255·255 + 127, so 16 bits hold it.
        opacity = alpha[..., None].astype(np.uint16)
        rgb = ((rgb * opacity + level * (255 - opacity) + 127) // 255).astype(np.uint8)
    return np.require(rgb, requirements=["C", "OWNDATA"])
