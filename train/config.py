"""Configuration of a training run: frozen dataclasses read from YAML."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from jointmat.config import MODELS, ModelConfig, configuration, from_mapping, to_mapping
from jointmat.errors import ConfigError


@configuration
class PartConfig:
    """One part of the training data."""

    weight: float = 1.0
    """Share of the samples, relative to the other parts."""
    splits: tuple[str, ...] = ("train",)
    """Splits of the data set to draw from: names, or patterns such as "train*"."""
    sources: tuple[str, ...] = ()
    """Only these sources of a manifest; empty for all."""
    reader: str = "manifest"
    """How the folder is laid out: a name in `train.data.readers`."""
    root: str = ""
    """The folder; empty for `data.root`."""
    licence: str = "not stated"
    """For the record of the weights, where the data set's folder does not tell it."""
    kinds: tuple[str, ...] = ()
    """Only items of these kinds: cutout, alpha, mask, background; empty for all."""

    def __post_init__(self) -> None:
        if not self.splits or any(fnmatchcase("val", split) for split in self.splits):
            raise ConfigError(f"splits={self.splits}: val is for evaluation; expected training splits")
        _check(self, ("weight",), lambda x: 0 < x < float("inf"), "a number above 0")


@configuration
class DataConfig:
    """Sources of samples, and how they are cut."""

    root: str = ""
    """Folder of the parts that name none."""
    mixture: tuple[PartConfig, ...] = ()
    """Sources of overviews, and of second looks if `given` is empty."""
    given: tuple[PartConfig, ...] = ()
    """Sources of second looks, which come with a trimap."""
    given_share: float = 0.5
    """Share of the samples that are second looks."""
    scale_given: tuple[float, float] = (0.5, 1.6)
    """Pixels of the source for one of a second look."""
    trimap_max_width: int = 40
    """Pixels by which the band of a given trimap passes the soft ones, at most."""
    user_trimaps: float = 0.3
    """Share of the given trimaps that are hard, as users draw them, without an earlier alpha."""
    priors: float = 0.8
    """Share of the other ones that come with an earlier alpha."""
    synthetic_prob: float = 0.0
    """Share of the second looks whose subject is a drawn shape filled with a background."""
    cache: str = ""
    """Folder to keep decoded images in; empty decodes them every time."""
    exclude: tuple[str, ...] = ()
    """Names of items to leave out, because their labels are wrong; NAME, or SOURCE/NAME."""
    bad_items: str = "raise"
    """How to treat unusable files found at the start: raise, or skip them."""
    leave_out: tuple[str, ...] = ()
    """Sources that are not trained on, to be tested on."""
    backgrounds: tuple[PartConfig, ...] = ()
    """Images to put people in front of, all alike; none leaves plain walls."""
    shapes: tuple[tuple[int, int], ...] = ((320, 320),)
    """(height, width) of the samples; each batch draws one."""
    zoom_photo: tuple[float, float] = (0.6, 1.0)
    """Extent of the window relative to the largest one that fits in the photo."""
    zoom_cutout: tuple[float, float] = (0.4, 1.8)
    zoom_small: tuple[float, float] = (1.8, 7.0)
    small: float = 0.12
    """Share of the subjects that are small in the window."""
    turned: float = 0.03
    """Share of the overviews that are sideways or upside down."""
    shadow: float = 0.3
    """Share of composites whose subject throws a shadow."""
    plain_background: float = 0.15
    """Share of composites on a studio wall."""
    second_person: float = 0.12
    """Share of composites with somebody behind."""
    hair: float = 0.0
    """Share of composites that get drawn strands, see `train.data.hair`; the ablation shows no gain from them."""
    clutter: float = 0.15
    """Share of backgrounds with an object in them."""
    occluder: float = 0.05
    """Share of composites with an object in front."""
    recompose: float = 0.5
    """Share of images with an alpha that are put on another background, by their estimated foreground."""
    mask_doubt: float = 0.025
    """Width outside of a coarse mask's edge where alpha is not trusted, as a share of the photo's long side."""
    seed: int = 1
    workers: int = 1

    def __post_init__(self) -> None:
        wrong = [shape for shape in self.shapes if min(shape) < 32 or shape[0] % 32 or shape[1] % 32]
        if wrong or not self.shapes:
            raise ConfigError(f"data.shapes: got {wrong or 'none'}, expected heights and widths divisible by 32")
        if self.bad_items not in ("raise", "skip"):
            raise ConfigError(f"data.bad_items={self.bad_items}: expected raise or skip")
        shares = (
            *("given_share", "user_trimaps", "priors", "synthetic_prob", "small", "turned", "shadow"),
            *("plain_background", "second_person", "hair", "clutter", "occluder", "recompose"),
        )
        _check(self, shares, lambda x: 0 <= x <= 1, "from 0 to 1", "data.")
        _check(self, ("mask_doubt", "workers", "seed"), lambda x: x >= 0, "at least 0", "data.")
        _check(self, ("trimap_max_width",), lambda x: x >= 1, "at least 1", "data.")
        zooms = ("zoom_photo", "zoom_cutout", "zoom_small", "scale_given")
        _check(self, zooms, lambda x: 0 < x[0] <= x[1], "two ascending numbers above 0", "data.")

    def folder(self, part: PartConfig) -> Path:
        """The folder of a part; ConfigError if neither it nor the data names one."""
        if not (part.root or self.root):
            raise ConfigError("data.root is not set: pass the folder of training data, --data DIR")
        return Path(part.root or self.root)


