"""Mask, band and context of the segmentation head."""

import pytest
import torch

from jointmat.models.segmentation import SegmentationHead

CHANNELS = (4, 6, 8, 10, 12)


def head():
    torch.manual_seed(0)
    return SegmentationHead(CHANNELS, 16, 8, (1, 2, 3), max_band=5.0).eval()


def features(height, width, batch=2):
    torch.manual_seed(1)
    return [
        torch.randn(batch, channels, height // 2**level, width // 2**level)
        for level, channels in enumerate(CHANNELS, start=1)
    ]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (160, 32)])
@torch.no_grad()
def test_sizes(height, width):
    mask_logits, band, context = head()(features(height, width))
    assert mask_logits.shape == band.shape == (2, 1, height // 4, width // 4)
    assert context.shape == (2, 16, height // 16, width // 16)


@torch.no_grad()
def test_the_band_stays_within_its_bounds():
    large = [100 * f for f in features(64, 64)]
    band = head()(large).band
    assert band.min() >= 0
    assert band.max() <= 5
    assert band.max() - band.min() > 1


@pytest.mark.parametrize("level", [1, 3, 4])
@torch.no_grad()
def test_it_reads_quarter_sixteenth_and_deepest(level):
    x = features(64, 64)
    before = head()(x)
    x[level] = x[level] + torch.randn_like(x[level])
    after = head()(x)
    assert not torch.allclose(before.mask_logits, after.mask_logits)
    assert not torch.allclose(before.band, after.band)
    assert torch.equal(before.context, after.context) == (level == 1)


def test_gradients_reach_every_parameter():
    made = head()
    mask_logits, band, _ = made(features(64, 64))
    (mask_logits.sigmoid().square().mean() + band.square().mean()).backward()
    idle = [name for name, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert all(p.grad.isfinite().all() for p in made.parameters())
