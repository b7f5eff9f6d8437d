"""Find bad files before training."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from jointmat.errors import JointmatError
from jointmat.evaluation.manifest import Item, Kind
from jointmat.io.arrays import in_colour
from jointmat.io.colour import orientation_of, turned
from jointmat.io.decode import decoded
from train.data.decoded import read_grey, read_label, read_rgb, read_rgba


class Problem(NamedTuple):
    """An item that cannot be trained on, and why."""

    item: Item
    reason: str

    def __str__(self) -> str:
        return f"{self.item.source} {self.item.name}: {self.reason}"


def check_items(items: Sequence[Item], workers: int = 2) -> list[Problem]:
    """Decode every file of every item once; the problems, in the order of the items."""
    problems = _duplicates(items)
    with ThreadPoolExecutor(workers) as pool:
        reasons = pool.map(_reason, items)
        for item, reason in zip(items, tqdm(reasons, total=len(items), unit="file", disable=None), strict=True):
            if reason:
                problems.append(Problem(item, reason))
    return problems


def _duplicates(items: Iterable[Item]) -> list[Problem]:
    """Different images of one kind with the same name; a cut-out may share the name of its image."""
    first: dict[tuple[str, str, str], Item] = {}
    problems = []
    for item in items:
        before = first.setdefault((item.source, item.kind, item.name), item)
        if before.image != item.image:
            problems.append(Problem(item, f"{item.image} has the same name as {before.image}"))
    return problems


def _reason(item: Item) -> str:
    """Why the item cannot be used, or nothing."""
    try:
        image = _decode(item.image, upright=item.label is not None)
        others = {path: _decode(path) for path in (item.label, item.trimap, item.weight) if path}
    except JointmatError as error:
        return f"cannot be read ({' '.join(str(error).split())})"
    for path, other in others.items():
        if other.shape[:2] != image.shape[:2]:
            return f"{path} is {_size(other)}, its image {_size(image)}"
    if item.kind is Kind.BACKGROUND:
        return _unreadable(item)
    if item.label is None and (item.kind is not Kind.CUTOUT or image.ndim < 3 or image.shape[2] != 4):
        return f"{item.image} has no alpha channel" if item.kind is Kind.CUTOUT else "has no label"
    return _reason_of_label(others[item.label] if item.label else image) or _unreadable(item)


def _unreadable(item: Item) -> str:
    """Why OpenCV, which reads the files in training, cannot read a file that Pillow can; or nothing."""
    try:
        if item.kind is Kind.CUTOUT:
            read_rgba(item)  # with its label, if that is a file of its own
        else:
            read_rgb(item)
            if item.label:
                read_grey(item)
        if item.weight:
            read_label(item.weight)
    except OSError as error:
        return f"{error}; save it as PNG or JPEG"
    return ""


def _reason_of_label(label: np.ndarray) -> str:
    if label.ndim == 3:
        colours, alpha = (label[..., :-1], label[..., -1]) if label.shape[2] in (2, 4) else (label, None)
        opaque = alpha is None or alpha.min() == 255
        if opaque and in_colour(colours):
            also = "" if alpha is None else ", and its alpha channel is opaque"
            return f"its label is in colour{also}"
        label = colours[..., 0] if alpha is None or opaque else alpha
    if not label.any():
        return "its label is empty"
    return "its label has no value above 1, expected 0 to 255" if label.dtype != bool and label.max() == 1 else ""


def _decode(path: Path, upright: bool = False) -> np.ndarray:
    """Pixels, palettes as colours; as they are stored, or turned as EXIF says, which is how photos are trained on
    and labels are not."""
    with decoded(path) as stored:
        image = stored.image
        transparent = "transparency" in image.info
        pixels = np.asarray(image.convert("RGBA" if transparent else "RGB") if image.mode == "P" else image)
        return turned(pixels, orientation_of(stored)) if upright else pixels


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
