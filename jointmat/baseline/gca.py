"""The published trimap-based matting network: "Natural Image Matting via Guided Contextual Attention".

Li & Lu, AAAI 2020 (arXiv 2001.04069). A ResNet-34-like encoder reads the image together with its trimap, the
decoder mirrors it with five additive shortcuts, and guided contextual attention sits once in each of them at
1/8. This is the second of the two networks of the classic pipeline, kept layer by layer as published: names
and shapes of its state dict are those of the checkpoints that the authors released, which
`load_gca_checkpoint` reads.

The authors train with spectral normalisation (Miyato et al., ICLR 2018): convolutions have the weight
W = W̄/σ(W̄). Once trained, W is a constant, so prediction uses plain convolutions.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointmat.errors import InputError, InputTypeError, WeightsError
from jointmat.models.attention import GuidedContextualAttention

MULTIPLE = 32  # pixels; what the height and width of an input must be a multiple of

# In uint8 trimaps: below is background, from here on foreground, between the two unknown.
_UNKNOWN_FROM, _FOREGROUND_FROM = 85, 170
_MARGIN = 32  # pixels reflected around the image, so that its border is not the network's border

_POWER_ITERATIONS_AT_START = 15
_EPSILON = 1e-12  # added to the norm of a singular vector
_LISTED = 3  # names that an error prints of each kind

Convolution: TypeAlias = nn.Conv2d | nn.ConvTranspose2d
Wrap: TypeAlias = Callable[[Convolution], nn.Module]


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


class EncoderBlock(nn.Module):
    """Two 3×3 convolutions beside an identity; with stride 2 the identity is averaged and projected."""

    def __init__(self, wrap: Wrap, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = wrap(_conv3(inputs, outputs, stride))
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = wrap(_conv3(outputs, outputs))
        self.bn2 = _silent_norm(outputs)
        self.downsample = (
            nn.Sequential(nn.AvgPool2d(2), wrap(_conv1(inputs, outputs)), nn.BatchNorm2d(outputs))
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x))


class DecoderBlock(nn.Module):
    """The mirror of `EncoderBlock`: conv1 keeps the channels and, with stride 2, doubles height and width."""

    def __init__(self, wrap: Wrap, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = wrap(_doubling_conv(inputs) if stride == 2 else _conv3(inputs, inputs))
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = wrap(_conv3(inputs, outputs))
        self.bn2 = _silent_norm(outputs)
        self.upsample = (
            nn.Sequential(nn.Upsample(scale_factor=2), wrap(_conv1(inputs, outputs)), nn.BatchNorm2d(outputs))
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = _leaky(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return _leaky(y + self.upsample(x))


class GCAEncoder(nn.Module):
    """Image and trimap to bottleneck, shortcuts and guidance (published as `resnet_gca_encoder_29`)."""

    def __init__(self, wrap: Wrap):
        super().__init__()
        self.conv1 = wrap(_image_only(_conv3(6, 32, stride=2)))
        self.conv2 = wrap(_conv3(32, 32))
        self.conv3 = wrap(_conv3(32, 64, stride=2))
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(32), nn.BatchNorm2d(32), nn.BatchNorm2d(64)
        self.layer1 = _stage(EncoderBlock, wrap, 64, 64, blocks=3, stride=1)
        self.layer2 = _stage(EncoderBlock, wrap, 64, 128, blocks=4, stride=2)
        self.layer3 = _stage(EncoderBlock, wrap, 128, 256, blocks=4, stride=2)
        self.layer_bottleneck = _stage(EncoderBlock, wrap, 256, 512, blocks=2, stride=2)
        self.shortcut = nn.ModuleList(
            _shortcut(wrap, inputs, outputs)
            for inputs, outputs in ((6, 32), (32, 32), (64, 64), (128, 128), (256, 256))
        )
        self.guidance_head = nn.Sequential(
            *_guidance_step(wrap, 3, 16), *_guidance_step(wrap, 16, 32), *_guidance_step(wrap, 32, 128)
        )
        self.gca = GuidedContextualAttention(128, 128)

    def forward(self, x: Tensor, unknown: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Features of an image with its trimap.

        Parameters
        ----------
        x : (B, 6, H, W), the normalised image and the one-hot trimap
        unknown : (B, 1, H/8, W/8) in {0, 1}

        Returns
        -------
        bottleneck : (B, 512, H/32, W/32)
        shortcuts : five, with 32, 32, 64, 128, 256 channels at 1/1, 1/2, 1/4, 1/8, 1/16
        guidance : (B, 128, H/8, W/8), which the decoder's attention shares
        """
        guidance = self.guidance_head(x[:, :3])  # B, 128, H/8, W/8
        half = F.relu(self.bn1(self.conv1(x)))
        half = F.relu(self.bn2(self.conv2(half)))  # B, 32, H/2, W/2
        quarter = self.layer1(F.relu(self.bn3(self.conv3(half))))  # B, 64, H/4, W/4
        eighth = self.gca(guidance, self.layer2(quarter), unknown)  # B, 128, H/8, W/8
        sixteenth = self.layer3(eighth)  # B, 256, H/16, W/16
        features = (x, half, quarter, eighth, sixteenth)
        skips = [shortcut(feature) for shortcut, feature in zip(self.shortcut, features, strict=True)]
        return self.layer_bottleneck(sixteenth), skips, guidance


