"""`python -m train.data.composition1k`: the 1000 test images of Composition-1k (Xu et al., CVPR 2017).

The data set comes as 50 foregrounds with alphas, lists of names, and 1000 trimaps; the images are made from
them and from Pascal VOC photos by the published protocol: foreground i goes before backgrounds 20·i to 20·i + 19,
a background that is too small is enlarged until it covers, and its upper left part is taken.
"""

import math
import shutil
from pathlib import Path

import click
import numpy as np
from PIL import Image
from tqdm import tqdm

from jointmat.cli.errors import run
from jointmat.errors import InputError
from jointmat.io.decode import decoded
from jointmat.io.write import save_image

_BACKGROUNDS = 20  # of each foreground
_FOLDER = "Test_set/Adobe-licensed images"


def compose_test_set(root: Path, backgrounds: Path, output: Path) -> int:
    """Write OUTPUT/images, alphas and trimaps, laid out for the reader "pairs".

    Parameters
    ----------
    root : the unpacked data set, with Test_set/
    backgrounds : folder of the VOC photos that Test_set/test_bg_names.txt names

    Returns
    -------
    Number of images.

    Raises
    ------
    InputError
        if a file is missing, or there are not 20 backgrounds for each foreground.
    """
    folder = root / _FOLDER
    names = _names(root / "Test_set/test_fg_names.txt")
    photos = _names(root / "Test_set/test_bg_names.txt")
    if len(photos) < _BACKGROUNDS * len(names):
        wanted = _BACKGROUNDS * len(names)
        raise InputError(f"{root}/Test_set/test_bg_names.txt: {len(photos)} names, expected {wanted}")
    for kind in ("images", "alphas", "trimaps"):
        (output / kind).mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(tqdm(names, unit="foreground", disable=None)):
        foreground, alpha = _open(folder / "fg" / name, "RGB"), _open(folder / "alpha" / name, "L")
        for number, photo in enumerate(photos[_BACKGROUNDS * index : _BACKGROUNDS * (index + 1)]):
            target = f"{Path(name).stem}_{number}.png"
            composite = _over(foreground, alpha, _open(backgrounds / photo, "RGB"))
            save_image(output / "images" / target, composite)
            save_image(output / "alphas" / target, np.asarray(alpha))
            shutil.copyfile(_existing(folder / "trimaps" / target), output / "trimaps" / target)
    return _BACKGROUNDS * len(names)


def _over(foreground: Image.Image, alpha: Image.Image, background: Image.Image) -> np.ndarray:
    """C = αF + (1 − α)B, (H, W, 3) uint8 of the foreground's size."""
    (width, height), (has_width, has_height) = foreground.size, background.size
    ratio = max(width / has_width, height / has_height)
    if ratio > 1:
        size = math.ceil(has_width * ratio), math.ceil(has_height * ratio)
        background = background.resize(size, Image.Resampling.BICUBIC)
    back = np.asarray(background)[:height, :width].astype(np.float32)
    share = np.asarray(alpha, np.float32)[..., None] / 255
    return np.rint(share * np.asarray(foreground, np.float32) + (1 - share) * back).astype(np.uint8)


def _names(path: Path) -> list[str]:
    return _existing(path).read_text(encoding="utf-8").split()


def _open(path: Path, mode: str) -> Image.Image:
    with decoded(_existing(path)) as stored:
        return stored.image.convert(mode)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the data set as its authors laid it out")
    return path


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("root", type=click.Path(path_type=Path))
@click.argument("backgrounds", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def command(root: Path, backgrounds: Path, output: Path) -> None:
    """Make the test images in OUTPUT from the data set in ROOT and the photos in BACKGROUNDS.

    Then: python -m train.evaluate --data OUTPUT --reader pairs --give-trimaps
    """
    click.echo(f"wrote {compose_test_set(root, backgrounds, output)} images to {output}")


if __name__ == "__main__":
    run(command)