@configuration
class LossConfig:
    """Weights of the loss terms; see `train.losses`."""

    segmentation: float = 1.0
    trimap: float = 0.5
    alpha: float = 5.0
    unknown: float = 2.0
    composition: float = 2.0
    laplacian: float = 15.0

    def __post_init__(self) -> None:
        names = [term.name for term in fields(self)]
        _check(self, names, lambda x: 0 <= x < float("inf"), "at least 0", "loss.")


@configuration
class TrainConfig:
    """A training run."""

    name: str
    """The run's folder is runs/NAME."""
    model: ModelConfig = MODELS["lite"]
    initial_weights: str = ""
    """Name or weights file to start from; empty for an ImageNet encoder and a fresh rest."""
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    steps: int = 10000
    batch_size: int = 8
    learning_rate: float = 1e-3
    encoder_lr_scale: float = 0.4
    """The pretrained encoder learns at this share of the rate."""
    weight_decay: float = 1e-2
    warm_up: int = 300
    """Steps over which the learning rate rises."""
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    """Decay of the weights' moving average, which is what is evaluated and kept."""
    trimap_gradient: float = 0.0
    """Share of alpha's gradient that is passed through the trimap to mask and band."""
    frozen: tuple[str, ...] = ()
    """Parts of the model that stay as they are: names of modules, such as "encoder"."""
    imagenet: bool = True
    """Start a fresh encoder from ImageNet weights."""
    freeze_norm: bool = False
    """Keep the statistics of the batch normalisation: for small batches, as in fine-tuning."""
    device: str = "cpu"
    """cpu, cuda, or auto; GPUs have not been tested."""
    bf16: bool = False
    """Compute in bfloat16 where it is safe. It pays on processors with bfloat16 units, and costs on others."""
    compile: bool = False
    tensorboard: bool = False
    max_bad_steps: int = 20
    """Steps in a row whose gradient is not finite, after which the run stops."""
    threads: int = 2
    checkpoint_minutes: float = 5.0
    preview_minutes: float = 10.0
    seed: int = 1

    def __post_init__(self) -> None:
        if re.search(r"^/|[\\\0]", self.name) or {".", ".."} & set(self.name.split("/")):
            raise ConfigError(f"name={self.name!r}: expected the name of a folder inside of runs/")
        counts = ("steps", "batch_size", "threads", "max_bad_steps")
        _check(self, counts, lambda x: x >= 1, "at least 1")
        _check(self, ("learning_rate", "clip_norm"), lambda x: 0 < x < float("inf"), "a number above 0")
        _check(
            self, ("encoder_lr_scale", "weight_decay", "warm_up"), lambda x: 0 <= x < float("inf"), "at least 0"
        )
        _check(self, ("trimap_gradient",), lambda x: 0 <= x <= 1, "from 0 to 1")
        _check(self, ("ema_decay",), lambda x: 0 <= x < 1, "at least 0 and less than 1")
        _check(self, ("checkpoint_minutes", "preview_minutes"), lambda x: x >= 0, "at least 0")
        if self.batch_size == 1 and not self.freeze_norm:
            raise ConfigError(
                "batch_size=1: batch normalisation needs 2 or more; or keep its statistics, freeze_norm=true"
            )


def _check(
    config: Any, names: Sequence[str], fits: Callable[[Any], bool], expected: str, where: str = ""
) -> None:
    for name in names:
        if not fits(value := getattr(config, name)):
            raise ConfigError(f"{where}{name}={value}: expected {expected}")


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file and apply overrides such as `data.workers=4`.

    With `base: FILE` a file extends another one beside it and inherits all but its name.

    Raises
    ------
    ConfigError
        for a file that is not YAML or is its own base, an unknown key (the nearest known one is named) or a wrong
        type.
    """
    values = {"name": path.stem, **_read(path)}
    for override in overrides:
        values = merged(values, _parsed(override))
    return from_mapping(TrainConfig, values)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` over them: groups key by key, everything else as a whole.

    A model's name is expanded to all its sizes, so that single ones can be changed.
    """
    result = dict(values)
    if isinstance(changes.get("model"), str):
        changes = {**changes, "model": to_mapping(_model(changes["model"]))}
    for key, change in changes.items():
        old = result.get(key)
        nested = isinstance(old, Mapping) and isinstance(change, Mapping)
        result[key] = merged(old, change) if nested else change  # type: ignore[arg-type]
    return result


class _Loader(yaml.SafeLoader):
    """Takes 1e-4 for a number, as YAML 1.2 does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a file; ConfigError if it cannot be read or is something else."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path}: expected a mapping of keys to values, got {type(values).__name__}")
    return dict(values)


def _read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a file over those of its base; `above` are the files that it is the base of."""
    if path.resolve() in above:
        raise ConfigError(f"{path}: refers to itself through base")
    values = read_yaml(path)
    if "base" not in values:
        return merged({}, values)
    own = {key: value for key, value in values.items() if key != "base"}
    base = _read(path.parent / str(values["base"]), (*above, path.resolve()))
    base.pop("name", None)
    return merged(base, own)


def _model(name: str) -> ModelConfig:
    if name not in MODELS:
        raise ConfigError(f"model={name}: expected one of {', '.join(MODELS)}, or a mapping of sizes")
    return MODELS[name]


def _parsed(override: str) -> dict[str, Any]:
    """`a.b=value` as nested keys."""
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"{override!r}: expected key=value, such as steps=1000")
    try:
        value = yaml.load(text, _Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigError(f"{override}: not valid YAML: {' '.join(str(error).split())}") from None
    for name in reversed(key.split(".")):
        value = {name: value}
    return value
