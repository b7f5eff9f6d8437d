"""Guided contextual attention (Li & Lu, "Natural Image Matting via Guided Contextual Attention", AAAI 2020).

Where an alpha feature is unknown, it is rebuilt from the alpha features of places that *look* alike: patches of
an image feature (the guidance) are compared with each other, and the softmax of their similarities carries
alpha patches from one place to the other. The published layer loops over the batch and builds a convolution
kernel from every image; this form computes the same numbers with batched matrix products, so that it exports
with dynamic batch, height and width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.ops.patches import fold, one_hot_kernels, unfold

_EPSILON = 1e-4  # smallest norm that a key is divided by
_SELF_PENALTY = 1e4  # keeps an unknown patch from matching itself; fits in half precision, infinity would not
_SCALE_MIN, _SCALE_MAX = 0.1, 10.0
_FARTHEST = 60.0
"""below the best score: e^-60 changes no sum, and far below that come subnormal weights, which slow the product
up to thirty times on some processors"""


class GuidedContextualAttention(nn.Module):
    """Carry alpha features between similar-looking places (steps 1–11 of the published layer).

    Parameters
    ----------
    guidance_channels : channels of the guidance feature
    alpha_channels : channels of the alpha feature
    key_channels : channels of the projected guidance that patches are compared in; default half of
        `guidance_channels`, as published
    max_queries : None computes every patch, as published. A number bounds the similarity matrix to
        max_queries × N: only the unknown patches ask, at most so many of them, the most unknown first; the
        others keep their feature unchanged.
    threshold : a 3×3 patch counts as unknown where its mean unknownness exceeds this; 0 as published, a
        little more for a soft trimap, which is never exactly 0.
    """

    # The one-hot kernels are constants of the graph, not weights.
    _pick3: Tensor
    _pick4: Tensor

    def __init__(
        self,
        guidance_channels: int,
        alpha_channels: int,
        key_channels: int | None = None,
        max_queries: int | None = None,
        threshold: float = 0.0,
    ):
        super().__init__()
        key_channels = key_channels or guidance_channels // 2
        self.guidance_conv = nn.Conv2d(guidance_channels, key_channels, 1)
        project, normalise = (
            nn.Conv2d(alpha_channels, alpha_channels, 1, bias=False),
            nn.BatchNorm2d(alpha_channels),
        )
        self.W = nn.Sequential(project, normalise)
        nn.init.xavier_uniform_(self.guidance_conv.weight)
        nn.init.xavier_uniform_(project.weight)
        nn.init.constant_(normalise.weight, 1e-3)  # as published: the layer starts as the identity
        self.max_queries = max_queries
        self.threshold = threshold
        self.register_buffer("_pick3", one_hot_kernels(3), persistent=False)
        self.register_buffer("_pick4", one_hot_kernels(4), persistent=False)

    def forward(self, guidance: Tensor, alpha: Tensor, unknown: Tensor) -> Tensor:
        """Refine `alpha` from places that look alike in `guidance`.

        Parameters
        ----------
        guidance : (B, Cg, H, W) image feature, H and W even
        alpha : (B, C, H, W) alpha feature
        unknown : (B, 1, H, W) in [0, 1], 1 where alpha is to be found

        Returns
        -------
        (B, C, H, W): alpha + BN(W·attended), steps (10) and (11).
        """
        patches, unknownness, scale = self._keys_and_scales(guidance, unknown.detach())
        values = unfold(_reflect(alpha), self._pick4, stride=2)  # B, 16·C, N
        keys = scale[:, None] * patches / patches.norm(dim=1, keepdim=True).clamp_min(_EPSILON)
        if self.max_queries is None:
            indices = torch.arange(keys.shape[-1], device=keys.device).expand(keys.shape[0], -1)  # B, N
            attended = _attend(keys, patches, values, unknownness, indices)
        else:
            count = torch.sym_min(keys.shape[-1], self.max_queries)
            indices = _most_unknown(unknownness, count)  # B, Q
            answer = _attend(keys, _gather(patches, indices), values, unknownness, indices)
            answer = answer * _gather(unknownness > 0, indices)[:, None]  # what is known does not ask
            into = indices[:, None].expand(-1, values.shape[1], -1)
            attended = torch.zeros_like(values).scatter(2, into, answer)
        grid = (alpha.shape[-2] // 2, alpha.shape[-1] // 2)
        pasted = fold(attended, self._pick4, stride=2, padding=1, grid=grid) / 4  # B, C, H, W
        return alpha + self.W(pasted)

    def _keys_and_scales(self, guidance: Tensor, unknown: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Steps (1), (3)–(5): guidance patches, how unknown each is (0: known), the factor on its scores.

        The trimap only steers here and takes no gradient: the fusion passes it one.
        """
        patches = unfold(_reflect(self.guidance_conv(guidance)[..., ::2, ::2]), self._pick3, stride=1)
        coarse = unknown[..., ::2, ::2].float()
        ratio = _odds(coarse.mean(dim=(1, 2, 3)))  # B, 1; ∞ where all is unknown, which the clamp bounds
        unknownness = F.relu(F.avg_pool2d(_reflect(coarse), 3, stride=1).flatten(1) - self.threshold)  # B, N
        unknown_scale = ratio.sqrt().clamp(_SCALE_MIN, _SCALE_MAX)
        known_scale = ratio.reciprocal().sqrt().clamp(_SCALE_MIN, _SCALE_MAX)
        return patches, unknownness, torch.where(unknownness > 0, unknown_scale, known_scale)


def _attend(keys: Tensor, queries: Tensor, values: Tensor, unknownness: Tensor, indices: Tensor) -> Tensor:
    """Steps (6)–(9): softmax over the keys of their similarity to each query, times the values.

    keys (B, D, N), queries (B, D, Q), values (B, E, N), unknownness (B, N), indices (B, Q) → (B, E, Q)
    """
    scores = keys.transpose(1, 2) @ queries  # B, N, Q
    every = torch.arange(keys.shape[-1], device=keys.device)
    itself = (every[None, :, None] == indices[:, None]) & (unknownness > 0)[:, :, None]
    scores = scores - _SELF_PENALTY * itself
    floor = scores.detach().amax(dim=1, keepdim=True) - _FARTHEST
    return values @ scores.maximum(floor).softmax(dim=1)


def _most_unknown(unknownness: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest of `unknownness` (B, N); equal ones are taken evenly from the whole image.

    Runtimes differ in how they sort equal values, of which a hard trimap has many. A factor of at most 1.008,
    another one at each place (up to N = 2¹⁶; 40503 / 2¹⁶ is the golden ratio's fraction), leaves none.
    """
    spread = torch.arange(unknownness.shape[-1], device=unknownness.device) * 40503 % 65536
    return (unknownness * (1 + spread * 2.0**-23)).argsort(dim=1, descending=True)[:, :count]


def _gather(x: Tensor, indices: Tensor) -> Tensor:
    """Columns of `x` (B, …, N) at `indices` (B, Q)."""
    if x.dim() == 3:
        indices = indices[:, None].expand(-1, x.shape[1], -1)
    return x.gather(-1, indices)


def _odds(share: Tensor) -> Tensor:
    return (share / (1 - share))[:, None]


def _reflect(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="reflect")
