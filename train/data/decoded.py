"""Images as the samples are cut from them: decoded once, at all sizes, and kept.

Decoding a file takes longer than everything else that a sample costs. A pyramid holds an image and its halves, so
that a small window of a large image reads few pixels. Kept pyramids are plain arrays on disk, which all processes
map.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from jointmat.evaluation.manifest import Item
from jointmat.foreground import estimate_foreground
from jointmat.io.arrays import says_nothing
from jointmat.io.atomic import atomic_write

_SMALLEST = 48  # pixels of the long side, below which no half is made

Pyramid = Sequence[np.ndarray]
"""An image (H, W) or (H, W, C) uint8, then its halves"""


def pyramid(image: np.ndarray) -> list[np.ndarray]:
    """An image and its halves, each the average of 2×2 pixels of the one before."""
    levels = [image]
    while max(levels[-1].shape[:2]) >= 2 * _SMALLEST and min(levels[-1].shape[:2]) >= 2:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return levels


class Decoded:
    """Pyramids of items.

    Parameters
    ----------
    folder : where they are kept, once made; None makes them anew every time
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def image(self, item: Item) -> Pyramid:
        """(H, W, 3) RGB"""
        return self._kept("image", (item.image,), lambda: read_rgb(item))

    def label(self, item: Item) -> Pyramid:
        """(H, W)"""
        return self._kept("label", (item.label,), lambda: read_grey(item))

    def weight(self, item: Item) -> Pyramid:
        """(H, W) how far the label is to be trusted"""
        return self._kept("label", (item.weight,), lambda: read_label(item.weight))

    def cutout(self, item: Item) -> Pyramid:
        """(H, W, 4) RGBA with premultiplied colours, of a cut-out, or of an image with an alpha"""
        return self._kept("cutout", (item.image, item.label), lambda: premultiplied(read_cutout(item)))

    def _kept(self, kind: str, paths: Sequence[Path | None], make: Callable[[], np.ndarray]) -> Pyramid:
        if self.folder is None:
            return pyramid(make())
        stem = self.folder / _key(kind, paths)
        first = stem.with_suffix(".0.npy")
        if not first.exists():
            levels = pyramid(make())
            for index in reversed(range(len(levels))):  # the first level last: when it is there, all are
                with atomic_write(stem.with_suffix(f".{index}.npy")) as file:
                    np.save(file, levels[index])
        levels = [np.load(first, mmap_mode="r")]  # opened anew: a map that is held holds a file descriptor
        while (path := stem.with_suffix(f".{len(levels)}.npy")).exists():
            levels.append(np.load(path, mmap_mode="r"))
        return levels


def premultiplied(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 with straight alpha → with colours times alpha: what is left of them in a composite."""
    result = rgba.copy()
    result[..., :3] = np.rint(rgba[..., :3] * (rgba[..., 3:].astype(np.float32) / 255)).astype(np.uint8)
    return result


def read_rgb(item: Item) -> np.ndarray:
    """(H, W, 3) uint8"""
    return _read(item.image, cv2.IMREAD_COLOR_RGB)


def read_rgba(item: Item) -> np.ndarray:
    """(H, W, 4) uint8 of a cut-out, in one file or in two"""
    if item.label is not None:
        return np.dstack([read_rgb(item), read_grey(item)])
    return cv2.cvtColor(_read(item.image, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def read_cutout(item: Item) -> np.ndarray:
    """(H, W, 4) uint8: a cut-out, or the subject of an image with an alpha in its clean colours."""
    if item.kind == "cutout":
        return read_rgba(item)
    image, alpha = read_rgb(item), read_grey(item)
    return np.dstack([estimate_foreground(image, alpha.astype(np.float32) / 255), alpha])


def read_grey(item: Item) -> np.ndarray:
    """(H, W) uint8 label of an item"""
    return read_label(item.label)


def read_label(path: Path | None) -> np.ndarray:
    """(H, W) uint8: a grey image, or the alpha channel of one that has it, if it holds any information"""
    label = _read(path, cv2.IMREAD_UNCHANGED)
    if label.ndim == 2:
        return label
    colours = label[..., :3]
    if label.shape[2] == 4 and not says_nothing(label[..., 3], colours):
        return label[..., 3]
    return cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)


def _read(path: object, flag: int) -> np.ndarray:
    image = cv2.imread(str(path), flag)
    if image is None:
        raise OSError(f"{path}: cannot be read as an image")
    return (image // 256).astype(np.uint8) if image.dtype == np.uint16 else image


def _key(kind: str, paths: Sequence[Path | None]) -> str:
    """A name that changes with the files."""
    facts = [kind]
    for path in paths:
        if path is not None:
            status = path.stat()
            facts += [str(path.resolve()), str(status.st_size), str(status.st_mtime_ns)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:24]