class GCADecoder(nn.Module):
    """Bottleneck, shortcuts and guidance to alpha at 1/1 (published as `res_gca_decoder_22`)."""

    def __init__(self, wrap: Wrap):
        super().__init__()
        self.conv1 = wrap(_doubling_conv(32))
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 1, 3, padding=1)
        nn.init.xavier_uniform_(self.conv2.weight)
        self.layer1 = _stage(DecoderBlock, wrap, 512, 256, blocks=2, stride=2)
        self.layer2 = _stage(DecoderBlock, wrap, 256, 128, blocks=3, stride=2)
        self.layer3 = _stage(DecoderBlock, wrap, 128, 64, blocks=3, stride=2)
        self.layer4 = _stage(DecoderBlock, wrap, 64, 32, blocks=2, stride=2)
        self.gca = GuidedContextualAttention(128, 128)

    def forward(self, x: Tensor, skips: list[Tensor], guidance: Tensor, unknown: Tensor) -> Tensor:
        """Alpha (B, 1, H, W) in [0, 1] from what `GCAEncoder` returns and the same `unknown`."""
        full, half, quarter, eighth, sixteenth = skips
        x = self.layer1(x) + sixteenth  # B, 256, H/16, W/16
        x = self.layer2(x) + eighth  # B, 128, H/8, W/8
        x = self.gca(guidance, x, unknown)
        x = self.layer3(x) + quarter  # B, 64, H/4, W/4
        x = self.layer4(x) + half  # B, 32, H/2, W/2
        x = _leaky(self.bn1(self.conv1(x))) + full  # B, 32, H, W
        return (self.conv2(x).tanh() + 1) / 2


