"""Read a picture from anything that holds one, and write the results.

Whatever comes in, a file, bytes, a Pillow image, an array or a tensor, leaves in one form: a fresh
C-contiguous uint8 array, HxWx3, upright, sRGB. The input is never changed and its memory is never shared.

No setting of Pillow is touched, because they are global to the process and so to every thread of it:

* `PIL.Image.open` would apply `PIL.Image.MAX_IMAGE_PIXELS` instead of `max_pixels`, so the format is told
  from the first bytes and the one parser for it is called directly. No other parser ever sees the file.
* `PIL.ImageFile.LOAD_TRUNCATED_IMAGES` stays off; `allow_truncated` keeps what Pillow had decoded when the
  file ended.
"""

import io
import math
import os
import re
import stat
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, Union

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from jointmat.errors import ImageError, ImageTooLarge, InputError, InputTypeError, JointmatWarning
from jointmat.io.atomic import atomic_write, printable

if TYPE_CHECKING:
    import torch

EncodedSource: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
# A Union, since a string naming torch.Tensor cannot be joined to other types with |.
ImageSource: TypeAlias = Union[EncodedSource, Image.Image, np.ndarray, "torch.Tensor"]
_Parts: TypeAlias = tuple[np.ndarray, np.ndarray | None]
"""sRGB HxWx3 and, if there is any, straight alpha HxW, uint8; the colours share no memory if they are alone"""

DEFAULT_MAX_PIXELS = 50_000_000

_PARSERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}

# How each format begins: those that are read, then those that are only named in the refusal.
_SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WebP": rb"RIFF....WEBP",
    "BMP": rb"BM",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "GIF": rb"GIF8[79]a",
    "PPM": rb"P[1-6f]\s",
    "EPS": rb"%!PS|\xc5\xd0\xd3\xc6",
    "PDF": rb"%PDF",
    "SVG": rb"(\xef\xbb\xbf)?\s*<(svg|[?!].*<svg)",
    "PSD": rb"8BPS",
    "HEIC": rb"....ftyp(he|mif1|msf1)",
    "AVIF": rb"....ftypavi[fs]",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "ICO": rb"\0\0\x01\0",
    "ZIP": rb"PK\x03\x04",
}
_SIGNATURE_BYTES = 1024

# What Pillow's parsers raise on damaged files, and which of it means that the data ended.
_END_OF_DATA = (IndexError, TypeError, EOFError, struct.error)
_PARSER_ERRORS = (*_END_OF_DATA, OSError, SyntaxError, ValueError, KeyError, zlib.error)

# What can be decoded up to where the data ends; WebP and TIFF come as a whole or not at all.
_DECODED_IN_ORDER = frozenset({"JPEG", "PNG", "GIF", "BMP", "PPM"})

# The 8-bit mode without alpha that each Pillow mode is brought to before colour management.
_BASE_MODE = {
    **dict.fromkeys(("1", "L", "LA", "La"), "L"),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "HSV"), "RGB"),
    "CMYK": "CMYK",
    "LAB": "LAB",
}
_WIDE_GREY_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})

_ARRAY_DTYPES = ("uint8", "uint16", "bool", "float16", "float32", "float64")
_TENSOR_DTYPES = ("uint8", "bool", "float16", "bfloat16", "float32", "float64")
_CHANNELS = (1, 3, 4)
_FLOAT_TOLERANCE = 1e-3

_MOST_SEGMENTS = 100_000  # of a JPEG or PNG, some 5 µs each; 50 megapixels have half as many at most

_PNG_PACKED = (b"iCCP", b"iTXt", b"zTXt")  # Pillow unpacks each, to a megabyte in some 5 ms
_MOST_PACKED = 100

_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # not restarts: they stand inside of a scan
_MOST_WALKED = 2_500_000_000  # pixels in some 5 s: libjpeg walks all for each scan, were it 40 bytes long
_USUAL_SCANS = 20  # are accepted whatever the size; encoders make some ten
_WINDOW_BYTES = 1 << 14

