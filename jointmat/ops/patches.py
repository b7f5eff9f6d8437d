"""Patches of a feature map and their inverse, as convolutions with constant identity kernels.

`torch.nn.functional.unfold` and `fold` export to Im2Col-style operators that runtimes execute slowly; a
convolution of every channel with the k² one-hot kernels computes the same numbers and exports to plain
Conv / ConvTranspose nodes with dynamic batch, height and width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot_kernels(size: int) -> Tensor:
    """The size² kernels that each pick one pixel of a patch, row by row: (size², 1, size, size)."""
    return torch.eye(size * size).view(size * size, 1, size, size)


def unfold(x: Tensor, kernels: Tensor, stride: int) -> Tensor:
    """Patches of an already padded map.

    Parameters
    ----------
    x : (B, C, H, W)
    kernels : (k², 1, k, k) from `one_hot_kernels`
    stride : step between patches, in pixels

    Returns
    -------
    (B, C·k², N) with N patches in row-major order; the entry order is that of `torch.nn.functional.unfold`.
    """
    batch, channels, height, width = x.shape
    patches = F.conv2d(x.reshape(batch * channels, 1, height, width), kernels, stride=stride)
    return patches.reshape(batch, channels * kernels.shape[0], -1)  # B, C·k², N


def fold(patches: Tensor, kernels: Tensor, stride: int, padding: int, grid: tuple[int, int]) -> Tensor:
    """Sum of overlapping patches at their places: the adjoint of `unfold`.

    Parameters
    ----------
    patches : (B, C·k², N)
    kernels : (k², 1, k, k) from `one_hot_kernels`
    stride, padding : as in a transposed convolution, in pixels
    grid : (rows, columns) of patches, rows·columns = N

    Returns
    -------
    (B, C, H, W) with H = (rows − 1)·stride − 2·padding + k, and W likewise.
    """
    count = kernels.shape[0]
    batch, entries, _ = patches.shape
    channels = entries // count
    y = F.conv_transpose2d(
        patches.reshape(batch * channels, count, grid[0], grid[1]), kernels, stride=stride, padding=padding
    )
    return y.reshape(batch, channels, y.shape[-2], y.shape[-1])