class GCAMatting(nn.Module):
    """Image and trimap to alpha: the published network.

    The attention compares all places at 1/16 with each other: a map of their similarities takes 4 MB at 512²,
    266 MB at 1920×1080 and 4.3 GB at 3840×2160.

    Parameters
    ----------
    spectral_norm : False for plain convolutions, the form to predict with. True for the form to train, with
        25,164,529 parameters and the 578 published entries in its state dict; `fold_spectral_norm` leads from
        it to the plain form.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spectral_norm: bool = False):
        super().__init__()
        wrap: Wrap = SpectralNorm if spectral_norm else nn.Identity()
        self.encoder = GCAEncoder(wrap)
        self.decoder = GCADecoder(wrap)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor, trimap: Tensor) -> Tensor:
        """Alpha of a batch.

        Parameters
        ----------
        image : (B, 3, H, W) RGB in [0, 1], H and W multiples of 32
        trimap : (B, 3, H, W) one-hot planes of the same dtype: background, unknown, foreground

        Returns
        -------
        (B, 1, H, W) in [0, 1], as the network says it; `matte` also sets the known pixels.

        Raises
        ------
        InputError
            for other shapes.
        """
        _check_batch(image, trimap)
        x = torch.cat([(image - self.mean) / self.std, trimap], dim=1)  # B, 6, H, W
        unknown = trimap[:, 1:2, ::8, ::8]  # B, 1, H/8, W/8: nearest, as published
        x, skips, guidance = self.encoder(x, unknown)
        return self.decoder(x, skips, guidance, unknown)

    @torch.inference_mode()
    def matte(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        """Alpha of one picture of any size, padded as in the authors' demo.

        Parameters
        ----------
        image : (H, W, 3) uint8 RGB
        trimap : (H, W) uint8, below 85 background, from 170 foreground, unknown between

        Returns
        -------
        (H, W) float32 in [0, 1]: exactly 0 and 1 where the trimap says so.

        Raises
        ------
        InputTypeError, InputError
            for other dtypes and shapes, and for a network in training mode, whose answer would depend on
            the batch.
        """
        _check_picture(image, trimap)
        if self.training:
            raise InputError("GCAMatting is in training mode: call .eval() before .matte(…)")
        height, width = trimap.shape
        background, foreground = trimap < _UNKNOWN_FROM, trimap >= _FOREGROUND_FROM
        unknown = ~(background | foreground)
        planes = np.stack([background, unknown, foreground], axis=-1)
        alpha = self(self._as_batch(image / np.float32(255)), self._as_batch(planes))
        alpha = alpha[0, 0, _MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width].float().cpu().numpy()
        return np.where(unknown, alpha, foreground.astype(np.float32))

    def _as_batch(self, planes: np.ndarray) -> Tensor:
        """(H, W, 3) to (1, 3, H', W') with the margin, on the network's device and of its dtype."""
        height, width = planes.shape[:2]
        below, right = -height % MULTIPLE, -width % MULTIPLE
        margins = ((_MARGIN, _MARGIN + below), (_MARGIN, _MARGIN + right), (0, 0))
        padded = np.pad(planes, margins, mode="reflect").transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(padded)).to(self.mean)[None]


def load_gca_checkpoint(path: str | Path, spectral_norm: bool = False) -> GCAMatting:
    """The network with the weights of a checkpoint as the authors release it.

    The file is a `torch.save` of {'iter', 'loss', 'state_dict', 'opt_state_dict', 'lr_state_dict'}; only the
    state dict is used. It is read without executing code. The released weights are for non-commercial use.

    Parameters
    ----------
    path : such as gca-dist.pth or gca-dist-all-data.pth
    spectral_norm : False folds the spectral normalisation into plain weights, which is exact; True keeps it,
        to go on training

    Returns
    -------
    GCAMatting in evaluation mode, on the CPU.

    Raises
    ------
    WeightsError
        for a file that cannot be read, is no such checkpoint, or belongs to another network: the text lists
        the first names that are missing, unexpected or of another shape, or that hold NaN or infinite values.
    """
    path = Path(path)
    state = _read_state_dict(path)
    model = GCAMatting(spectral_norm=True)
    _check_state_dict(state, model.state_dict(), path)
    if spectral_norm:
        model.load_state_dict(state)
    else:
        model = GCAMatting()
        model.load_state_dict(fold_spectral_norm(state))
    broken = [name for name, value in model.state_dict().items() if not value.isfinite().all()]
    if broken:
        raise WeightsError(f"{path}: damaged, {_names('with NaN or inf', broken)}; fetch the file again")
    return model.eval()


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