# Tags of a TIFF.
_WIDTH, _HEIGHT, _SAMPLES, _PLANAR = 256, 257, 277, 284
_STRIPS, _STRIP_HEIGHT = 273, 278
_TILES, _TILE_WIDTH, _TILE_HEIGHT = 324, 322, 323

_STRIP_ROWS = 64  # that are copied at a time: few enough to stay in the processor's cache

_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True, "exact": True}),
    "jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
}


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


def decode_image(
    source: EncodedSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_truncated: bool = False,
) -> np.ndarray:
    """Decode an encoded picture; parameters, result and errors as in `load_image`.

    The format is told from the first bytes, never from the name: JPEG, PNG and APNG, WebP, BMP, TIFF, GIF or
    PPM. A path must lead to a regular file; a file object is read from its start if it can seek. Of an
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
    return _over(255, *_array_parts(array, color, max_pixels))


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
    return from_array(_as_array(tensor), color=color, max_pixels=max_pixels)


def load_trimap(source: ImageSource, size: tuple[int, int]) -> np.ndarray:
    """Return a trimap with its three exact levels.

    Parameters
    ----------
    source
        A grey picture in any form that `load_image` takes; of a coloured one the luminance counts. Transparent
        parts are background: they are over black.
    size
        (H, W) of the picture that it belongs to.

    Returns
    -------
    np.ndarray
        HxW uint8: 0 background where the level is below 85, 255 foreground from 170 on, 128 unknown between.

    Raises
    ------
    InputError
        The trimap has another size; and all errors of `load_image`.
    """
    parts = _parts(source, "RGB", max(DEFAULT_MAX_PIXELS, size[0] * size[1]), allow_truncated=False)
    grey = np.asarray(Image.fromarray(_over(0, *parts)).convert("L"))
    if grey.shape != tuple(size):
        got, expected = (f"{height}x{width}" for height, width in (grey.shape, size))
        raise InputError(f"the trimap is {got} and the picture {expected} (HxW): resize the trimap to it")
    trimap = np.full(grey.shape, 128, np.uint8)
    trimap[grey < 85] = 0
    trimap[grey >= 170] = 255
    return trimap


def load_alpha(source: EncodedSource) -> np.ndarray:
    """Return a stored matte: (H, W) float32 in [0, 1].

    The alpha channel of a file that has one, which is how AISegment's and cut-outs keep it; else the luminance.
    Errors as in `load_image`.
    """
    name = _name_of(source)
    with _opened(source, name) as stream:
        picture = _decode(stream, _identify(stream, name), name, DEFAULT_MAX_PIXELS)
        colour, alpha = _colour_and_alpha(picture, name)
        levels = np.asarray(alpha if alpha is not None else colour.convert("L"))
        return _turned(levels, _orientation(picture, name)).astype(np.float32) / 255


def save_image(path: str | os.PathLike[str], array: np.ndarray, *, icc: bytes | None = None) -> None:
    """Write an array to a file, whole or not at all (`atomic_write`), in the format of its extension.

    Parameters
    ----------
    path
        Ends in .png, .webp, .jpg, .jpeg, .tif or .tiff.
    array, icc
        As in `encode_image`.

    Raises
    ------
    InputError
        An unknown extension, alpha in a JPEG, a wrong shape, or a path that cannot be written.
    InputTypeError
        A dtype other than uint8.
    JointmatError
        The disk is full or failed.
    """
    with atomic_write(path) as file:
        file.write(_encode(array, Path(path).suffix.removeprefix("."), icc, printable(path)))


def check_extension(path: str | os.PathLike[str], transparent: bool = False) -> None:
    """InputError if `save_image` would not know the format that a file's name asks for.

    transparent : also if that format cannot hold an alpha channel
    """
    name = printable(path)
    writer, _ = _writer(name, Path(path).suffix.removeprefix("."))
    if transparent:
        _check_alpha(writer, name)


def encode_image(array: np.ndarray, format: str = "png", *, icc: bytes | None = None) -> bytes:
    """Return an array as the bytes of an image file; errors as in `save_image`.

    Parameters
    ----------
    array
        HxW or HxWx1 grey, HxWx3 RGB or HxWx4 RGBA with straight alpha; uint8.
    format
        "png", "webp" (lossless), "jpg" (quality 95, no chroma subsampling) or "tif" (deflate).
    icc
        The profile of the colours of `array`; none means sRGB. Nothing else is written besides the pixels: no
        EXIF, so neither an orientation nor a place.
    """
    return _encode(array, format, icc, "<bytes>")


def to_uint8(x: np.ndarray) -> np.ndarray:
    """Return round(255·x) as uint8 for finite floats of any shape in [0, 1]; values outside are clipped."""
    scaled = np.multiply(x, 255, dtype=np.float32)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)


def _parts(source: ImageSource, color: str, max_pixels: int, allow_truncated: bool) -> _Parts:
    """Return any picture's colours and alpha; arguments and errors as in `load_image`."""
    _check_color(color)
    if isinstance(source, np.ndarray):
        return _array_parts(source, color, max_pixels)
    if isinstance(source, Image.Image):
        return _pil_parts(source, max_pixels)
    if _is_tensor(source):
        return _array_parts(_as_array(source), color, max_pixels)
    if _is_encoded(source):
        return _decoded_parts(source, max_pixels, allow_truncated)
    raise InputTypeError(
        f"got {type(source).__name__}, expected a path, bytes, a binary file, a PIL image, a numpy array "
        "or a torch tensor"
    )


