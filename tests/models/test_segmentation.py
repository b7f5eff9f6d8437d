"""Mask and band of the segmentation head."""

import pytest
import torch

from jointmat.models.segmentation import SegmentationHead
from tests.tiny import CONFIG

SKIP = 6


def head():
    torch.manual_seed(0)
    return SegmentationHead(SKIP, CONFIG).eval()


def features(height, width, batch=2):
    generator = torch.Generator().manual_seed(1)
    skip = torch.randn(batch, SKIP, height // 4, width // 4, generator=generator)
    return skip, torch.randn(batch, CONFIG.neck_channels, height // 32, width // 32, generator=generator)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (160, 32)])
@torch.no_grad()
def test_sizes(height, width):
    mask_logits, band = head()(*features(height, width))
    assert mask_logits.shape == band.shape == (2, 1, height // 4, width // 4)


@torch.no_grad()
def test_the_band_stays_within_its_bounds():
    _, band = head()(*(100 * x for x in features(64, 64)))
    assert band.min() >= 0
    assert band.max() <= CONFIG.radii[-1]
    assert band.max() - band.min() > 1


@pytest.mark.parametrize("which", [0, 1])
@torch.no_grad()
def test_it_reads_the_skip_and_the_context(which):
    x = list(features(64, 64))
    before = head()(*x)
    x[which] = x[which] + torch.randn_like(x[which])
    for first, second in zip(before, head()(*x), strict=True):
        assert not torch.allclose(first, second)


def test_gradients_reach_every_parameter():
    made = head()
    mask_logits, band = made(*features(64, 64))
    (mask_logits.sigmoid().square().mean() + band.square().mean()).backward()
    idle = [name for name, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert all(p.grad.isfinite().all() for p in made.parameters())