def _conv1(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def _conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def _doubling_conv(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False)


def _image_only(convolution: nn.Conv2d) -> nn.Conv2d:
    """Start blind to the trimap channels, as published: the first stage is made for ImageNet weights."""
    nn.init.zeros_(convolution.weight[:, 3:])
    return convolution


def _silent_norm(channels: int) -> nn.BatchNorm2d:
    """The last normalisation of a residual branch: it starts at 0, and the block as its identity."""
    norm = nn.BatchNorm2d(channels)
    nn.init.zeros_(norm.weight)
    return norm


def _stage(
    block: type[EncoderBlock] | type[DecoderBlock],
    wrap: Wrap,
    inputs: int,
    outputs: int,
    *,
    blocks: int,
    stride: int,
) -> nn.Sequential:
    first = block(wrap, inputs, outputs, stride)
    return nn.Sequential(first, *(block(wrap, outputs, outputs) for _ in range(blocks - 1)))


def _shortcut(wrap: Wrap, inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, activation, normalisation, twice; the order differs from that of the blocks."""
    return nn.Sequential(
        *(wrap(_conv3(inputs, outputs)), nn.ReLU(), nn.BatchNorm2d(outputs)),
        *(wrap(_conv3(outputs, outputs)), nn.ReLU(), nn.BatchNorm2d(outputs)),
    )


def _guidance_step(wrap: Wrap, inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=2, bias=False)
    return nn.ReflectionPad2d(1), wrap(convolution), nn.ReLU(), nn.BatchNorm2d(outputs)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _check_batch(image: Tensor, trimap: Tensor) -> None:
    for name, planes in (("image", image), ("trimap", trimap)):
        if planes.dim() != 4 or planes.shape[1] != 3:
            raise InputError(f"{name}: expected Bx3xHxW, got {_size(planes.shape)}")
    if image.shape != trimap.shape:
        raise InputError(
            f"image is {_size(image.shape)} and trimap {_size(trimap.shape)}: expected one size; resize the "
            "trimap"
        )
    height, width = image.shape[-2:]
    if height % MULTIPLE or width % MULTIPLE:
        raise InputError(
            f"image: expected height and width divisible by {MULTIPLE}, got {height}x{width}; pad it to "
            f"{height + -height % MULTIPLE}x{width + -width % MULTIPLE}, or call .matte(…), which does"
        )


def _check_picture(image: np.ndarray, trimap: np.ndarray) -> None:
    for name, array in (("image", image), ("trimap", trimap)):
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise InputTypeError(f"{name}: expected a uint8 array, got {found}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(f"image: expected HxWx3 with at least one pixel, got {_size(image.shape)}")
    if trimap.shape != image.shape[:2]:
        raise InputError(
            f"trimap: expected {_size(image.shape[:2])}, the size of the image, got {_size(trimap.shape)}"
        )


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    """The network's weights in a checkpoint file, without the prefix of the authors' parallel wrapper."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; expected a GCA-Matting checkpoint (.pth)")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise WeightsError(
            f"{path}: not a PyTorch checkpoint that can be read safely ({type(error).__name__}); it is "
            "damaged, or holds code beside its tensors"
        ) from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        found = list(checkpoint)[:_LISTED] if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise WeightsError(f"{path}: expected a checkpoint with a dict 'state_dict' in it, got {found}")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _check_state_dict(state: Mapping[str, object], published: Mapping[str, Tensor], path: Path) -> None:
    """Refuse entries that are not exactly those of the published network, and say which."""
    expected = {name: value.shape for name, value in published.items()}
    found = {name: value.shape for name, value in state.items() if isinstance(value, Tensor)}
    reshaped = [
        f"{name} (expected {_size(expected[name])}, got {_size(found[name])})"
        for name in expected.keys() & found.keys()
        if found[name] != expected[name]
    ]
    differences = (
        ("missing", expected.keys() - found.keys()),  # or there, but no tensor
        ("unexpected", state.keys() - expected.keys()),
        ("of another shape", reshaped),
    )
    if any(names for _, names in differences):
        listed = "; ".join(_names(kind, sorted(names)) for kind, names in differences if names)
        raise WeightsError(f"{path}: not the weights of GCA-Matting: {listed}")


def _names(kind: str, names: list[str]) -> str:
    more = ", …" if len(names) > _LISTED else ""
    return f"{len(names)} {kind}: {', '.join(names[:_LISTED])}{more}"


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
