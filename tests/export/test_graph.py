"""The inputs that a graph is traced and compared with."""

import torch
from torch import nn

from export.graph import Graph


class Sum(Graph):
    inputs, outputs, stride = {"image": 3, "plane": 1}, ("sum",), 8

    def forward(self, image, plane):
        return (image + plane,)


def example(seed=0):
    return Sum().example(2, 16, 24, torch.Generator().manual_seed(seed))


def test_an_example_has_every_input_in_its_order_and_range():
    image, plane = example()
    assert image.shape == (2, 3, 16, 24) and plane.shape == (2, 1, 16, 24)
    for x in (image, plane):
        assert x.min() >= 0 and x.max() <= 1 and x.std() > 0.05
    assert not torch.equal(image[0], image[1])  # the portrait at two brightnesses
    torch.testing.assert_close(image[0] / image[0].max(), image[1] / image[1].max())


def test_the_same_seed_gives_the_same_example():
    for first, again, other in zip(example(), example(), example(1), strict=True):
        assert torch.equal(first, again) and not torch.equal(first, other)


def test_all_inputs_share_their_dynamic_axes_in_steps_of_the_stride():
    program = torch.export.export(Sum(), example(), dynamic_shapes=Sum().axes())
    module: nn.Module = program.module()
    assert module(torch.ones(3, 3, 40, 8), torch.ones(3, 1, 40, 8))[0].shape == (3, 3, 40, 8)
    assert {int(r.upper) for r in program.range_constraints.values()} == {64, 8192 // 8, 8192}
