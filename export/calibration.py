"""Pictures to calibrate and compare with: people of one picture in front of the others."""

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from jointmat.errors import ImageError, InputError
from jointmat.io.image import load_image
from jointmat.matte import Matte
from jointmat.predictor import Predictor
from jointmat.preprocess import plan, preprocess, preprocess_trimap

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def composites(folder: Path, count: int, predictor: Predictor) -> Iterator[Matte]:
    """`count` mattes of composites: what the predictor cuts out of one picture, in front of the next one.

    With less than `count` pictures, each meets several backgrounds.

    Raises
    ------
    InputError
        for a folder with less than two readable pictures.
    """
    pictures = readable(folder)
    if len(pictures) < 2:
        raise InputError(f"{folder}: {len(pictures)} readable pictures; expected at least 2")
    for number, front in enumerate(islice(cycle(pictures), count)):
        apart = 1 + number // len(pictures) % (len(pictures) - 1)
        background = load_image(pictures[(number + apart) % len(pictures)])
        yield predictor.matte(predictor.matte(front).composite(background))


def readable(folder: Path) -> list[Path]:
    """The pictures of a folder, in the order of their names; what cannot be read is passed over."""
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in _EXTENSIONS)
    return [path for path in found if _opens(path)]


def feeds(mattes: Iterator[Matte], inputs: list[str], side: int, stride: int) -> list[dict[str, np.ndarray]]:
    """What an exported graph with these inputs is given for pictures, the long side at `side` pixels."""
    found = []
    for matte in mattes:
        geometry = plan(matte.image.shape[:2], side, stride)
        made = {"image": preprocess(matte.image, geometry)}
        if "trimap" in inputs:
            made["trimap"] = preprocess_trimap(matte.trimap, geometry)
        found.append(made)
    return found


def _opens(path: Path) -> bool:
    try:
        load_image(path)
    except ImageError:
        return False
    return True
