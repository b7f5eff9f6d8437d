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
from train.config import DataConfig, PartConfig
from train.data import augment, trimaps
from train.data.compose import Layer, blob, composite, over, random_window, soft_pixel, window
from train.data.decoded import Decoded, Pyramid
from train.data.hair import add_hair
from train.data.readers import read_items
from train.data.shapes import draw_shape


class Sample(NamedTuple):
    """The training targets of one image, or, with a leading B, of a batch.

    An overview comes without a trimap: what the subject is has to be found. A second look comes with one.
    """

    image: Tensor  # 3, H, W in [0, 1]
    alpha: Tensor  # 1, H, W in [0, 1]
    weight: Tensor  # 1, H, W in [0, 1]: how far alpha is to be trusted at each pixel
    has_exact_alpha: Tensor  # (): 1 where alpha is a matte, 0 where it is a coarse mask without hair
    contrast: Tensor  # 1, H, W in [0, 1]: mean |F − B| over the colours, where both are known; else 0
    trimap: Tensor  # 3, H, W: background, unknown, foreground, sum 1; all 0 where none is given
    prior: Tensor  # 1, H, W in [0, 1]: an earlier alpha; 0 where no trimap is given

    @property
    def is_given(self) -> Tensor:
        """() or (B,): 1 where a trimap comes with the image"""
        return (self.trimap.sum(dim=(-3, -2, -1)) > 0).float()


class Group(NamedTuple):
    """Items that share a place in the mixture."""

    weight: float
    items: Sequence[Item]


