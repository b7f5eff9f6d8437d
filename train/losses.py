"""The losses, as pure functions.

Each term is a mean over the pixels that it concerns, sample by sample, then over the batch, so that a batch
split over several processes gives the same gradient.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from jointmat.models.joint import JointOutput
from train.data.dataset import Sample


def joint_losses(output: JointOutput, batch: Sample) -> dict[str, Tensor]:
    """The unweighted terms by name, each a scalar; the names are those of `train.config.LossConfig`.

    Where a trimap is given, its unknown plane counts for the true one, and what the network would have segmented
    by itself is not asked for.
    """
    true = true_unknown(batch.alpha)  # B, 1, H, W
    given = batch.is_given.view(-1, 1, 1, 1)
    exact = batch.has_exact_alpha.view(-1, 1, 1, 1)
    trusted = torch.where(given > 0, batch.trimap[:, 1:2], true) * exact * batch.weight
    error = output.alpha - batch.alpha
    raw_error = output.alpha_raw - batch.alpha
    return {
        "segmentation": segmentation(output.mask_logits, batch.alpha, 1 - batch.is_given),
        "trimap": trimap(output.soft_trimap, batch.alpha, true, batch.weight * (1 - given)),
        "alpha": masked_mean(error.abs(), batch.weight),
        "unknown": masked_mean(error.abs() + raw_error.abs(), trusted),
        "composition": masked_mean(error.abs() * batch.contrast, trusted),
        "laplacian": laplacian(error * batch.weight, exact),
    }


def true_unknown(alpha: Tensor, reach: int = 2) -> Tensor:
    """1 where alpha is neither 0 nor 1, and `reach` pixels around: (B, 1, H, W)."""
    soft = ((alpha > 0.01) & (alpha < 0.99)).float()
    return F.max_pool2d(soft, 2 * reach + 1, stride=1, padding=reach)


def segmentation(mask_logits: Tensor, alpha: Tensor, sample_weight: Tensor) -> Tensor:
    """Cross-entropy of the mask with alpha averaged to its size; sample_weight (B,)"""
    entropy = F.binary_cross_entropy_with_logits(mask_logits, F.avg_pool2d(alpha, 4), reduction="none")
    return (entropy.mean(dim=(1, 2, 3)) * sample_weight).mean()


def trimap(planes: Tensor, alpha: Tensor, unknown: Tensor, weight: Tensor, near: int = 6) -> Tensor:
    """Cross-entropy of the soft trimap with the true one, at 1/4.

    planes (B, 3, H/4, W/4); a cell is truly unknown where one of its pixels is. Cells of which nothing is known
    (weight 0) do not count. The truly unknown cells, the known ones within `near` cells of them, and the known
    ones further off are averaged apart: a band that misses hair costs most, one that is too wide costs too, and
    neither drowns in the many cells that are easy.
    """
    hidden = F.max_pool2d(unknown, 4)
    mean = F.avg_pool2d(alpha, 4)
    target = torch.cat([(1 - hidden) * (mean < 0.5), hidden, (1 - hidden) * (mean >= 0.5)], dim=1)
    entropy = -(target * planes.clamp_min(1e-4).log()).sum(dim=1, keepdim=True)
    trusted = -F.max_pool2d(-weight, 4)
    around = F.max_pool2d(hidden, 2 * near + 1, stride=1, padding=near) - hidden
    beyond = 1 - hidden - around
    rings = {hidden: 1.5, around: 0.5, beyond: 0.5}
    return torch.stack([share * masked_mean(entropy, trusted * ring) for ring, share in rings.items()]).sum()


def laplacian(error: Tensor, sample_weight: Tensor, levels: int = 5) -> Tensor:
    """L1 of the Laplacian pyramid of the error, Σₛ 2ˢ·mean|Lₛ| (Hou & Liu, ICCV 2019, eq. 4).

    The pyramid is linear, so that the pyramid of the error is the error of the pyramids.
    error (B, 1, H, W), sample_weight (B, 1, 1, 1)
    """
    total = torch.zeros(len(error), device=error.device)
    current = error
    for level in range(levels):
        smooth = _blur(current)
        total = total + 2**level * (current - smooth).abs().mean(dim=(1, 2, 3))
        current = smooth[..., ::2, ::2]
    return (total * sample_weight.flatten()).mean() / (2**levels - 1)


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of `values` by `weight` within each sample, then over samples; a sample without weight counts 0."""
    above = (values * weight).sum(dim=(1, 2, 3))
    below = weight.expand_as(values).sum(dim=(1, 2, 3))
    return (above / below.clamp_min(1.0)).mean()


def _blur(x: Tensor) -> Tensor:
    """Binomial 5×5 smoothing, (1 4 6 4 1)/16 along each axis.

    Sums of shifted planes: of a convolution from one channel to one, the gradient takes 20 times longer.
    """
    x = _blur_along(2, F.pad(x, (0, 0, 2, 2), mode="replicate"))
    return _blur_along(3, F.pad(x, (2, 2, 0, 0), mode="replicate"))


def _blur_along(dim: int, padded: Tensor) -> Tensor:
    first, second, middle, fourth, fifth = (padded.narrow(dim, i, padded.shape[dim] - 4) for i in range(5))
    return ((first + fifth) + 4 * (second + fourth) + 6 * middle) / 16
