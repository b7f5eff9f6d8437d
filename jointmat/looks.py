"""Looking twice: an overview of the whole image, then the same network on tiles at native resolution.

What a person is can be seen at 512 pixels; what hair is cannot. The overview answers who; its trimap says where
it does not know; there, and only there, the network looks again, with that trimap and the overview's alpha given.
The work grows with the length of the band, not with the image. Where a subject is small in the image, a second
overview of its own box comes between.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from jointmat.ops.guided_upsampling import upsample_guided
from jointmat.ops.planes import Planes
from jointmat.preprocess import Geometry, plan, postprocess, preprocess
from jointmat.runtime.base import Backend, RawOutput

TILE = 256
"""pixels a side of what the network sees in a second look"""
HALO = 16
"""pixels around a tile's core, where it fades into its neighbour or into the first look"""
MAX_SIDE = 2048
"""long side of the image in the second look at most, pixels; larger images are reduced to it"""
_BATCH = 4
WORTH = 1.2
"""how much longer than in the overview the image must be for a second look to pay"""
_LEAST = 0.05
"""share of a core that must be unknown for a second look to pay"""
_SMALL = 0.4
"""a subject whose box has less than this share of the image's long side is looked at by itself"""
_ROOM = 0.35
"""around that box, as a share of its long side"""
_CRUMB = 0.1
"""share of the largest subject's area below which it is none"""


@dataclass
class Look:
    """The result of a look, at the image's size; float32 in [0, 1]."""

    alpha: np.ndarray
    """(H, W)"""
    trimap: np.ndarray
    """(H, W, 3): background, unknown, foreground"""


def enlarged(output: RawOutput, seen: np.ndarray, geometry: Geometry, image: np.ndarray) -> Look:
    """The network's answer (batch 1) for `seen` (1, 3, h, w), at the size of `image` (H, W, 3) uint8."""
    alpha = enlarged_alpha(output, seen[0], geometry, [image])
    return Look(alpha, np.dstack([postprocess(plane, geometry) for plane in output.trimap[0]]))


def enlarged_alpha(output: RawOutput, guide: np.ndarray, geometry: Geometry, image: Planes) -> np.ndarray:
    """Alpha (H, W) of the network's answer (batch 1) at the size of an image, by the colours that it has at the
    network's size: `guide` (3, h, w) float32."""
    height, width = geometry.resized
    if height > geometry.original[0] or width > geometry.original[1]:
        return postprocess(output.alpha[0, 0], geometry)
    return upsample_guided(output.alpha[0, 0, :height, :width], guide[:, :height, :width], image)


def reduced(image: np.ndarray, side: int) -> np.ndarray:
    """(H, W, 3) uint8 with its long side at `side` pixels at most."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def look_at_small_subjects(backend: Backend, image: np.ndarray, look: Look, mask: np.ndarray, side: int) -> None:
    """Give each subject that is small in the image an overview of its own, and put its result into `look`.

    Parameters
    ----------
    image : (H, W, 3) uint8
    look : of all of it; changed
    mask : (h, w) float32 probability of foreground, of the same view
    side : long side of an overview, pixels
    """
    for box in _small_subjects(mask, image.shape[:2]):
        part = np.ascontiguousarray(image[box])
        geometry = plan(part.shape[:2], side, backend.stride)
        seen = preprocess(part, geometry)
        closer = enlarged(backend.run(seen), seen, geometry, part)
        share = _box_fade(box, image.shape[:2])
        look.alpha[box] += share * (closer.alpha - look.alpha[box])
        look.trimap[box] += share[..., None] * (closer.trimap - look.trimap[box])


def _small_subjects(mask: np.ndarray, size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Boxes in an image of `size` (height, width) of subjects that are small in its mask, with room around."""
    count, _, statistics, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    largest = statistics[1:, cv2.CC_STAT_AREA].max(initial=0)
    scale = size[0] / mask.shape[0], size[1] / mask.shape[1]
    for x, y, width, height, area in statistics[1:count]:
        if area < _CRUMB * largest or max(width * scale[1], height * scale[0]) > _SMALL * max(size):
            continue
        room = _ROOM * max(width, height) + 1
        yield (
            slice(max(0, int((y - room) * scale[0])), min(size[0], int((y + height + room) * scale[0]) + 1)),
            slice(max(0, int((x - room) * scale[1])), min(size[1], int((x + width + room) * scale[1]) + 1)),
        )


