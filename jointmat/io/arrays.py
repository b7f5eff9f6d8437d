"""From arrays and tensors to 8-bit RGB and alpha."""

import sys
from functools import reduce
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeGuard, get_args

import cv2
import numpy as np

from jointmat.errors import InputError, InputTypeError
from jointmat.io.limits import check_size

if TYPE_CHECKING:
    import torch

Color: TypeAlias = Literal["RGB", "BGR", "rgb", "bgr"]


class Pixels(NamedTuple):
    """An image of any source, decoded."""

    rgb: np.ndarray
    """(H, W, 3) uint8 sRGB, which shares no memory with the source if there is no alpha"""
    alpha: np.ndarray | None
    """(H, W) uint8, straight; None if there is none"""
    dpi: tuple[float, float] | None = None
    """pixels per inch across and down, where a file tells them"""


_ARRAY_DTYPES = ("uint8", "uint16", "bool", "float16", "float32", "float64")
_TENSOR_DTYPES = ("uint8", "bool", "float16", "bfloat16", "float32", "float64")
_CHANNELS = (1, 3, 4)
_FLOAT_TOLERANCE = 1e-3
_GREY_TOLERANCE = 8  # levels between the channels of what is meant as grey


def array_pixels(array: np.ndarray, color: str, max_pixels: int) -> Pixels:
    """Split an array into colours and alpha; arguments and errors as in `jointmat.io.image.load_image`."""
    array = np.asarray(array)  # a matrix has two dimensions whatever is made of it
    if array.dtype.name not in _ARRAY_DTYPES:
        raise InputTypeError(f"array: got dtype {array.dtype}, expected one of {', '.join(_ARRAY_DTYPES)}")
    planes = as_planes(array)
    height, width, channels = planes.shape
    check_size(height, width, max_pixels, "array")
    levels = to_levels(planes, "array")
    if channels == 1:
        return Pixels(np.repeat(levels, 3, axis=2), None)
    rgb = levels[..., 2::-1] if color.upper() == "BGR" else levels[..., :3]
    return Pixels(rgb, levels[..., 3]) if channels == 4 else Pixels(np.array(rgb, order="C"), None)


def is_tensor(source: object) -> "TypeGuard[torch.Tensor]":
    """Tell a tensor without importing torch: if nobody has, nobody can have made one."""
    return isinstance(source, getattr(sys.modules.get("torch"), "Tensor", ()))


def as_array(tensor: "torch.Tensor") -> np.ndarray:
    """Return a tensor as an array HxWxC, if `jointmat.io.image.load_image` takes it."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in _TENSOR_DTYPES:
        raise InputTypeError(f"tensor: got dtype {dtype}, expected one of {', '.join(_TENSOR_DTYPES)}")
    layout = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
    if layout != "strided":
        raise InputTypeError(f"tensor: got layout {layout}, expected strided: pass tensor.to_dense()")
    if tensor.device.type == "meta":
        raise InputTypeError("tensor: got device meta, which holds no values: pass a tensor on a real device")
    planes = _as_chw(tensor).detach().cpu().resolve_neg()
    if planes.is_floating_point():
        planes = planes.float()
    return planes.permute(1, 2, 0).numpy()


def check_color(color: str) -> None:
    """InputError for an order of channels that is none."""
    if color not in get_args(Color):
        raise InputError(f'color: got {color!r}, expected "RGB" or "BGR"')


def to_levels(values: np.ndarray, name: str) -> np.ndarray:
    """Return values of any of `_ARRAY_DTYPES` as uint8 0..255; uint8 itself is returned uncopied."""
    if values.dtype.kind == "f":
        _check_unit_range(values, name)
        return to_uint8(values)
    if values.dtype.kind == "b":
        return values * np.uint8(255)
    if values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return values


def to_uint8(x: np.ndarray) -> np.ndarray:
    """Return round(255·x) as uint8 for finite floats of any shape in [0, 1]; values outside are clipped."""
    values = np.asarray(x, np.float32)
    if not values.size:
        return values.astype(np.uint8)
    row = values.reshape(1, -1)
    # 255·x + 0·x, rounded as by np.rint and clipped, in one pass: a fifth of the time.
    return cv2.addWeighted(row, 255, row, 0, 0, dtype=cv2.CV_8U).reshape(values.shape)


def says_nothing(alpha: np.ndarray, colours: np.ndarray) -> bool:
    """Whether an alpha channel (H, W) uint8 is opaque everywhere beside grey colours (H, W, C): then they are the
    matte, as image editors save it."""
    return alpha.min() == 255 and not in_colour(colours)


def in_colour(colours: np.ndarray) -> bool:
    """Whether channels (H, W, C) uint8 differ by more than compression makes them."""
    planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(colours, 2, 0)]
    apart = cv2.subtract(reduce(cv2.max, planes), reduce(cv2.min, planes))
    return bool(apart.max() > _GREY_TOLERANCE)


def as_planes(array: np.ndarray) -> np.ndarray:
    """Return an HxW or HxWxC array as a view HxWxC, or refuse its shape."""
    planes = array[..., None] if array.ndim == 2 else array
    if planes.ndim == 3 and planes.shape[2] in _CHANNELS:
        return planes
    if array.ndim == 3 and array.shape[0] in _CHANNELS:
        got = f"{array.shape[0]}xHxW {array.shape}: pass array.transpose(1, 2, 0)"
        raise InputError(f"array: expected HxWx3, got {got}")
    if array.ndim == 4:
        raise InputError(f"array: expected HxWx3, got a batch {array.shape}: pass a list of images")
    raise InputError(f"array: expected HxW, HxWx1, HxWx3 or HxWx4, got shape {array.shape}")


def _as_chw(tensor: "torch.Tensor") -> "torch.Tensor":
    """Return an HxW, CxHxW or 1xCxHxW tensor as a view CxHxW, or refuse its shape."""
    shape = tuple(tensor.shape)
    if tensor.ndim == 4 and shape[0] != 1:
        raise InputError(f"tensor: expected 3xHxW, got a batch {shape}: pass a list of images")
    planes = tensor[0] if tensor.ndim == 4 else tensor[None] if tensor.ndim == 2 else tensor
    if planes.ndim == 3 and planes.shape[0] in _CHANNELS:
        return planes
    if tensor.ndim == 3 and shape[2] in _CHANNELS:
        raise InputError(f"tensor: expected 3xHxW, got HxWx{shape[2]} {shape}: pass tensor.permute(2, 0, 1)")
    raise InputError(f"tensor: expected HxW, 1xHxW, 3xHxW or 4xHxW, got shape {shape}")


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
