"""The network's building blocks: convolutions, residual blocks, shortcuts."""

import torch.nn.functional as F
from torch import Tensor, nn


class EncoderBlock(nn.Module):
    """Two 3×3 convolutions beside an identity; with stride 2 the identity is averaged and projected."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = conv3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.AvgPool2d(2), _conv1(inputs, outputs), nn.BatchNorm2d(outputs))
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x))


class DecoderBlock(nn.Module):
    """The mirror of `EncoderBlock`: conv1 keeps the channels and, with stride 2, doubles height and width."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = doubling_conv(inputs) if stride == 2 else conv3(inputs, inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = conv3(inputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.upsample = (
            nn.Sequential(nn.Upsample(scale_factor=2), _conv1(inputs, outputs), nn.BatchNorm2d(outputs))
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = leaky(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return leaky(y + self.upsample(x))


def stage(
    block: type[EncoderBlock] | type[DecoderBlock], inputs: int, outputs: int, *, blocks: int, stride: int
) -> nn.Sequential:
    first = block(inputs, outputs, stride)
    return nn.Sequential(first, *(block(outputs, outputs) for _ in range(blocks - 1)))


def shortcut(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, activation, normalisation, twice; the order differs from that of the blocks."""
    return nn.Sequential(
        *(conv3(inputs, outputs), nn.ReLU(), nn.BatchNorm2d(outputs)),
        *(conv3(outputs, outputs), nn.ReLU(), nn.BatchNorm2d(outputs)),
    )


def guidance_step(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        *(nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3, stride=2, bias=False)),
        *(nn.ReLU(), nn.BatchNorm2d(outputs)),
    )


def _conv1(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def doubling_conv(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False)


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)
