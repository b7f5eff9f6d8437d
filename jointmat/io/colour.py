"""From a Pillow image of any mode to 8-bit sRGB and alpha, upright."""

import io
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageCms

from jointmat.errors import ImageError, InputError, JointmatWarning
from jointmat.io.arrays import Pixels, says_nothing, to_levels
from jointmat.io.decode import Decoded
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
_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations
_MOST_DPI = 65535  # that JPEG can hold


def upright_srgb(decoded: Decoded) -> Pixels:
    """Convert to 8 bits and sRGB, upright."""
    image, name = decoded
    with parser_errors(name):
        image.load()  # one that a user has opened
        colour, alpha = _colour_and_alpha(decoded)
        rgb = _copied(_to_srgb(colour, image.info.get("icc_profile", b""), name))
    orientation, dpi = orientation_of(decoded), _dpi_of(image)
    return Pixels(
        turned(rgb, orientation),
        None if alpha is None else turned(np.asarray(alpha), orientation),
        dpi[::-1] if dpi and orientation in _ON_ITS_SIDE else dpi,
    )


def matte_levels(decoded: Decoded) -> np.ndarray:
    """The alpha of an image, or its luminance where it has none: (H, W) uint8 as stored."""
    with parser_errors(decoded.name):
        colour, alpha = _colour_and_alpha(decoded)
        if alpha is not None and not says_nothing(np.asarray(alpha), np.atleast_3d(np.asarray(colour))):
            return np.asarray(alpha)
        return np.asarray((_to_srgb(colour, b"", decoded.name) if colour.mode == "LAB" else colour).convert("L"))


def _colour_and_alpha(decoded: Decoded) -> tuple[Image.Image, Image.Image | None]:
    """Split an image into 8-bit L, RGB, CMYK or LAB, and its alpha of mode L if it has any."""
    image, name = decoded
    if image.mode in _WIDE_GREY_MODES:
        return Image.fromarray(to_levels(_wide_grey(decoded), name)), None
    base = _BASE_MODE.get(image.mode)
    if base is None:
        raise ImageError(f"{name}: mode {image.mode} unsupported")
    if image.mode == "La":  # Pillow converts it to nothing but LA
        image = image.convert("LA")
    if base not in ("L", "RGB") or not image.has_transparency_data:
        return _as_mode(image, base), None
    with_alpha = image.convert(f"{base}A")
    return with_alpha.convert(base), with_alpha.getchannel("A")


def orientation_of(decoded: Decoded) -> int:
    """Return the EXIF orientation, 1 where there is none."""
    try:
        return decoded.image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:  # noqa: BLE001 (EXIF is from outside, and not worth the image)
        warnings.warn(f"{decoded.name}: malformed EXIF ignored: {error}", JointmatWarning, stacklevel=2)
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


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Pixels per inch across and down, if the file states values that every format can hold."""
    try:
        across, down = map(float, image.info["dpi"])
    except Exception:  # noqa: BLE001 (from outside, and of any type)
        return None
    return (across, down) if all(1 <= n <= _MOST_DPI for n in (across, down)) else None


def _copied(image: Image.Image) -> np.ndarray:
    """Copy an RGB image into a new array, in strips: np.asarray of the whole makes it twice, and read-only."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))
        pixels[top : top + _STRIP_ROWS] = np.asarray(strip)
    return pixels


def _wide_grey(decoded: Decoded) -> np.ndarray:
    """Return the values of a 16- or 32-bit grey image as HxW uint16 or float32."""
    values = np.asarray(decoded.image)
    if decoded.image.mode != "I":
        return values
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise InputError(f"{decoded.name}: values of mode I must be in 0..65535, got {low} to {high}")
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


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert; an image of that mode is returned itself, which `convert` would copy."""
    return image if image.mode == mode else image.convert(mode)


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
    """Tell sRGB by another name, as most images have it, from what it does to 17 x 17 x 17 colours.

    A lookup in a megapixel costs more than 10 ms, and would move its levels by one at most.
    """
    levels = np.rint(np.linspace(0, 255, 17)).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    changed = ImageCms.applyTransform(Image.fromarray(colours), transform)
    return bool(np.abs(np.asarray(changed, np.int16) - colours).max() <= 1)