def _decoded_parts(source: EncodedSource, max_pixels: int, allow_truncated: bool) -> _Parts:
    name = _name_of(source)
    with _opened(source, name) as stream:
        kind = _identify(stream, name)
        if allow_truncated and kind in _DECODED_IN_ORDER:
            picture = _decode_what_is_there(stream, kind, name, max_pixels)
        else:
            picture = _decode(stream, kind, name, max_pixels)
        return _upright_srgb(picture, name)


def _pil_parts(image: Image.Image, max_pixels: int) -> _Parts:
    name = "PIL image"
    _check_size(image.height, image.width, max_pixels, name)
    _load_pixels(image, name)
    return _upright_srgb(image, name)


def _array_parts(array: np.ndarray, color: str, max_pixels: int) -> _Parts:
    _check_color(color)
    if array.dtype.name not in _ARRAY_DTYPES:
        raise InputTypeError(f"array: got dtype {array.dtype}, expected one of {', '.join(_ARRAY_DTYPES)}")
    planes = _as_planes(array)
    height, width, channels = planes.shape
    _check_size(height, width, max_pixels, "array")
    levels = _to_levels(planes, "array")
    if channels == 1:
        return np.repeat(levels, 3, axis=2), None
    rgb = levels[..., 2::-1] if color == "BGR" else levels[..., :3]
    if channels == 4:
        return rgb, levels[..., 3]
    return np.array(rgb, order="C"), None


def _as_array(tensor: "torch.Tensor") -> np.ndarray:
    """Return a tensor as an array HxWxC, if it is one that `from_tensor` takes."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in _TENSOR_DTYPES:
        raise InputTypeError(f"tensor: got dtype {dtype}, expected one of {', '.join(_TENSOR_DTYPES)}")
    layout = str(tensor.layout).removeprefix("torch.")
    if layout != "strided":
        raise InputTypeError(f"tensor: got layout {layout}, expected strided: pass tensor.to_dense()")
    if tensor.device.type == "meta":
        raise InputTypeError("tensor: got device meta, which holds no values: pass a tensor on a real device")
    planes = _as_chw(tensor).detach().cpu().resolve_neg()
    if planes.is_floating_point():
        planes = planes.float()
    return planes.permute(1, 2, 0).numpy()


def _check_color(color: str) -> None:
    if color not in ("RGB", "BGR"):
        raise InputError(f'color: got {color!r}, expected "RGB" or "BGR"')


def _check_size(height: int, width: int, max_pixels: int, name: str) -> None:
    pixels = height * width
    if pixels == 0:
        raise InputError(f"{name}: zero width or height: {width}x{height}")
    if pixels > max_pixels:
        raise ImageTooLarge(
            f"{name}: got {width}x{height} = {pixels} pixels, the limit is {max_pixels}: "
            "pass a higher max_pixels= to accept it"
        )


def _is_tensor(source: object) -> "TypeGuard[torch.Tensor]":
    """Tell a tensor without importing torch: if nobody has, nobody can have made one."""
    return isinstance(source, getattr(sys.modules.get("torch"), "Tensor", ()))


def _is_encoded(source: object) -> TypeGuard[EncodedSource]:
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read")


def _name_of(source: object) -> str:
    """Return what messages call a source: its path if it has one."""
    path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    if isinstance(path, (str, os.PathLike)):
        return printable(path)
    return "<file>" if hasattr(source, "read") else "<bytes>"


@contextmanager
def _opened(source: EncodedSource, name: str) -> Iterator[BinaryIO]:
    """Yield a seekable stream at its start; close it afterwards only if it was opened here."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with _open_regular(source, name) as file:
            yield file
    else:
        yield _rewound(source, name)


