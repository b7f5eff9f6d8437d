"""Patches and their inverse equal torch's own, which export badly."""

import pytest
import torch
import torch.nn.functional as F

from jointmat.ops.patches import fold, one_hot_kernels, unfold


def test_each_kernel_picks_one_pixel():
    kernels = one_hot_kernels(3)
    assert kernels.shape == (9, 1, 3, 3)
    for index, kernel in enumerate(kernels):
        assert kernel.sum() == 1
        assert kernel[0, index // 3, index % 3] == 1


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (4, 2), (2, 2), (3, 2)])
def test_unfold(size, stride):
    x = torch.randn(2, 5, 12, 18)
    assert torch.equal(unfold(x, one_hot_kernels(size), stride), F.unfold(x, size, stride=stride))


@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (2, 2, 0)])
def test_fold(size, stride, padding):
    grid = (5, 7)
    shape = tuple((n - 1) * stride - 2 * padding + size for n in grid)
    patches = torch.randn(2, 3 * size * size, grid[0] * grid[1])
    expected = F.fold(patches, shape, size, stride=stride, padding=padding)
    torch.testing.assert_close(fold(patches, one_hot_kernels(size), stride, padding, grid), expected)


def test_fold_is_the_adjoint_of_unfold():
    kernels = one_hot_kernels(4)
    x = torch.randn(2, 3, 10, 14, dtype=torch.float64)
    y = torch.randn(2, 3 * 16, 4 * 6, dtype=torch.float64)
    kernels = kernels.double()
    torch.testing.assert_close((unfold(x, kernels, 2) * y).sum(), (x * fold(y, kernels, 2, 0, (4, 6))).sum())


def test_gradients():
    kernels = one_hot_kernels(2).double()
    x = torch.randn(1, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: fold(unfold(x, kernels, 2), kernels, 2, 0, (2, 3)), x)
