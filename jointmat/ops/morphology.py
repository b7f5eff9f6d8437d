"""Morphology that a network can learn through, and the classic hard recipe.

Flat dilation of a mask by a disk of radius r is the maximum over the disk, δ_r(p)(x) = max_{|y−x|≤r} p(y), and
erosion its dual, ε_r(p) = 1 − δ_r(1 − p). The maximum passes its gradient to one pixel of the disk. The soft
form replaces it by a log-sum-exp with temperature τ,

    g_r(p)(x) = log(1 + Σ_{|y−x|≤r} (exp(τ·p(y)) − 1)),      δ̃_r(p) = g_r(p) / log(1 + n_r·(exp(τ) − 1)),

where n_r counts the pixels of the disk. A plain log-sum-exp would lift an empty mask by log(n_r)/τ; here each
pixel enters as exp(τp) − 1, which is 0 for background, and the denominator maps a full disk to 1. Hence a
constant 0 stays 0, a constant 1 stays 1, every pixel of the disk gets a gradient, and τ → ∞ gives the hard form.
The sum is one convolution with a constant kernel, so that the operator exports as such.

Outside the image there is nothing: neither foreground (dilation) nor background (erosion), as in OpenCV.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from jointmat.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from torch import Tensor

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255

Planes = TypeVar("Planes", np.ndarray, "Tensor")


def hard_trimap(mask: np.ndarray, kernel: int = 7, iterations: int = 6) -> np.ndarray:
    """The classic trimap: dilate and erode with an elliptical kernel, the rest is unknown.

    Parameters
    ----------
    mask : (H, W) uint8, 255 foreground
    kernel : odd diameter of the ellipse, pixels
    iterations : how often it is applied; kernel 7 and 6 iterations make a band of 18 pixels to each side

    Returns
    -------
    (H, W) uint8: 255 where the eroded mask is 255, 0 where the dilated mask is 0, 128 elsewhere.

    Raises
    ------
    InputError
        for an even kernel, whose centre is off the pixel grid and would shift the trimap.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise InputTypeError(f"mask: expected HxW uint8, got {'x'.join(map(str, mask.shape))} {mask.dtype}")
    check_kernel(kernel, iterations)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (kernel, kernel))
    trimap = np.full(mask.shape, UNKNOWN, np.uint8)
    trimap[cv2.erode(mask, ellipse, iterations=iterations) >= 255] = FOREGROUND
    trimap[cv2.dilate(mask, ellipse, iterations=iterations) <= 0] = BACKGROUND
    return trimap


def check_kernel(kernel: int, iterations: int) -> None:
    """InputError for a kernel or a number of iterations that `hard_trimap` cannot use."""
    if kernel < 1 or kernel % 2 == 0:
        raise InputError(
            f"kernel={kernel}: expected an odd number ≥ 1; an even kernel has no centre pixel and shifts the "
            f"trimap; use {kernel - 1 if kernel > 1 else 1} or {kernel + 1}"
        )
    if iterations < 1:
        raise InputError(f"iterations={iterations}: expected at least 1")


def trimap_planes(mask: np.ndarray, size: tuple[int, int], kernel: int, iterations: int) -> np.ndarray:
    """Classic trimaps of a batch of masks, as planes.

    Parameters
    ----------
    mask : (B, 1, h, w) float32, probability of foreground; foreground from .5 on
    size : (H, W) of the trimaps; the masks are enlarged to it first
    kernel, iterations : see `hard_trimap`

    Returns
    -------
    (B, 3, H, W) float32 of 0 and 1: background, unknown, foreground.
    """
    full = (cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR) for plane in mask[:, 0])
    binary = (np.where(plane >= 0.5, FOREGROUND, BACKGROUND).astype(np.uint8) for plane in full)
    trimaps = np.stack([hard_trimap(plane, kernel, iterations) for plane in binary])
    return np.stack([trimaps == v for v in (BACKGROUND, UNKNOWN, FOREGROUND)], axis=1).astype(np.float32)


def fuse(trimap: Planes, alpha_raw: Planes) -> Planes:
    """α = F + U·α_raw (Chen et al., "Semantic Human Matting", ACM MM 2018, eq. 3).

    trimap (B, 3, H, W), alpha_raw (B, 1, H, W), arrays or tensors → (B, 1, H, W) in [0, 1]; a tensor's gradient
    reaches both.
    """
    return trimap[:, 2:3] + trimap[:, 1:2] * alpha_raw


def given_over(given: Planes, predicted: Planes) -> Planes:
    """Given planes where there are any, the predicted ones elsewhere.

    given (B, 3, H, W): planes that sum to 1, or to 0 where nothing is given; predicted (B, 3, H, W); arrays or
    tensors → (B, 3, H, W)
    """
    return given + (1 - given.sum(1)[:, None]) * predicted