class Mixture(Dataset[Sample]):
    """Sample number `index` of an endless stream, drawn from weighted groups of items.

    Samples of one batch share a shape, which is drawn from `config.shapes` by the batch's number. Overviews and
    second looks share a batch, so that its statistics are those that the normalisation keeps. Nothing
    depends on the order in which samples are made, on workers or on global random state.

    Parameters
    ----------
    length : samples of all batches
    """

    def __init__(self, config: DataConfig, batch_size: int, length: int):
        self.config = config
        self.batch_size = batch_size
        self.length = length
        self.groups = _groups(config, config.mixture)
        self.given_groups = _groups(config, config.given) or self.groups
        if not self.groups:
            raise ConfigError("data.mixture is empty: name at least one part, or exclude fewer sources")
        self.backgrounds = [item for part in config.backgrounds for item in _items(config, part)]
        self._odds = {False: _odds(self.groups), True: _odds(self.given_groups)}
        self.cutouts = [i for g in self.groups for i in g.items if i.kind is Kind.CUTOUT]
        self._decoded = Decoded(Path(config.cache) if config.cache else None)

    def items(self) -> list[Item]:
        """Everything that samples are drawn from."""
        groups = [*self.groups, *self.given_groups]
        return list(dict.fromkeys([*(item for group in groups for item in group.items), *self.backgrounds]))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        shapes, batch = self.config.shapes, index // self.batch_size
        size = shapes[int(np.random.default_rng((self.config.seed, 0, batch)).integers(len(shapes)))]
        rng = np.random.default_rng((self.config.seed, 1, index))
        choice = np.random.default_rng((self.config.seed, 2, index))  # of its own: arms differ in these shares
        is_given = choice.random() < self.config.given_share
        if is_given and choice.random() < self.config.synthetic_prob:
            sample = self._synthetic(rng, size)
        else:
            groups = self.given_groups if is_given else self.groups
            group = groups[int(rng.choice(len(groups), p=self._odds[is_given]))]
            item = group.items[int(rng.integers(len(group.items)))]
            sample = self._made(rng, item, size, is_given)
        return self._with_trimap(choice, sample) if is_given else sample

    def _with_trimap(self, rng: np.random.Generator, sample: Sample) -> Sample:
        alpha, weight = sample.alpha[0].numpy(), sample.weight[0].numpy()
        width = self.config.trimap_max_width
        if rng.random() < self.config.user_trimaps:
            given = trimaps.of_a_user(rng, alpha, weight, width)
        else:
            given = trimaps.of_an_overview(rng, alpha, weight, width)
            if rng.random() > self.config.priors:
                given = trimaps.without_prior(given)
        return sample._replace(trimap=torch.from_numpy(given.trimap), prior=torch.from_numpy(given.prior))

    def _made(self, rng: np.random.Generator, item: Item, size: tuple[int, int], close: bool) -> Sample:
        if item.kind is Kind.BACKGROUND:
            image = self._background(rng, size, item)
            return _sample(augment.degrade(rng, image), np.zeros(size, np.float32), exact=True)
        recomposed = item.kind is Kind.ALPHA and not item.weight and rng.random() < self.config.recompose
        if item.kind is Kind.CUTOUT or recomposed:
            return self._composite(rng, self._decoded.cutout(item), size, close)
        return self._photo(rng, item, size, close)

    def _composite(self, rng: np.random.Generator, rgba: Pyramid, size: tuple[int, int], close: bool) -> Sample:
        layer = self._layer(rng, rgba, size, close)
        strands = rng.spawn(1)[0]  # of its own: with and without hair, a sample is otherwise the same
        if strands.random() < self.config.hair:
            layer = add_hair(strands, layer)
        if self.cutouts and rng.random() < self.config.second_person:
            other = self.cutouts[int(rng.integers(len(self.cutouts)))]
            layer = over(layer, self._layer(rng, self._decoded.cutout(other), size, close))
        background = self._background(rng, size)
        one_light = rng.random() < 0.5  # on both, as in a photo
        if not one_light:
            layer = Layer(augment.jitter_colour(rng, layer.colour, 0.7), layer.alpha)
            background = augment.jitter_colour(rng, background)
        if rng.random() < self.config.shadow:
            background = augment.shadow(rng, background, layer.alpha)
        image, alpha = composite(layer, background), layer.alpha
        if one_light:
            image = augment.jitter_colour(rng, image)
        if rng.random() < self.config.occluder:
            cover = blob(rng, size, (0.04, 0.25))
            image = composite(Layer(self._backdrop(rng, size), cover), image)
            alpha = alpha * (1 - cover)
        contrast = np.abs(layer.colour - background).mean(axis=2)
        sample = _sample(augment.degrade(rng, image), alpha, exact=True, contrast=contrast)
        return sample if close else self._turned(rng, sample)

    def _synthetic(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        """A drawn shape filled with one background, before another."""
        surface = self._background(rng, size)
        layer = Layer(augment.jitter_colour(rng, surface), draw_shape(rng, size))
        background = augment.jitter_colour(rng, self._background(rng, size))
        contrast = np.abs(layer.colour - background).mean(axis=2)
        image = augment.degrade(rng, composite(layer, background))
        return _sample(image, layer.alpha, exact=True, contrast=contrast)

    def _layer(self, rng: np.random.Generator, rgba: Pyramid, size: tuple[int, int], close: bool) -> Layer:
        alpha = [level[..., 3] for level in rgba]
        matrix = self._matrix(rng, alpha, size, close, self.config.zoom_cutout)
        moved = window(rgba, matrix, size, cv2.BORDER_REPLICATE).astype(np.float32) / 255
        opacity = moved[..., 3]
        colour = np.minimum(moved[..., :3] / np.maximum(opacity, 1e-3)[..., None], 1)
        return Layer(colour, np.ascontiguousarray(opacity))

    def _matrix(
        self,
        rng: np.random.Generator,
        alpha: Pyramid,
        size: tuple[int, int],
        close: bool,
        zoom: tuple[float, float],
        inside: tuple[bool, bool, bool, bool] | None = None,
    ) -> np.ndarray:
        """Placement of a window on a subject: anywhere on the whole, or close, at about native resolution."""
        shape = alpha[0].shape
        inside = inside or _cut_off(alpha[0])
        if close:
            fit = min(shape[0] / size[0], shape[1] / size[1])
            # zoom at which a pixel of the image is one of the window
            pixels = np.array(self.config.scale_given) / fit
            return random_window(rng, shape, size, tuple(pixels), 12.0, inside, soft_pixel(rng, alpha))
        if rng.random() < self.config.small:
            zoom = self.config.zoom_small
        return random_window(rng, shape, size, zoom, 6.0, inside)

    def _background(
        self, rng: np.random.Generator, size: tuple[int, int], item: Item | None = None
    ) -> np.ndarray:
        """The background: a wall, `item`, or any background; float32 in [0, 1]."""
        if item is None and (not self.backgrounds or rng.random() < self.config.plain_background):
            return augment.plain_background(rng, size)
        image = self._backdrop(rng, size, item)
        if rng.random() < 0.35:  # out of focus, as behind a portrait
            image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(1, 8)))
        if rng.random() < self.config.clutter:
            image = composite(Layer(self._backdrop(rng, size), blob(rng, size, (0.1, 0.4))), image)
        return image

    def _backdrop(self, rng: np.random.Generator, size: tuple[int, int], item: Item | None = None) -> np.ndarray:
        """A random part of `item` or a random background, float32 in [0, 1]; a wall where there are none."""
        if not (item or self.backgrounds):
            return augment.plain_background(rng, size)
        image = self._decoded.image(item or self.backgrounds[int(rng.integers(len(self.backgrounds)))])
        matrix = random_window(rng, image[0].shape[:2], size, (0.4, 1.0), 3.0)
        return window(image, matrix, size, cv2.BORDER_REFLECT).astype(np.float32) / 255

    def _photo(self, rng: np.random.Generator, item: Item, size: tuple[int, int], close: bool) -> Sample:
        photo, label = self._decoded.image(item), self._decoded.label(item)
        matrix = self._matrix(rng, label, size, close, self.config.zoom_photo, (True,) * 4)
        image = window(photo, matrix, size).astype(np.float32) / 255
        alpha = window(label, matrix, size).astype(np.float32) / 255
        image = augment.degrade(rng, augment.jitter_colour(rng, image))
        if item.kind is Kind.ALPHA:
            trust = window(self._decoded.weight(item), matrix, size) if item.weight else None
            weight = None if trust is None else trust.astype(np.float32) / 255
            return _sample(image, alpha, exact=True, weight=weight)
        step = 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))  # pixels of the photo for one of the window
        weight = _far_from_edge(alpha, self.config.mask_doubt * max(label[0].shape) / step)
        sample = _sample(image, alpha, exact=False, weight=weight)
        return sample if close else self._turned(rng, sample)

    def _turned(self, rng: np.random.Generator, sample: Sample) -> Sample:
        """Sometimes turned by 90° or 180°, as from a camera without EXIF; if the shape allows."""
        if rng.random() > self.config.turned:
            return sample
        quarters = int(rng.integers(1, 4)) if sample.alpha.shape[-1] == sample.alpha.shape[-2] else 2
        return Sample(*(x.rot90(quarters, (-2, -1)).contiguous() if x.dim() == 3 else x for x in sample))


