"""Every system on every photo: first their alphas into folders, then the scores of those folders."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jointmat.evaluation.manifest import Item, check_names
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image, load_trimap
from jointmat.io.write import save_image
from train.evaluate import Score, evaluate, from_folder
from train.peers.systems import System


@dataclass(frozen=True)
class Result:
    """One system on one photo."""

    system: str
    score: Score
    milliseconds: float
    """from the decoded photo to its alpha at the photo's size"""


def compare(
    items: Sequence[Item], systems: Mapping[str, System], folder: Path, *, give_trimaps: bool = False
) -> list[Result]:
    """Write FOLDER/SYSTEM/NAME.png for every system and photo, and score them.

    The systems take turns on each photo, so that whatever else the machine does slows all of them alike; each
    sees the first photo once before the clock runs.
    """
    check_names(items)
    for name in systems:
        (folder / name).mkdir(parents=True, exist_ok=True)
    times: dict[tuple[str, str], float] = {}
    for item in tqdm(items, unit="photo", disable=None):
        image = load_image(item.image)
        trimap = load_trimap(item.trimap, image.shape[:2]) if give_trimaps and item.trimap else None
        for name, system in systems.items():
            if item is items[0]:
                system(image, trimap)
            start = time.perf_counter()
            alpha = system(image, trimap)
            times[name, item.name] = 1000 * (time.perf_counter() - start)
            save_image(alpha_path(folder, name, item), to_uint8(alpha))
    return [
        Result(name, score, times[name, score.item.name])
        for name in systems
        for score in evaluate(items, from_folder(folder / name))
    ]


def alpha_path(folder: Path, system: str, item: Item) -> Path:
    """Where `compare` puts an alpha, and `train.evaluate` looks for it."""
    return folder / system / f"{item.name}.png"


def medians(results: Sequence[Result]) -> dict[str, float]:
    """Milliseconds of a photo, by system."""
    names = dict.fromkeys(r.system for r in results)
    return {name: float(np.median([r.milliseconds for r in results if r.system == name])) for name in names}