def _rewound(file: BinaryIO, name: str) -> BinaryIO:
    """Return a file object at its start; of one that cannot seek, what is left to read."""
    try:
        if isinstance(file.read(0), str):
            raise InputTypeError(f"{name}: the file is open as text: open it in binary mode")
        if not (hasattr(file, "seekable") and file.seekable()):
            return io.BytesIO(file.read())
        file.seek(0)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read: {error}") from error
    return file


def _open_regular(path: str | os.PathLike[str], name: str) -> BinaryIO:
    """Open a path for reading, unless reading it could block or never end: a pipe, a device, a folder."""
    try:
        if stat.S_ISREG(Path(path).stat().st_mode):
            return Path(path).open("rb")
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(f"{name}: cannot be read: {error}") from error
    raise ImageError(f"{name}: not a regular file")


def _identify(stream: BinaryIO, name: str) -> str:
    """Return the key in `_PARSERS` of the stream's format and rewind it."""
    with _parser_errors_as_image_error(name):
        head = stream.read(_SIGNATURE_BYTES)
        stream.seek(0)
    if not head:
        raise ImageError(f"{name}: empty file")
    expected = ", ".join(_PARSERS)
    for kind, signature in _SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            if kind not in _PARSERS:
                raise ImageError(f"{name}: format not allowed: got {kind}, expected one of {expected}")
            return kind
    raise ImageError(f"{name}: not an image: expected one of {expected}")