def _cut_off(alpha: np.ndarray) -> tuple[bool, bool, bool, bool]:
    """Left, top, right, bottom: the sides at which the subject is cut off."""
    left, top, right, bottom = (
        bool((side > 40).mean() > 0.03) for side in (alpha[:, 0], alpha[0], alpha[:, -1], alpha[-1])
    )
    return left, top, right, bottom


def _groups(config: DataConfig, parts: Sequence[PartConfig]) -> list[Group]:
    groups = [Group(part.weight, _items(config, part)) for part in parts]
    return [group for group in groups if group.items]


def _odds(groups: Sequence[Group]) -> np.ndarray:
    weights = np.array([group.weight for group in groups])
    return weights / weights.sum()


def _items(config: DataConfig, part: PartConfig) -> list[Item]:
    found = read_items(part.reader, config.folder(part), part.splits, part.sources, config.exclude, part.licence)
    return [
        item
        for item in found
        if item.source not in config.leave_out and (not part.kinds or item.kind in part.kinds)
    ]


def _far_from_edge(alpha: np.ndarray, reach: float) -> np.ndarray:
    """1 where a coarse mask can be believed: off its edge by `reach` pixels outside, half of it inside."""
    inside = (alpha > 0.5).astype(np.uint8)
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
    nothing = trimaps.nothing(alpha.shape)
    return Sample(
        torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)),
        torch.from_numpy(alpha)[None],
        torch.from_numpy(np.ones_like(alpha) if weight is None else weight)[None],
        torch.tensor(float(exact)),
        torch.from_numpy(np.zeros_like(alpha) if contrast is None else contrast)[None],
        torch.from_numpy(nothing.trimap),
        torch.from_numpy(nothing.prior),
    )
