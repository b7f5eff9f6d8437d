"""Read an image from anything that holds one.

Whatever comes in, a file, bytes, a Pillow image, an array or a tensor, leaves in one form: a fresh
C-contiguous uint8 array, HxWx3, upright, sRGB. The input is never changed and its memory is never shared.
No setting of Pillow is touched, because they are global to the process and so to every thread of it.

A file is `opened` (source.py), `decoded` within limits (decode.py), and converted to upright sRGB (colour.py).
"""

from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
from PIL import Image

from jointmat.errors import InputError, InputTypeError, JointmatError
from jointmat.io.arrays import Color, Pixels, array_pixels, as_array, check_color, is_tensor
from jointmat.io.colour import matte_levels, orientation_of, turned, upright_srgb
from jointmat.io.decode import Decoded, decoded, size_of
from jointmat.io.limits import DEFAULT_MAX_PIXELS, check_size
from jointmat.io.source import EncodedSource, is_encoded, opened
from jointmat.io.trimap import trimap_levels

if TYPE_CHECKING:
    import torch

# A Union, since a string naming torch.Tensor cannot be joined to other types with |.
ImageSource: TypeAlias = Union[EncodedSource, Image.Image, np.ndarray, "torch.Tensor"]


def load_image(source: ImageSource, *, color: Color = "RGB", max_pixels: int = DEFAULT_MAX_PIXELS) -> np.ndarray:
    """Return any image as an upright sRGB array.

    Parameters
    ----------
    source : one of
        * a path of a regular file, the bytes of a file, or a binary file object, which is read from its start if
          it can seek. The format is told from the first bytes, never from the name: JPEG, PNG, WebP, BMP, TIFF,
          GIF, PPM, AVIF, or with the extra `heic` HEIC. Only the first frame or page is read, with a warning.
        * a Pillow image; its current frame if it has several.
        * an array HxW, HxWx1 (grey), HxWx3, or HxWx4 with straight alpha. By dtype, the range is: uint8 0..255;
          uint16 0..65535, divided by 257; bool False is 0 and True 255; float16, float32 and float64 [0, 1],
          times 255 and rounded.
        * a torch tensor on any device, CxHxW or 1xCxHxW with C = 1, 3 or 4, or HxW; uint8, bool, or any float
          in [0, 1].
    color : "RGB" or "BGR", the order of the channels of an array or tensor; with four channels RGBA or BGRA.
        Files and Pillow images know theirs.
    max_pixels : the largest H·W accepted; checked before anything of that size is allocated. Pillow's parsers of
        WebP, TIFF and GIF hold to `PIL.Image.MAX_IMAGE_PIXELS` too, which has to be raised for very large ones.

    Returns
    -------
    (H, W, 3) uint8, C-contiguous, writeable, owning its memory. Transparent parts are over white.

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

    Notes
    -----
    * The EXIF orientation is applied.
    * An ICC profile is converted to sRGB, relative colorimetric with black point compensation. CMYK without a
      profile takes Pillow's plain formula.
    * 16-bit grey is divided by 257; 32-bit grey must be in 0..65535, floats in [0, 1]. Pillow decodes 16-bit
      colour to its high bytes by itself: at most one level below the rounded value.
    * A transparent colour counts as alpha, except in 16-bit grey. Of a Pillow image it is right only at 8 bits,
      for Pillow does not tell how deep a PNG was.
    * The checksums of a PNG are verified. Bytes after the end of an image are ignored.
    """
    return load(source, color=color, max_pixels=max_pixels).rgb


def load(source: ImageSource, *, color: Color = "RGB", max_pixels: int = DEFAULT_MAX_PIXELS) -> Pixels:
    """Return an image over white as `load_image` does, with its alpha, None if all is opaque, and its DPI."""
    pixels = _pixels(source, color, max_pixels)
    alpha = pixels.alpha if pixels.alpha is not None and pixels.alpha.min() < 255 else None
    return pixels._replace(rgb=_over_white(pixels.rgb, alpha), alpha=alpha)


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
    try:
        with opened(source, DEFAULT_MAX_PIXELS) as file:
            return size_of(file)
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
    rgb, alpha, _ = _pixels(source, "RGB", max(DEFAULT_MAX_PIXELS, size[0] * size[1]))
    if rgb.shape[:2] != tuple(size):
        got, expected = (f"{height}x{width}" for height, width in (rgb.shape[:2], size))
        raise InputError(f"the trimap is {got} and the image {expected} (HxW): resize the trimap to it")
    return trimap_levels(rgb, alpha)


def load_alpha(source: EncodedSource) -> np.ndarray:
    """Return a stored matte: (H, W) float32 in [0, 1].

    The alpha channel of a file that has one, which is how AISegment's and cut-outs keep it; else, or where a grey
    image has one that is opaque everywhere, the luminance.
    Errors as in `load_image`.
    """
    with decoded(source) as image:
        return turned(matte_levels(image), orientation_of(image)).astype(np.float32) / 255


def _pixels(source: ImageSource, color: str, max_pixels: int) -> Pixels:
    """Return any image as it is; arguments and errors as in `load_image`."""
    check_color(color)
    if isinstance(source, np.ndarray):
        return array_pixels(source, color, max_pixels)
    if is_tensor(source):
        return array_pixels(as_array(source), color, max_pixels)
    if isinstance(source, Image.Image):
        check_size(source.height, source.width, max_pixels, "PIL image")
        return upright_srgb(Decoded(source, "PIL image"))
    if is_encoded(source):
        with decoded(source, max_pixels) as image:
            return upright_srgb(image)
    got = "None, which cv2.imread returns for a file it cannot read" if source is None else type(source).__name__
    raise InputTypeError(
        f"got {got}; expected a path, bytes, a binary file, a PIL image, a numpy array or a torch tensor"
    )


def _over_white(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Return α·rgb + (1 − α)·255, rounded, as a C-contiguous array; rgb HxWx3 and alpha HxW, uint8."""
    if alpha is not None:
        # At most 255·255 + 127, so 16 bits hold it.
        opacity = alpha[..., None].astype(np.uint16)
        rgb = ((rgb * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return np.require(rgb, requirements=["C", "OWNDATA"])