def _parse(stream: BinaryIO, kind: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Parse the header and check how much there is to decode; no pixel is decoded."""
    scans = _segments(stream, kind, name).count(_JPEG_SCAN)
    with _parser_errors_as_image_error(name):
        picture = _PARSERS[kind](stream)
    _check_size(picture.height, picture.width, max_pixels, name)
    most = max(_USUAL_SCANS, _MOST_WALKED // (picture.height * picture.width))
    if scans > most:
        raise ImageError(f"{name}: got {scans} scans, expected at most {most}: save it again as baseline JPEG")
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        _check_tiles(picture, max_pixels, name)
        _check_all_there(picture, name)
    _scale_transparent_colour(picture)
    return picture


def _segments(stream: BinaryIO, kind: str, name: str) -> list[bytes]:
    """Return the types of a JPEG's segments or a PNG's chunks, if they take no long time to parse.

    Leaves the stream at its start. The other formats have none.
    """
    walk = {"JPEG": _jpeg_segments, "PNG": _png_chunks}.get(kind)
    if walk is None:
        return []
    with _parser_errors_as_image_error(name):
        types = list(islice(walk(stream), _MOST_SEGMENTS + 1))
        stream.seek(0)
    if len(types) > _MOST_SEGMENTS:
        raise ImageError(f"{name}: got over {_MOST_SEGMENTS} segments, expected at most that many: save it again")
    packed = sum(map(types.count, _PNG_PACKED))
    if packed > _MOST_PACKED:
        raise ImageError(f"{name}: got {packed} packed texts or profiles, expected at most {_MOST_PACKED}")
    return types


def _jpeg_segments(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the marker of every segment before the end of the picture, as libjpeg finds them."""
    stream.seek(2)
    while (marker := _next_jpeg_marker(stream)) != _JPEG_END:
        yield marker
        length = int.from_bytes(stream.read(2))  # counts its own two bytes
        stream.seek(max(0, length - 2), os.SEEK_CUR)


def _next_jpeg_marker(stream: BinaryIO) -> bytes:
    """Return the next marker and go behind it; at the end of the data it is that of the picture's end."""
    start = stream.tell()
    while window := stream.read(_WINDOW_BYTES):
        if found := _JPEG_MARKER.search(window):
            stream.seek(start + found.end())
            return found[0]
        start += max(1, len(window) - 1)  # the last byte may be the first of a marker
        stream.seek(start)
    return _JPEG_END


def _png_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the type of every chunk before the end of the picture."""
    stream.seek(8)
    while len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
        yield head[4:]
        stream.seek(int.from_bytes(head[:4]) + 4, os.SEEK_CUR)  # behind the data and the checksum


def _scale_transparent_colour(picture: ImageFile.ImageFile) -> None:
    """Bring the transparent colour of a parsed PNG to 8 bits, which Pillow does with its pixels alone."""
    if not picture.tile or "transparency" not in picture.info:
        return
    stored, colour = picture.tile[0].args, picture.info["transparency"]
    if stored == "RGB;16B":
        picture.info["transparency"] = tuple(value >> 8 for value in colour)
    elif stored in ("L;2", "L;4"):
        picture.info["transparency"] = colour * {"L;2": 85, "L;4": 17}[stored]


def _check_tiles(picture: TiffImagePlugin.TiffImageFile, max_pixels: int, name: str) -> None:
    """Hold a tile, which may be larger than the picture, to the same limit."""
    height, width = (picture.tag_v2.get(tag, 1) for tag in (_TILE_HEIGHT, _TILE_WIDTH))
    if not (isinstance(height, int) and isinstance(width, int)):
        raise ImageError(f"{name}: damaged (the size of its tiles is not a number)")
    _check_size(height, width, max_pixels, f"{name}: a tile")


def _check_all_there(picture: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Refuse a TIFF whose strips, or tiles, do not cover it: Pillow would leave the rest black."""
    tags = picture.tag_v2
    if not {_STRIPS, _TILES} & tags.keys():  # as JPEG is stored the old way: libtiff knows how
        return
    width, height = tags[_WIDTH], tags[_HEIGHT]  # as stored: the picture's are upright
    if _STRIPS in tags:
        offsets, across, down = tags[_STRIPS], width, tags.get(_STRIP_HEIGHT, height)
    else:
        offsets, across, down = tags[_TILES], tags.get(_TILE_WIDTH), tags.get(_TILE_HEIGHT)
    planes = tags.get(_SAMPLES, 1) if tags.get(_PLANAR) == 2 else 1
    if not all(isinstance(number, int) and number > 0 for number in (across, down, planes)):
        raise ImageError(f"{name}: damaged (the size of its strips or tiles is not a number)")
    if len(offsets) < math.ceil(width / across) * math.ceil(height / down) * planes:
        raise ImageError(f"{name}: truncated")


@contextmanager
def _parser_errors_as_image_error(name: str) -> Iterator[None]:
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        advice = "pass a higher max_pixels= and set a higher PIL.Image.MAX_IMAGE_PIXELS to accept it"
        raise ImageTooLarge(f"{name}: {str(error).rstrip('.')}: {advice}") from error
    except _PARSER_ERRORS as error:
        raise ImageError(f"{name}: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """Say what is wrong with a file in this package's words, from what its parser said."""
    text = " ".join(str(error).split())
    if "not identified by this driver" in text:
        return "zero width or height, or no known pixel format"
    if isinstance(error, _END_OF_DATA) or isinstance(error.__cause__, _END_OF_DATA):
        return "truncated"
    if re.search("truncated|EOF|chunk b''|not enough image data|cannot load this image", text, re.IGNORECASE):
        return "truncated"
    return f"damaged ({text})"


def _decode(stream: BinaryIO, kind: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Parse and decode an intact file."""
    picture = _parse(stream, kind, name, max_pixels)
    if kind == "PNG":
        picture = _verified_png(picture, stream, name, max_pixels)
    _warn_of_frames(picture, name)
    _load_pixels(picture, name)
    return picture


def _decode_what_is_there(stream: BinaryIO, kind: str, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Parse and decode a file that may end too early, leaving the pixels after its end as they are."""
    if kind == "JPEG":  # with an end marker libjpeg completes the picture, progressive ones included
        stream = io.BytesIO(stream.read() + _JPEG_END)
    picture = _parse(stream, kind, name, max_pixels)
    _warn_of_frames(picture, name)
    with _parser_errors_as_image_error(name):
        try:
            picture.load()
        except _PARSER_ERRORS as error:
            if _cause(error) != "truncated":
                raise
            picture.tile = []  # nothing left to decode: Pillow takes the image for loaded
            picture.load()
    return picture


def _verified_png(
    picture: ImageFile.ImageFile, stream: BinaryIO, name: str, max_pixels: int
) -> ImageFile.ImageFile:
    """Check the checksums of the chunks that decoding skips, and open the picture again as Pillow asks."""
    with _parser_errors_as_image_error(name):
        picture.verify()
    return _parse(stream, "PNG", name, max_pixels)


def _warn_of_frames(picture: ImageFile.ImageFile, name: str) -> None:
    with _parser_errors_as_image_error(name):
        animated = getattr(picture, "is_animated", False)
    if animated:
        _warn(f"{name}: has more than one frame: only the first is used")


def _load_pixels(picture: Image.Image, name: str) -> None:
    with _parser_errors_as_image_error(name):
        picture.load()


def _upright_srgb(picture: Image.Image, name: str) -> _Parts:
    """Convert a loaded picture: 8 bits, sRGB, upright."""
    colour, alpha = _colour_and_alpha(picture, name)
    rgb = _pixels(_to_srgb(colour, picture.info.get("icc_profile", b""), name))
    orientation = _orientation(picture, name)
    return _turned(rgb, orientation), None if alpha is None else _turned(np.asarray(alpha), orientation)


def _pixels(picture: Image.Image) -> np.ndarray:
    """Copy an RGB picture into a new array, in strips: np.asarray of the whole makes it twice, and read-only."""
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, _STRIP_ROWS):
        strip = picture.crop((0, top, picture.width, min(top + _STRIP_ROWS, picture.height)))
        pixels[top : top + _STRIP_ROWS] = np.asarray(strip)
    return pixels


def _colour_and_alpha(picture: Image.Image, name: str) -> tuple[Image.Image, Image.Image | None]:
    """Split a picture into 8-bit L, RGB, CMYK or LAB, and its alpha of mode L if it has any."""
    if picture.mode in _WIDE_GREY_MODES:
        return Image.fromarray(_to_levels(_wide_grey(picture, name), name)), None
    base = _BASE_MODE.get(picture.mode)
    if base is None:
        raise ImageError(f"{name}: mode {picture.mode} unsupported")
    if picture.mode == "La":  # Pillow converts it to nothing but LA
        picture = picture.convert("LA")
    if base not in ("L", "RGB") or not picture.has_transparency_data:
        return _as_mode(picture, base), None
    with_alpha = picture.convert(f"{base}A")
    return with_alpha.convert(base), with_alpha.getchannel("A")


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
        _warn(f"{name}: corrupt ICC profile ignored")
    elif icc:
        try:
            return _convert_profile(colour, ImageCms.ImageCmsProfile(io.BytesIO(icc)))
        except (OSError, ImageCms.PyCMSError) as error:
            _warn(f"{name}: ICC profile ignored: {error}")
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


def _over(level: int, rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Return α·rgb + (1 − α)·level, rounded, as a C-contiguous array; rgb HxWx3 and alpha HxW, uint8."""
    if alpha is not None:
        # At most 255·255 + 127, so 16 bits hold it.
        opacity = alpha[..., None].astype(np.uint16)
        rgb = ((rgb * opacity + level * (255 - opacity) + 127) // 255).astype(np.uint8)
    return np.require(rgb, requirements=["C", "OWNDATA"])


def _orientation(picture: Image.Image, name: str) -> int:
    """Return the EXIF orientation, 1 where there is none."""
    try:
        return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except _PARSER_ERRORS as error:
        _warn(f"{name}: malformed EXIF ignored: {error}")
        return 1


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
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


def _as_planes(array: np.ndarray) -> np.ndarray:
    """Return an HxW or HxWxC array as a view HxWxC, or refuse its shape."""
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim == 3 and planes.shape[2] in _CHANNELS:
        return planes
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        got = f"{array.shape[0]}xHxW {array.shape}: pass array.transpose(1, 2, 0)"
        raise InputError(f"array: expected HxWx3, got {got}")
    if array.ndim == 4:
        raise InputError(f"array: expected HxWx3, got a batch {array.shape}: pass a list of pictures")
    raise InputError(f"array: expected HxW, HxWx1, HxWx3 or HxWx4, got shape {array.shape}")


def _as_chw(tensor: "torch.Tensor") -> "torch.Tensor":
    """Return an HxW, CxHxW or 1xCxHxW tensor as a view CxHxW, or refuse its shape."""
    shape = tuple(tensor.shape)
    if tensor.ndim == 4 and shape[0] != 1:
        raise InputError(f"tensor: expected 3xHxW, got a batch {shape}: pass a list of pictures")
    planes = tensor[0] if tensor.ndim == 4 else tensor[None] if tensor.ndim == 2 else tensor
    if planes.ndim == 3 and planes.shape[0] in _CHANNELS:
        return planes
    if tensor.ndim == 3 and shape[2] in _CHANNELS:
        raise InputError(f"tensor: expected 3xHxW, got HxWx{shape[2]} {shape}: pass tensor.permute(2, 0, 1)")
    raise InputError(f"tensor: expected HxW, 1xHxW, 3xHxW or 4xHxW, got shape {shape}")


def _to_levels(values: np.ndarray, name: str) -> np.ndarray:
    """Return values of any of `_ARRAY_DTYPES` as uint8 0..255; uint8 itself is returned uncopied."""
    if values.dtype.kind == "f":
        _check_unit_range(values, name)
        return to_uint8(values)
    if values.dtype.kind == "b":
        return values * np.uint8(255)
    if values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return values


def _check_unit_range(values: np.ndarray, name: str) -> None:
    unusable = values.size - np.count_nonzero(np.isfinite(values))
    if unusable:
        raise InputError(f"{name}: got {unusable} NaN or infinite values, expected finite ones in [0, 1]")
    low, high = float(values.min()), float(values.max())
    if low < -_FLOAT_TOLERANCE or high > 1 + _FLOAT_TOLERANCE:
        raise InputError(
            f"{name}: got values from {low:g} to {high:g}, expected floats in [0, 1]: "
            "divide by the full scale, or pass uint8"
        )


def _writer(name: str, extension: str) -> tuple[str, dict[str, Any]]:
    """Pillow's format and its options; InputError for an extension that is none of `_WRITERS`."""
    if extension.lower() not in _WRITERS:
        raise InputError(f"{name}: got the format {extension!r}, expected one of {', '.join(_WRITERS)}")
    return _WRITERS[extension.lower()]


def _check_alpha(writer: str, name: str) -> None:
    if writer == "JPEG":
        raise InputError(f"{name}: JPEG has no alpha: use .png or .webp")


def _encode(array: np.ndarray, extension: str, icc: bytes | None, name: str) -> bytes:
    writer, options = _writer(name, extension)
    picture = _to_picture(array, name)
    if picture.mode == "RGBA":
        _check_alpha(writer, name)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, writer, icc_profile=icc, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be written as {writer}: {error}") from error
    return buffer.getvalue()


def _to_picture(array: np.ndarray, name: str) -> Image.Image:
    """Wrap a uint8 array HxW, HxWx1, HxWx3 or HxWx4 as a Pillow image of mode L, RGB or RGBA."""
    if array.dtype != np.uint8:
        raise InputTypeError(f"{name}: got dtype {array.dtype}, expected uint8: convert floats with to_uint8")
    planes = _as_planes(array)
    if planes.size == 0:
        raise InputError(f"{name}: zero width or height: array of shape {array.shape}")
    return Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)


def _warn(message: str) -> None:
    warnings.warn(message, JointmatWarning, stacklevel=3)