def _box_fade(box: tuple[slice, slice], size: tuple[int, ...]) -> np.ndarray:
    """(h, w) float32 weights of a box: 1 within, falling to 0 in its outer tenth where the image continues."""
    lines = []
    for part, length in zip(box, size, strict=True):
        place = (np.arange(part.stop - part.start) + 0.5) / (part.stop - part.start)
        from_first = place if part.start > 0 else np.ones_like(place)
        from_last = 1 - place if part.stop < length else np.ones_like(place)
        lines.append(np.minimum(1, 10 * np.minimum(from_first, from_last)))
    return (lines[0][:, None] * lines[1][None]).astype(np.float32)


def second_look(backend: Backend, image: np.ndarray, look: Look) -> np.ndarray:
    """Alpha (H, W) float32 in [0, 1] of an image, refined where the first look is unknown.

    Parameters
    ----------
    image : (H, W, 3) uint8
    look : the first one, at the same size

    Tiles overlap and fade into each other and into the first look's alpha. What the trimap knows stays known.
    """
    size = look.alpha.shape
    total, weight = np.zeros_like(look.alpha), np.zeros_like(look.alpha)
    places = list(_places(look.trimap[..., 1]))
    for start in range(0, len(places), _BATCH):
        chosen = places[start : start + _BATCH]
        tensors = [_tile(plane, at) for at in chosen for plane in (image, look.trimap, look.alpha[..., None])]
        images, trimaps, priors = (np.stack(tensors[i::3]) for i in range(3))
        output = backend.run(images / np.float32(255), trimaps, priors)
        for place, alpha in zip(chosen, output.alpha[:, 0], strict=True):
            inside = tuple(slice(max(0, p), min(n, p + TILE)) for p, n in zip(place, size, strict=True))
            of_tile = tuple(slice(s.start - p, s.stop - p) for s, p in zip(inside, place, strict=True))
            fade = _fade(place, size)[of_tile]
            total[inside] += alpha[of_tile] * fade
            weight[inside] += fade
    return (total + np.maximum(0, 1 - weight) * look.alpha) / np.maximum(weight, 1)


def _places(unknown: np.ndarray) -> Iterator[tuple[int, int]]:
    """(top, left) of the tiles whose cores cover what is unknown, (H, W): rows of tiles, each row with its own.

    They lie inside of the image, unless that is smaller than a tile.
    """
    step = TILE - 2 * HALO
    unknown = unknown > 0.25
    for top in _starts(unknown.any(axis=1), step):
        row = unknown[top : top + step]
        for left in _starts(row.any(axis=0), step):
            if row[:, left : left + step].mean() > _LEAST:
                yield _within(top, unknown.shape[0]), _within(left, unknown.shape[1])


def _starts(wanted: ArrayLike, step: int) -> Iterator[int]:
    """Starts of the fewest intervals of length `step` that cover all that is `wanted`, (N,) bool."""
    places = np.flatnonzero(wanted)
    while len(places):
        yield int(places[0])
        places = places[places >= places[0] + step]


def _within(start: int, length: int) -> int:
    """Start of a core's tile: inside the image, if it fits."""
    return max(0, min(start - HALO, length - TILE))


def _tile(plane: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """(C, TILE, TILE) float32 from a plane (H, W, C); its edge pixels are repeated outwards."""
    top, left = place
    height, width = plane.shape[:2]
    rows = slice(max(0, top), min(height, top + TILE))
    columns = slice(max(0, left), min(width, left + TILE))
    part = plane[rows, columns]
    above, before = rows.start - top, columns.start - left
    below, after = TILE - above - part.shape[0], TILE - before - part.shape[1]
    filled = cv2.copyMakeBorder(part, above, below, before, after, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(filled.reshape(TILE, TILE, -1).transpose(2, 0, 1), np.float32)


def _fade(place: tuple[int, int], size: tuple[int, ...]) -> np.ndarray:
    """(TILE, TILE) weights: 1 in the core, falling to 0 over the halo where the image continues."""
    ramp = np.minimum(1, (np.arange(TILE, dtype=np.float32) + 0.5) / HALO)
    first, second = (
        (1 if start <= 0 else ramp) * (1 if start + TILE >= length else ramp[::-1])
        for start, length in zip(place, size, strict=True)
    )
    return np.broadcast_to(first, TILE)[:, None] * np.broadcast_to(second, TILE)[None]
