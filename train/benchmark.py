"""The benchmark for comparing weights: `python -m train.evaluate --data DIR --benchmark`.

One row for each source of the data. Sources whose images all have trimaps are given them, and judge the matting
alone. Two more rows test robustness, on images made from others:

* "64 px": portraits, reduced to a long side of 64 pixels;
* "person 1/8": people with an exact alpha, at an eighth of the height of a scene of 1024×768.
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from jointmat.backgrounds import DRAWN, draw
from jointmat.compositing import blend, placed
from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind
from jointmat.foreground import estimate_foreground
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image
from jointmat.io.write import save_image
from train.data.readers import read_items
from train.scores import Predict, Score, evaluate

COLUMNS = ("sad", "mad", "soft_mad", "iou", "trimap_recall", "trimap_area", "sad_unknown")

# Sources of either row; in data without them, all that have no trimaps.
_PORTRAITS, _EXACT = ("aisegment", "eg1800"), ("studio", "rendered")
_SMALL = 64  # pixels, long side
_SCENE = 768, 1024  # pixels, height and width
_PERSON = _SCENE[0] // 8  # pixels, height


def run(items: Sequence[Item], predict: Predict, scenes: Sequence[np.ndarray]) -> list[Score]:
    """Scores of all sources, and of the images made for the two robustness rows.

    Parameters
    ----------
    scenes : images (H, W, 3) uint8 without people, to put small people into
    """
    labelled = [item for item in items if item.label]
    scores: list[Score] = []
    for source in dict.fromkeys(item.source for item in labelled):
        members = [item for item in labelled if item.source == source]
        scores += evaluate(members, predict, give_trimaps=all(item.trimap for item in members))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = reduced(_of(labelled, _PORTRAITS), folder / "small")
        far = composed(_of(labelled, _EXACT), scenes, folder / "scenes")
        # Only the IoU counts: at these sizes, a true alpha is mostly the filter that reduced it.
        scores += [replace(s, values={"iou": s.values["iou"]}) for s in evaluate([*small, *far], predict)]
    return scores


def _of(items: Sequence[Item], sources: Collection[str]) -> list[Item]:
    people = [item for item in items if not item.trimap]
    return [item for item in people if item.source in sources] or people


def scenes(reader: str, data: Path) -> list[np.ndarray]:
    """Backgrounds of the split "train", which no split of open data contains; drawn ones if there are none."""
    try:
        items = [item for item in read_items(reader, data, ["train"]) if item.kind is Kind.BACKGROUND]
    except InputError:
        items = []
    return [load_image(item.image) for item in items] or [draw(name, *_SCENE) for name in DRAWN]


def reduced(items: Sequence[Item], folder: Path) -> Iterator[Item]:
    """Items with image and label reduced to the long side `_SMALL`."""
    folder.mkdir()
    for item in items:
        image, alpha = load_image(item.image), item.alpha()
        scale = _SMALL / max(alpha.shape)
        size = tuple(max(1, round(side * scale)) for side in alpha.shape[::-1])
        small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (image, to_uint8(alpha))]
        yield _written(item, "64 px", folder, *small)


def composed(items: Sequence[Item], scenes: Sequence[np.ndarray], folder: Path) -> Iterator[Item]:
    """The people that have an alpha, at the height `_PERSON`, on the lower edge of a scene each."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for item, scene in zip((i for i in items if i.kind is Kind.ALPHA), cycle(scenes)):
        image, alpha = load_image(item.image), item.alpha()
        rows, columns = (np.flatnonzero((alpha > 0.5).any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            continue
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        width = min(_SCENE[1], max(1, round(_PERSON * columns.size / rows.size)))
        colours, person = (
            cv2.resize(plane[box], (width, _PERSON), interpolation=cv2.INTER_AREA)
            for plane in (estimate_foreground(image, alpha), alpha)
        )
        left = int(rng.integers(_SCENE[1] - width + 1))
        where = slice(_SCENE[0] - _PERSON, None), slice(left, left + width)
        composite, label = placed(scene, _SCENE).copy(), np.zeros(_SCENE, np.uint8)
        composite[where] = blend(colours, person, composite[where])
        label[where] = to_uint8(person)
        yield _written(item, "person 1/8", folder, composite, label)


def _written(item: Item, source: str, folder: Path, image: np.ndarray, label: np.ndarray) -> Item:
    paths = [folder / f"{item.source}-{item.name}{suffix}.png" for suffix in ("", "-label")]
    for path, content in zip(paths, (image, label), strict=True):
        save_image(path, content)
    return replace(item, source=source, image=paths[0], label=paths[1])
