"""Spectral normalisation (Miyato et al., ICLR 2018): convolutions whose weight is W = W̄/σ(W̄).

The authors of GCA-Matting train with it. Once trained, W is a constant, so prediction uses plain convolutions.
"""

from collections.abc import Mapping
from typing import TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_POWER_ITERATIONS_AT_START = 15

_EPSILON = 1e-12  # added to the norm of a singular vector

Convolution: TypeAlias = nn.Conv2d | nn.ConvTranspose2d


class SpectralWeight(nn.Module):
    """A weight over its largest singular value, W = W̄/σ with σ = uᵀW̄v (Miyato et al., eq. 8, appendix A).

    W̄ counts as a matrix of its dimension 0 against all others, also for transposed convolutions. In training
    each call refines the singular vectors u and v by one power iteration; gradients pass through W̄ and σ, not
    through u and v.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, weight: Tensor):
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.weight_bar = nn.Parameter(weight.detach().clone())
        self.register_buffer("weight_u", _unit(torch.randn(rows)))
        self.register_buffer("weight_v", _unit(torch.randn(columns)))
        for _ in range(_POWER_ITERATIONS_AT_START):
            self._iterate()

    def forward(self) -> Tensor:
        if self.training:
            self._iterate()
        # Copies: a second forward before the backward must not change what the first one saved.
        return _divide_by_sigma(self.weight_bar, self.weight_u.clone(), self.weight_v.clone())

    @torch.no_grad()
    def _iterate(self) -> None:
        matrix = self.weight_bar.flatten(1)
        self.weight_v.copy_(_unit(matrix.T @ self.weight_u))
        self.weight_u.copy_(_unit(matrix @ self.weight_v))


class SpectralNorm(nn.Module):
    """A convolution without bias whose weight is spectrally normalised.

    Its weight is the child `module`, so that the state dict has the published names `….module.weight_bar`,
    `….module.weight_u` and `….module.weight_v`.
    """

    def __init__(self, convolution: Convolution):
        super().__init__()
        self.module = SpectralWeight(convolution.weight)
        self.stride = convolution.stride
        self.padding = cast(tuple[int, ...], convolution.padding)  # in pixels, not "same" or "valid"
        self.transposed = isinstance(convolution, nn.ConvTranspose2d)

    def forward(self, x: Tensor) -> Tensor:
        convolve = F.conv_transpose2d if self.transposed else F.conv2d
        return convolve(x, self.module(), stride=self.stride, padding=self.padding)


def fold_spectral_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the plain network from that of the spectrally normalised one.

    Each triple `a.module.weight_bar`, `a.module.weight_u`, `a.module.weight_v` becomes the one entry
    `a.weight` = W̄/σ, the very numbers that the normalised network computes in evaluation mode; the other
    entries stay as they are.
    """
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".module.weight_bar"):
            parent = name.removesuffix("_bar")
            weight = _divide_by_sigma(value, state[f"{parent}_u"], state[f"{parent}_v"])
            plain[name.replace(".module.weight_bar", ".weight")] = weight.detach()
        elif not name.endswith((".module.weight_u", ".module.weight_v")):
            plain[name] = value
    return plain


def _divide_by_sigma(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return weight / torch.dot(u, weight.flatten(1) @ v)


def _unit(vector: Tensor) -> Tensor:
    return vector / (vector.norm() + _EPSILON)
