"""The matting decoder and its blocks."""

import dataclasses

import pytest
import torch

from jointmat.models.decoder import DetailBlock, MattingDecoder, UpBlock
from tests.tiny import CONFIG

CHANNELS = {4: 3, 8: 4, 16: 5, 32: 6, 64: 7}


def decoder(neck_stride=32, **change):
    torch.manual_seed(0)
    return MattingDecoder(CHANNELS, neck_stride, dataclasses.replace(CONFIG, **change)).eval()


def inputs(height, width, neck_stride=32, batch=2):
    generator = torch.Generator().manual_seed(1)

    def random(channels, stride):
        return torch.rand(batch, channels, -(-height // stride), -(-width // stride), generator=generator)

    features = {stride: random(channels, stride) for stride, channels in CHANNELS.items()}
    return random(3, 1), features, random(CONFIG.neck_channels, neck_stride), random(4, 4)


@torch.no_grad()
def test_an_up_block_doubles_the_size_and_reads_all_three():
    torch.manual_seed(0)
    block = UpBlock(5, 3, 8).eval()
    x = [torch.rand(2, 5, 4, 6), torch.rand(2, 3, 8, 12), torch.rand(2, 4, 8, 12)]
    before = block(*x)
    assert before.shape == (2, 8, 8, 12)
    for i in range(3):
        changed = [plane + 1 if i == k else plane for k, plane in enumerate(x)]
        assert not torch.allclose(block(*changed), before)


@torch.no_grad()
def test_a_detail_block_doubles_the_size_and_reads_both():
    torch.manual_seed(0)
    block = DetailBlock(5, 8).eval()
    below, stem = torch.rand(2, 5, 4, 6), torch.rand(2, 8, 8, 12)
    before = block(below, stem)
    assert before.shape == (2, 8, 8, 12)
    assert not torch.allclose(block(below + 1, stem), before)
    assert not torch.allclose(block(below, stem + 1), before)


@pytest.mark.parametrize("neck_stride", [16, 32])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (128, 32)])
@torch.no_grad()
def test_alpha_at_full_size(neck_stride, height, width):
    alpha = decoder(neck_stride)(*inputs(height, width, neck_stride))
    assert alpha.shape == (2, 1, height, width)
    assert alpha.min() >= 0 and alpha.max() <= 1


@pytest.mark.parametrize("which", ["image", 4, 8, 16, "context", "guide"])
@torch.no_grad()
def test_it_reads_everything_that_it_is_given(which):
    image, features, context, guide = inputs(64, 64)
    planes = {"image": image, "context": context, "guide": guide, **features}

    def alpha():
        levels = {stride: planes[stride] for stride in features}
        return made(planes["image"], levels, planes["context"], planes["guide"])

    made = decoder()
    before = alpha()
    planes[which] = planes[which] + 1
    after = alpha()
    assert not torch.equal(before, after)


def test_a_single_pixel_of_the_image_changes_alpha_there_alone():
    """The stem works at full resolution: what is next to a pixel is not lost in an average."""
    made, (image, *others) = decoder(key_channels=0), inputs(64, 64, batch=1)
    with torch.no_grad():
        before = made(image, *others)
        image[..., 33, 30] += 1
        changed = (made(image, *others) - before).abs()[0, 0] > 1e-7
    rows, columns = changed.nonzero().unbind(dim=1)
    assert changed[33, 30]
    assert (rows - 33).abs().max() < 24 and (columns - 30).abs().max() < 24


@torch.no_grad()
def test_the_four_pixels_of_a_block_are_predicted_apart():
    made = decoder()
    made.to_alpha.weight.zero_()
    made.to_alpha.bias.copy_(torch.tensor([-2.0, -1.0, 1.0, 2.0]))
    alpha = made(*inputs(32, 32))
    expected = torch.tensor([[-2.0, -1.0], [1.0, 2.0]]).sigmoid().repeat(16, 16)
    torch.testing.assert_close(alpha, expected.expand_as(alpha))


@torch.no_grad()
def test_without_attention():
    plain = decoder(key_channels=0)
    assert plain.attention is None and decoder().attention is not None
    assert plain(*inputs(32, 64)).shape == (2, 1, 32, 64)


def test_gradients_reach_every_parameter():
    made = decoder()
    torch.nn.init.normal_(made.attention.W[1].weight)  # which starts as nearly nothing
    made(*inputs(64, 64)).square().mean().backward()
    idle = [name for name, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