@lru_cache(maxsize=32)
def disk(radius: int) -> np.ndarray:
    """The pixels within `radius` of the centre: (2r+1, 2r+1) float32 of 0 and 1."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * (radius + 0.5)).astype(np.float32)  # rounder than ≤ r² on a small grid


def dilate(p: "Tensor", radius: int, temperature: float | None = None) -> "Tensor":
    """Dilation by a disk.

    Parameters
    ----------
    p : (B, 1, H, W) in [0, 1]
    radius : of the disk, pixels, ≥ 0
    temperature : τ of the soft form; None takes the maximum (the limit τ → ∞)

    Returns
    -------
    (B, 1, H, W) in [0, 1]; the soft form is differentiable in every pixel of the disk.
    """
    return dilations(p, (radius,), temperature)


def erode(p: "Tensor", radius: int, temperature: float | None = None) -> "Tensor":
    """Erosion by a disk: the dual of `dilate`, 1 − dilate(1 − p). Arguments and result as there."""
    return 1 - dilate(1 - p, radius, temperature)


def dilations(p: "Tensor", radii: Sequence[int], temperature: float | None = None) -> "Tensor":
    """Dilations of (B, 1, H, W) by several disks in one convolution: (B, len(radii), H, W)."""
    if temperature is None:
        return _hard_dilations(p, radii)
    import torch
    import torch.nn.functional as F

    kernels = torch.from_numpy(_disk_bank(tuple(radii))).to(p)  # R, 1, k, k
    top = kernels.sum(dim=(1, 2, 3)).mul(np.expm1(temperature)).log1p()[None, :, None, None]
    inside = F.conv2d(torch.expm1(temperature * p), kernels, padding=kernels.shape[-1] // 2)
    return inside.log1p() / top


def soft_trimap(
    mask: "Tensor", band: "Tensor", radii: Sequence[int] = (1, 2, 3, 5, 8), temperature: float | None = 12.0
) -> "Tensor":
    """Trimap of a mask with a band of its own width at every pixel.

    The dilation by a real-valued width interpolates a bank of disks, δ_w = δ_i + t·(δ_{i+1} − δ_i) with t the
    place of w between two radii, and the bank is made non-decreasing, so that the unknown plane grows with the
    width. Foreground is the eroded mask, background what the dilated mask leaves, unknown the rest.

    Parameters
    ----------
    mask : (B, 1, H, W) probability of foreground in [0, 1]
    band : (B, 1, H, W) or broadcastable, half-width of the band in pixels of `mask`; 0 gives no band where the
        mask is 0 or 1, and no more than the last radius has an effect
    radii : of the bank, ascending, ≥ 1
    temperature : τ of the soft morphology; None takes the hard one

    Returns
    -------
    (B, 3, H, W): background, unknown, foreground; each ≥ 0, sum 1; differentiable in `mask` and `band`.
    """
    import torch

    both = torch.cat([mask, 1 - mask])  # 2B, 1, H, W: one convolution dilates foreground and background
    grown = _at_width(both, torch.cat([band, band]), radii, temperature)
    outer, inner = grown[: mask.shape[0]], grown[mask.shape[0] :]
    foreground, background = 1 - inner, 1 - outer
    return torch.cat([background, outer - foreground, foreground], dim=1)


def _at_width(p: "Tensor", width: "Tensor", radii: Sequence[int], temperature: float | None) -> "Tensor":
    """Dilation by a width per pixel, interpolated between the disks of the bank."""
    bank = dilations(p, radii, temperature)
    smaller, grown, last = p, p, 0
    for index, radius in enumerate(radii):
        larger = bank[:, index : index + 1].maximum(smaller)
        grown = grown + ((width - last) / (radius - last)).clamp(0.0, 1.0) * (larger - smaller)
        smaller, last = larger, radius
    return grown


def _hard_dilations(p: "Tensor", radii: Sequence[int]) -> "Tensor":
    import torch
    import torch.nn.functional as F

    planes = []
    for radius in radii:
        flat = torch.from_numpy(disk(radius)).to(p)
        padded = F.pad(p, (radius,) * 4, value=0.0)
        patches = F.unfold(padded, 2 * radius + 1).view(p.shape[0], flat.numel(), -1)
        planes.append((patches * flat.view(1, -1, 1)).amax(dim=1).view_as(p))
    return torch.cat(planes, dim=1)


@lru_cache(maxsize=8)
def _disk_bank(radii: tuple[int, ...]) -> np.ndarray:
    """Disks of several radii centred in kernels of the largest one's size: (R, 1, k, k) float32."""
    size = 2 * max(radii) + 1
    return np.stack([np.pad(disk(r), (size - 2 * r - 1) // 2)[None] for r in radii])
