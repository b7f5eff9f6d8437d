"""Trimaps such as a user would draw, made from the true alpha."""

import torch
import torch.nn.functional as F
from torch import Tensor

from train.data.dataset import Mixture, Sample
from train.losses import true_unknown

_DAUBS = 4  # at most, of needlessly unknown places


def given_trimap(data: Mixture, number: int, batch: Sample, widest: int) -> Tensor | None:
    """What comes with batch `number` of the data, or with a part of it: `draw_trimap`'s planes, or None."""
    if not data.is_given(number):
        return None
    return draw_trimap(batch, torch.Generator().manual_seed(data.config.seed * 1_000_003 + number), widest)


def draw_trimap(batch: Sample, generator: torch.Generator, widest: int = 12) -> Tensor:
    """(B, 3, H, W) planes of a trimap that covers all that is truly unknown, and more.

    The band passes the true one by another width to each side, and daubs of unknown lie anywhere, since a trimap
    from a person or from a mask is neither even nor tight. Where alpha is not trusted, all is unknown.

    widest : pixels by which the band passes the true one, at most
    """
    outward, inward = (int(r) for r in torch.randint(1, widest + 1, (2,), generator=generator))
    inside = (batch.alpha > 0.5).float()
    tight = true_unknown(batch.alpha, 1)
    unknown = torch.maximum(_grown(tight, outward) * (1 - inside), _grown(tight, inward) * inside)
    unknown = torch.stack([unknown, tight, 1 - batch.weight, _daubs(batch.alpha, generator)]).amax(dim=0)
    known = 1 - unknown
    return torch.cat([known * (1 - inside), unknown, known * inside], dim=1)


def _grown(plane: Tensor, reach: int) -> Tensor:
    return F.max_pool2d(plane, 2 * reach + 1, stride=1, padding=reach)


def _daubs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Disks of 1 on 0, up to `_DAUBS`, the same for all samples, so that a batch may be split."""
    height, width = like.shape[-2:]
    y = torch.arange(height, device=like.device).view(1, 1, -1, 1)
    x = torch.arange(width, device=like.device).view(1, 1, 1, -1)
    place = torch.rand((1, _DAUBS, 3), generator=generator).to(like.device)
    centre_y, centre_x = place[..., 0, None, None] * height, place[..., 1, None, None] * width
    radius = (place[..., 2, None, None] - 0.5).clamp_min(0) * 0.2 * min(height, width)  # half of them: none
    daubs = (y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2  # 1, _DAUBS, H, W
    return daubs.any(dim=1, keepdim=True).float().expand_as(like)
