"""Samples for training, each a function of (seed, index) alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from jointmat.errors import ConfigError
from jointmat.evaluation.manifest import Item, Kind
from jointmat.foreground import estimate_foreground
from jointmat.io.arrays import says_nothing
from train.config import DataConfig, PartConfig
from train.data import augment
from train.data.compose import Layer, blob, composite, over, random_window, unknown_pixel, window
from train.data.hair import add_hair
from train.data.readers import read_items
from train.data.shapes import draw_shape


class Sample(NamedTuple):
    """What the losses need to know of one picture, or, with a leading B, of a batch."""

    image: Tensor  # 3, H, W in [0, 1]
    alpha: Tensor  # 1, H, W in [0, 1]
    weight: Tensor  # 1, H, W in [0, 1]: how far alpha is to be trusted at each pixel
    exact: Tensor  # (): 1 where alpha is a matte, 0 where it is a coarse mask that knows nothing of hair
    contrast: Tensor  # 1, H, W in [0, 1]: mean |F − B| over the colours, where both are known; else 0
    person: Tensor  # (): 1 where the subject is to be found without a trimap, 0 where it is anything


class Group(NamedTuple):
    """Items that share a place in the mixture."""

    weight: float
    items: Sequence[Item]
    people: bool = True


class Mixture(Dataset[Sample]):
    """Sample number `index` of an endless stream, drawn from weighted groups of items.

    Samples of one batch share a shape, which is drawn from `config.shapes` by the batch's number, and whether a
    trimap comes with them. Nothing depends on the order in which samples are made, on workers or on global
    random state.

    Parameters
    ----------
    length : samples of all batches
    given_share : of the batches, that come with a trimap
    """

    def __init__(self, config: DataConfig, batch_size: int, length: int, given_share: float = 0.0):
        self.config = config
        self.batch_size = batch_size
        self.length = length
        self.given_share = given_share
        self.groups = _groups(config, config.mixture)
        self.given_groups = _groups(config, config.given) or self.groups
        if not self.groups:
            raise ConfigError("data.mixture is empty: name at least one part, or leave fewer sources out")
        self.backgrounds = [item for part in config.backgrounds for item in _items(config, part)]
        self._odds = {False: _odds(self.groups), True: _odds(self.given_groups)}
        self.cutouts = [i for g in self.groups if g.people for i in g.items if i.kind is Kind.CUTOUT]
        cv2.setNumThreads(1)

    def items(self) -> list[Item]:
        """Everything that samples are drawn from."""
        groups = [*self.groups, *self.given_groups]
        return list(dict.fromkeys([*(item for group in groups for item in group.items), *self.backgrounds]))

    def is_given(self, batch: int) -> bool:
        """Whether a trimap comes with batch number `batch`."""
        return bool(np.random.default_rng((self.config.seed, 2, batch)).random() < self.given_share)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        shapes, batch = self.config.shapes, index // self.batch_size
        size = shapes[int(np.random.default_rng((self.config.seed, 0, batch)).integers(len(shapes)))]
        rng = np.random.default_rng((self.config.seed, 1, index))
        given = self.is_given(batch)
        if given and np.random.default_rng((self.config.seed, 3, index)).random() < self.config.drawn:
            return self._drawn(rng, size)
        groups = self.given_groups if given else self.groups
        group = groups[int(rng.choice(len(groups), p=self._odds[given]))]
        item = group.items[int(rng.integers(len(group.items)))]
        return self._make(rng, item, size)._replace(person=torch.tensor(float(group.people)))

    def _make(self, rng: np.random.Generator, item: Item, size: tuple[int, int]) -> Sample:
        if item.kind is Kind.CUTOUT:
            return self._composite(rng, read_rgba(item), size)
        if item.kind is Kind.BACKGROUND:
            image = self._background(rng, size, item)
            return _sample(augment.degrade(rng, image), np.zeros(size, np.float32), exact=True)
        if item.kind is Kind.ALPHA and not item.weight and rng.random() < self.config.recompose:
            return self._composite(rng, cut_out(item), size)
        return self._photo(rng, item, size)

    def _composite(self, rng: np.random.Generator, rgba: np.ndarray, size: tuple[int, int]) -> Sample:
        layer = self._layer(rng, rgba, size)
        strands = rng.spawn(1)[0]  # of its own: with and without hair, a sample is otherwise the same
        if strands.random() < self.config.hair:
            layer = add_hair(strands, layer)
        if self.cutouts and rng.random() < self.config.second_person:
            other = self.cutouts[int(rng.integers(len(self.cutouts)))]
            layer = over(layer, self._layer(rng, read_rgba(other), size))
        background = self._background(rng, size)
        one_light = rng.random() < 0.5  # on both, as in a photo
        if not one_light:
            layer = Layer(augment.jitter_colour(rng, layer.colour, 0.7), layer.alpha)
            background = augment.jitter_colour(rng, background)
        image, alpha = composite(layer, background), layer.alpha
        if one_light:
            image = augment.jitter_colour(rng, image)
        if rng.random() < self.config.occluder:
            cover = blob(rng, size, (0.04, 0.25))
            image = composite(Layer(self._picture(rng, size), cover), image)
            alpha = alpha * (1 - cover)
        contrast = np.abs(layer.colour - background).mean(axis=2)
        return _sample(augment.degrade(rng, image), alpha, exact=True, contrast=contrast)

    def _drawn(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        """A shape filled with one background, before another."""
        surface = self._background(rng, size)
        layer = Layer(augment.jitter_colour(rng, surface), draw_shape(rng, size))
        background = augment.jitter_colour(rng, self._background(rng, size))
        contrast = np.abs(layer.colour - background).mean(axis=2)
        image = augment.degrade(rng, composite(layer, background))
        return _sample(image, layer.alpha, exact=True, contrast=contrast)._replace(person=torch.tensor(0.0))

    def _layer(self, rng: np.random.Generator, rgba: np.ndarray, size: tuple[int, int]) -> Layer:
        alpha = rgba[..., 3]
        sides = (alpha[:, 0], alpha[0], alpha[:, -1], alpha[-1])
        cut = tuple(bool((side > 40).mean() > 0.03) for side in sides)
        zoom, around = self.config.zoom_cutout, None
        if rng.random() < self.config.close_up:
            zoom, around = self.config.zoom_close_up, unknown_pixel(rng, alpha)
        matrix = random_window(rng, alpha.shape, size, zoom, 6.0, cut, around)  # type: ignore[arg-type]
        premultiplied = rgba.astype(np.float32) / 255
        premultiplied[..., :3] *= premultiplied[..., 3:]
        moved = window(premultiplied, matrix, size)
        alpha = np.clip(moved[..., 3], 0, 1)
        colour = np.clip(moved[..., :3] / np.maximum(alpha, 1e-3)[..., None], 0, 1)
        return Layer(colour, alpha)

    def _background(
        self, rng: np.random.Generator, size: tuple[int, int], item: Item | None = None
    ) -> np.ndarray:
        """What stands behind people: a wall, `item`, or any background; float32 in [0, 1]."""
        if not (item or self.backgrounds) or rng.random() < self.config.plain_background:
            return augment.plain_background(rng, size)
        picture = self._picture(rng, size, item)
        if rng.random() < 0.35:  # out of focus, as behind a portrait
            picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(1, 8)))
        if rng.random() < self.config.clutter:
            picture = composite(Layer(self._picture(rng, size), blob(rng, size, (0.1, 0.4))), picture)
        return picture

    def _picture(self, rng: np.random.Generator, size: tuple[int, int], item: Item | None = None) -> np.ndarray:
        """A random part of `item` or a random background, float32 in [0, 1]; a wall where there are none."""
        if not (item or self.backgrounds):
            return augment.plain_background(rng, size)
        picture = read_rgb(item or self.backgrounds[int(rng.integers(len(self.backgrounds)))])
        matrix = random_window(rng, picture.shape[:2], size, (0.4, 1.0), 3.0)
        return window(picture, matrix, size, cv2.BORDER_REFLECT).astype(np.float32) / 255

    def _photo(self, rng: np.random.Generator, item: Item, size: tuple[int, int]) -> Sample:
        picture, label = read_rgb(item), read_grey(item)
        matrix = random_window(rng, label.shape, size, self.config.zoom_photo, 6.0)
        image = window(picture, matrix, size).astype(np.float32) / 255
        alpha = window(label, matrix, size).astype(np.float32) / 255
        image = augment.degrade(rng, augment.jitter_colour(rng, image))
        if item.kind is Kind.ALPHA:
            trust = window(read_label(item.weight), matrix, size) if item.weight else None
            weight = None if trust is None else trust.astype(np.float32) / 255
            return _sample(image, alpha, exact=True, weight=weight)
        trusted = _far_from_edge(label, self.config.mask_doubt * max(label.shape))
        weight = (window(trusted, matrix, size) > 0.99).astype(np.float32)
        return _sample(image, alpha, exact=False, weight=weight)


def _groups(config: DataConfig, parts: Sequence[PartConfig]) -> list[Group]:
    groups = [Group(part.weight, _items(config, part), part.people) for part in parts]
    return [group for group in groups if group.items]


def _odds(groups: Sequence[Group]) -> np.ndarray:
    weights = np.array([group.weight for group in groups])
    return weights / weights.sum()


def _items(config: DataConfig, part: PartConfig) -> list[Item]:
    found = read_items(part.reader, config.folder(part), part.splits, part.sources, config.exclude, part.licence)
    return [item for item in found if item.source not in config.leave_out]


def _far_from_edge(mask: np.ndarray, reach: float) -> np.ndarray:
    """1 where a coarse mask can be believed: off its edge by `reach` pixels outside, half of it inside."""
    inside = (mask > 127).astype(np.uint8)
    outward = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    inward = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    return ((outward > reach) | (inward > reach / 2)).astype(np.float32)


def _sample(
    image: np.ndarray,
    alpha: np.ndarray,
    exact: bool,
    weight: np.ndarray | None = None,
    contrast: np.ndarray | None = None,
) -> Sample:
    return Sample(
        torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)),
        torch.from_numpy(alpha)[None],
        torch.from_numpy(np.ones_like(alpha) if weight is None else weight)[None],
        torch.tensor(float(exact)),
        torch.from_numpy(np.zeros_like(alpha) if contrast is None else contrast)[None],
        torch.tensor(1.0),
    )


def read_rgb(item: Item) -> np.ndarray:
    """(H, W, 3) uint8"""
    return _read(item.image, cv2.IMREAD_COLOR_RGB)


def read_rgba(item: Item) -> np.ndarray:
    """(H, W, 4) uint8 of a cut-out, in one file or in two"""
    if item.label is not None:
        return np.dstack([read_rgb(item), read_grey(item)])
    return cv2.cvtColor(_read(item.image, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def cut_out(item: Item) -> np.ndarray:
    """(H, W, 4) uint8: a photo's subject in its clean colours, by its alpha."""
    image, alpha = read_rgb(item), read_grey(item)
    return np.dstack([estimate_foreground(image, alpha.astype(np.float32) / 255), alpha])


def read_grey(item: Item) -> np.ndarray:
    """(H, W) uint8 label of an item"""
    return read_label(item.label)


def read_label(path: Path | None) -> np.ndarray:
    """(H, W) uint8: a grey picture, or the alpha channel of one that has it, if it says anything"""
    label = _read(path, cv2.IMREAD_UNCHANGED)
    if label.ndim == 2:
        return label
    colours = label[..., :3]
    if label.shape[2] == 4 and not says_nothing(label[..., 3], colours):
        return label[..., 3]
    return cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)


def _read(path: object, flag: int) -> np.ndarray:
    picture = cv2.imread(str(path), flag)
    if picture is None:
        raise OSError(f"{path}: cannot be read as a picture")
    return (picture // 256).astype(np.uint8) if picture.dtype == np.uint16 else picture
