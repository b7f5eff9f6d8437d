"""From a decoded Pillow image of any mode to 8-bit sRGB and alpha, upright."""

import io
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageCms

from jointmat.errors import ImageError, InputError, JointmatWarning
from jointmat.io.arrays import Parts, says_nothing, to_levels
from jointmat.io.parsers import parser_errors

# The 8-bit mode without alpha that each Pillow mode is brought to before colour management.
_BASE_MODE = {
    **dict.fromkeys(("1", "L", "LA", "La"), "L"),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "HSV"), "RGB"),
    "CMYK": "CMYK",
    "LAB": "LAB",
}
_WIDE_GREY_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})
_STRIP_ROWS = 64  # that are copied at a time: few enough to stay in the processor's cache


def upright_srgb(picture: Image.Image, name: str) -> Parts:
    """Convert a loaded picture: 8 bits, sRGB, upright."""
    with parser_errors(name):
        colour, alpha = _colour_and_alpha(picture, name)
        rgb = _pixels(_to_srgb(colour, picture.info.get("icc_profile", b""), name))
    orientation = orientation_of(picture, name)
    return turned(rgb, orientation), None if alpha is None else turned(np.asarray(alpha), orientation)


def matte_levels(picture: Image.Image, name: str) -> np.ndarray:
    """What a decoded picture says as a matte, (H, W) uint8 as stored: its alpha or its luminance."""
    with parser_errors(name):
        colour, alpha = _colour_and_alpha(picture, name)
        if alpha is not None and not says_nothing(np.asarray(alpha), np.atleast_3d(np.asarray(colour))):
            return np.asarray(alpha)
        return np.asarray((_to_srgb(colour, b"", name) if colour.mode == "LAB" else colour).convert("L"))


def _colour_and_alpha(picture: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Split a picture into 8-bit L, RGB, CMYK or LAB, and its alpha of mode L if it has any."""
    if picture.mode in _WIDE_GREY_MODES:
        return Image.fromarray(to_levels(_wide_grey(picture, name), name)), None
    base = _BASE_MODE.get(picture.mode)
    if base is None:
        raise ImageError(f"{name}: mode {picture.mode} unsupported")
    if picture.mode == "La":  # Pillow converts it to nothing but LA
        picture = picture.convert("LA")
    if base not in ("L", "RGB") or not picture.has_transparency_data:
        return _as_mode(picture, base), None
    with_alpha = picture.convert(f"{base}A")
    return with_alpha.convert(base), with_alpha.getchannel("A")


def orientation_of(picture: Image.Image, name: str) -> int:
    """Return the EXIF orientation, 1 where there is none."""
    try:
        return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:  # noqa: BLE001 (EXIF is from outside, and not worth the image)
        warnings.warn(f"{name}: malformed EXIF ignored: {error}", JointmatWarning, stacklevel=2)
        return 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of stored pixels as they are meant to be seen; numbers outside 2..8 change nothing."""
    views = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels[::-1]),
        8: np.rot90(pixels),
    }
    return views.get(orientation, pixels)


def _pixels(picture: Image.Image) -> np.ndarray:
    """Copy an RGB picture into a new array, in strips: np.asarray of the whole makes it twice, and read-only."""
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, _STRIP_ROWS):
        strip = picture.crop((0, top, picture.width, min(top + _STRIP_ROWS, picture.height)))
        pixels[top : top + _STRIP_ROWS] = np.asarray(strip)
    return pixels


def _wide_grey(picture: Image.Image, name: str) -> np.ndarray:
    """Return the values of a 16- or 32-bit grey picture as HxW uint16 or float32."""
    values = np.asarray(picture)
    if picture.mode != "I":
        return values
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise InputError(f"{name}: values of mode I must be in 0..65535, got {low} to {high}")
    return values.astype(np.uint16)


def _to_srgb(colour: Image.Image, icc: bytes | None, name: str) -> Image.Image:
    """Convert 8-bit L, RGB, CMYK or LAB; `icc` is b"" for no profile and None for one that Pillow dropped."""
    if icc is None:
        warnings.warn(f"{name}: corrupt ICC profile ignored", JointmatWarning, stacklevel=2)
    elif icc:
        try:
            return _convert_profile(colour, ImageCms.ImageCmsProfile(io.BytesIO(icc)))
        except Exception as error:  # noqa: BLE001 (so is a profile: a TIFF's may be of any type)
            warnings.warn(f"{name}: ICC profile ignored: {error}", JointmatWarning, stacklevel=2)
    if colour.mode == "LAB":
        return _convert_profile(colour, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return _as_mode(colour, "RGB")


def _as_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Convert; a picture of that mode is returned itself, which `convert` would copy."""
    return picture if picture.mode == mode else picture.convert(mode)


def _convert_profile(colour: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    if colour.mode == "L" and profile.profile.xcolor_space == "RGB ":
        colour = colour.convert("RGB")
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        colour.mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if colour.mode == "RGB" and _changes_nothing(transform):
        return colour
    converted = ImageCms.applyTransform(colour, transform)
    assert converted is not None  # it is only when converting in place
    return converted


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Tell sRGB by another name, as most photos have it, from what it does to 17 x 17 x 17 colours.

    A lookup in a megapixel costs more than 10 ms, and would move its levels by one at most.
    """
    levels = np.rint(np.linspace(0, 255, 17)).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    changed = ImageCms.applyTransform(Image.fromarray(colours), transform)
    return bool(np.abs(np.asarray(changed, np.int16) - colours).max() <= 1)
