"""The sizes of the models, all in one place.

A configuration is a frozen dataclass. It is stored in the header of a weights file, so that a file says by
itself which network it belongs to.
"""

import dataclasses
import difflib
import json
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from jointmat.errors import ConfigError

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def configuration(cls: type[T]) -> type[T]:
    """Class decorator: a frozen dataclass that `from_mapping` takes no unknown keys for."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return dataclass(frozen=True)(cls)


@configuration
class ModelConfig:
    """Sizes and choices of a network; `jointmat.build` makes it."""

    architecture: str = "joint"
    """The network to build: "joint" (`JointMatting`), or the baselines "two-model", "shm" and "classic"."""

    encoder: str = "efficientnet_lite0"
    """Any timm model with `features_only` and features at strides 2, 4, 8, 16 and 32."""

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Subtracted from the image in [0, 1]; what the encoder was trained with."""

    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """The image is divided by it after the mean."""

    encoder_scale: int = 2
    """The encoder sees the image averaged over squares of so many pixels, 1 or 2: what a person is can be seen at
    half the size, and the detail stem sees the rest."""

    neck_channels: int = 96
    """Channels of the neck, which merges the encoder's two deepest features; the context of both heads."""

    aspp_channels: int = 64
    """Channels of the DeepLabV3+ head."""

    skip_channels: int = 16
    """Channels in that head of the encoder's feature at 1/4."""

    atrous_rates: tuple[int, int, int] = (2, 4, 8)
    """Dilations of the pyramid pooling, at the neck's stride."""

    aspp_dropout: float = 0.1
    """Share of the pooled features that training drops."""

    radii: tuple[int, ...] = (1, 2, 3, 5, 8)
    """Disks that the band's width interpolates, in pixels at 1/4; the last one bounds the width."""

    temperature: float = 20.0
    """τ of the soft morphology; its exponential must fit in float32."""

    saturation: float = 0.4
    """Planes of the trimap below it become 0, above 1 minus it 1; from 0 to less than 0.5."""

    decoder_channels: tuple[int, int, int] = (48, 32, 24)
    """Channels of the matting decoder at 1/8 (and coarser), 1/4 and 1/2, the last also of its detail stem."""

    key_channels: int = 24
    """Channels of the guidance patches that the attention compares; 0 leaves the attention out."""

    max_queries: int | None = 128
    """Unknown patches that may ask in the attention; None for all patches, as published."""

    attention_threshold: float = 0.05
    """Mean unknownness from which on a 3×3 patch counts as unknown; 0 as published, a little more for a soft
    trimap, which is never exactly 0."""

    # What the joint network is compared with: its own parts, otherwise or left out.

    band: float | None = None
    """Half-width of the unknown band, pixels at 1/4, the same everywhere; None: the network predicts it."""

    hard_trimap: bool = False
    """Make alpha with the one-hot argmax of the trimap instead of with saturated planes."""

    fusion: bool = True
    """α = F + U·α_raw; False: alpha is α_raw."""

    # The baselines' own.

    unet_channels: tuple[int, ...] = (64, 48, 32, 16)
    """Channels of the segmentation U-Net's decoder, deepest block first; it ends at 1/4, or finer."""

    kernel: int = 7
    """Kernel of the classic trimap, pixels; odd. See `jointmat.ops.morphology.hard_trimap`."""

    iterations: int = 6
    """How often the classic trimap applies its kernel."""

    def __post_init__(self) -> None:
        self._check_sizes()
        if self.encoder_scale not in (1, 2):
            raise ConfigError(f"encoder_scale={self.encoder_scale}: expected 1 or 2")
        stages = 2 + self.encoder_scale  # from the encoder's 1/32 up to 1/4 of the image
        if not stages <= len(self.unet_channels) <= 5:
            raise ConfigError(
                f"unet_channels={self.unet_channels}: expected {stages} to 5 stages, number {stages} is at 1/4"
            )
        for name in ("aspp_dropout", "attention_threshold"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected at least 0 and less than 1")
        if self.key_channels < 0:
            raise ConfigError(
                f"key_channels={self.key_channels}: expected at least 0, which leaves attention out"
            )
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel={self.kernel}: expected an odd number")
        if 0 in self.std or not all(map(math.isfinite, (*self.mean, *self.std))):
            raise ConfigError(f"mean={self.mean}, std={self.std}: expected numbers, and no std of 0")
        if not self.radii or list(self.radii) != sorted(set(self.radii)) or self.radii[0] < 1:
            raise ConfigError(f"radii={self.radii}: expected ascending whole numbers from 1 up")
        if self.band is not None and not 0 < self.band <= self.radii[-1]:
            raise ConfigError(
                f"band={self.band}: expected more than 0 and at most {self.radii[-1]}, the last radius"
            )
        if not 0 <= self.saturation < 0.5:
            raise ConfigError(f"saturation={self.saturation}: expected at least 0 and less than 0.5")
        if not 0 < self.temperature <= 80:  # e^80 times the pixels of a disk is the most that float32 holds
            raise ConfigError(f"temperature={self.temperature}: expected more than 0 and at most 80")

    def _check_sizes(self) -> None:
        widths = ("neck_channels", "aspp_channels", "skip_channels", "atrous_rates", "decoder_channels")
        for name in (*widths, "unet_channels", "kernel", "iterations", "max_queries"):
            value = getattr(self, name)
            sizes = value if isinstance(value, tuple) else (1 if value is None else value,)
            if not sizes or min(sizes) < 1:
                raise ConfigError(f"{name}={value}: expected at least 1")

    @property
    def stride(self) -> int:
        """Height and width of the input must be multiples of it, pixels."""
        return 32


MODELS: dict[str, ModelConfig] = {
    "lite": ModelConfig(),
    "base": ModelConfig(
        encoder="resnet34",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        encoder_scale=1,
        neck_channels=256,
        aspp_channels=128,
        skip_channels=48,
        atrous_rates=(6, 12, 18),
        decoder_channels=(128, 64, 32),
        key_channels=64,
        max_queries=1024,
    ),
    "two-model": ModelConfig(architecture="two-model"),
    "shm": ModelConfig(architecture="shm"),
    "classic": ModelConfig(
        architecture="classic",
        encoder="resnet34",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        encoder_scale=1,
        unet_channels=(256, 128, 64, 32, 16),
    ),
}


def from_mapping(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build a (nested) configuration from plain data, as read from YAML or JSON.

    Types are checked strictly, by pydantic: `true` is no number, and 64.0 no whole one.

    Parameters
    ----------
    where : put before the keys in messages, such as "data."

    Raises
    ------
    ConfigError
        for an unknown key, naming the nearest known one, or a value of the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    if not isinstance(values, Mapping):
        raise ConfigError(f"configuration: expected keys and values, got {type(values).__name__}")
    try:
        # As JSON, which has no tuples: a list is taken for one, however strict the rest is.
        return TypeAdapter(cls).validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(_explained(cls, error.errors()[0], where)) from None


def to_mapping(config: Any) -> dict[str, Any]:
    """The inverse of `from_mapping`: nested plain data."""
    return dataclasses.asdict(config)


def differences(before: Mapping[str, Any], after: Mapping[str, Any], where: str = "") -> list[str]:
    """What changed between two nested mappings, one "key: old → new" a leaf."""
    lines = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += differences(old, new, f"{where}{key}.")
        elif old != new:
            lines.append(f"{where}{key}: {old!r} → {new!r}")
    return lines


def _explained(cls: type, error: Mapping[str, Any], where: str) -> str:
    """One line on what pydantic found: the key, what it is and what was expected."""
    *path, last = places = error["loc"] or ("",)
    key = where + "".join(f"[{x}]" if isinstance(x, int) else f".{x}" for x in places).removeprefix(".")
    if error["type"] == "value_error":  # of a __post_init__
        return str(error["ctx"]["error"])
    if error["type"] == "unexpected_keyword_argument":
        names = [f.name for f in dataclasses.fields(_at(cls, path))]
        near = difflib.get_close_matches(str(last), names, n=1)
        meant = f"did you mean {key.removesuffix(str(last))}{near[0]}?" if near else ""
        return f"unknown key {key}: {meant or 'known keys: ' + ', '.join(names)}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{key}: missing"
    expected = error["msg"].removeprefix("Input should be ")
    return f"{key}={error['input']!r}: expected {expected}, got {type(error['input']).__name__}"


def _at(hint: Any, path: Sequence[str | int]) -> Any:
    """The configuration class that is found by keys and indices in another one, or in a tuple or dict of them."""
    if not path:
        return hint
    if dataclasses.is_dataclass(hint):
        return _at(typing.get_type_hints(hint)[str(path[0])], path[1:])
    return _at(next(x for x in reversed(typing.get_args(hint)) if x is not Ellipsis), path[1:])
