"""The architectures by name, and building or loading a network."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from jointmat.baseline.networks import TwoNetworks, classic, semantic_human_matting, two_model
from jointmat.config import ModelConfig
from jointmat.errors import ConfigError
from jointmat.models.joint import JointMatting
from jointmat.weights import load

Network: TypeAlias = JointMatting | TwoNetworks
"""image, trimap or None → JointOutput; with `config`"""

ARCHITECTURES: dict[str, Callable[[ModelConfig], Network]] = {
    "joint": JointMatting,
    "two-model": two_model,
    "shm": semantic_human_matting,
    "classic": classic,
}


def build(config: ModelConfig) -> Network:
    """A new network with random weights; ConfigError for an unknown architecture."""
    if config.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError(f"architecture={config.architecture!r}: expected one of {known}")
    return ARCHITECTURES[config.architecture](config)


def load_model(path: Path) -> Network:
    """The network in a safetensors file, of any architecture; see `jointmat.weights.load`."""
    return load(path, build)
