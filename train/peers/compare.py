"""Every system on every image: write their alphas into folders, then score those folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from tqdm import tqdm

from jointmat.evaluation.manifest import Item, check_names
from jointmat.evaluation.timing import timed
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_image, load_trimap
from jointmat.io.write import save_image
from train.peers.systems import System
from train.scores import Score, evaluate, from_folder


@dataclass(frozen=True)
class Result:
    """One system on one image."""

    system: str
    score: Score
    milliseconds: float
    """from the decoded image to its alpha"""


def compare(
    items: Sequence[Item], systems: Mapping[str, System], folder: Path, *, give_trimaps: bool = False
) -> list[Result]:
    """Write FOLDER/SYSTEM/NAME.png for every system and image, and score them.

    The systems take turns on each image, so that a busy moment of the machine slows all of them alike.
    """
    check_names(items)
    for name in systems:
        (folder / name).mkdir(parents=True, exist_ok=True)
    times: dict[tuple[str, str], float] = {}
    for item in tqdm(items, unit="image", disable=None):
        image = load_image(item.image)
        trimap = load_trimap(item.trimap, image.shape[:2]) if give_trimaps and item.trimap else None
        for name, system in systems.items():
            if item is items[0]:
                system(image, trimap)  # warm up
            alpha, times[name, item.name] = timed(partial(system, image, trimap))
            save_image(alpha_path(folder, name, item), to_uint8(alpha))
    return [
        Result(name, score, times[name, score.item.name])
        for name in systems
        for score in evaluate(items, from_folder(folder / name))
    ]


def alpha_path(folder: Path, system: str, item: Item) -> Path:
    """The file that `compare` writes and `train.evaluate` reads."""
    return folder / system / f"{item.name}.png"


def medians(results: Sequence[Result]) -> dict[str, float]:
    """Milliseconds of an image, by system."""
    names = dict.fromkeys(r.system for r in results)
    return {name: median(r.milliseconds for r in results if r.system == name) for name in names}
