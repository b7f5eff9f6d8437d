"""`python -m train inspect-data`: what the network will really see, and which files are bad."""

from pathlib import Path

import click
import numpy as np
import torch

from jointmat.cli.errors import SomeFailed
from jointmat.evaluation.sheet import save_sheet
from train.config import TrainConfig
from train.data.check import check_items
from train.data.dataset import Mixture, Sample
from train.data.trimaps import given_trimap
from train.losses import true_unknown

HEIGHT = 192  # pixels of a row in the sheet


def inspect_data(config: TrainConfig, output: Path, samples: int) -> None:
    """Print every bad file, and draw samples as image | alpha | trimap | weight.

    Raises
    ------
    SomeFailed
        if there are bad files; nothing is drawn then.
    """
    data = Mixture(config.data, config.batch_size, samples, config.given_trimap)
    click.echo(_contents(data))
    problems = check_items(data.items())
    for problem in problems:
        click.echo(str(problem))
    if problems:
        raise SomeFailed(
            f"{len(problems)} of {len(data.items())} items cannot be used: repair or remove them, name them in "
            "data.exclude, or train with data.bad_items=skip"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(data, output, samples, config.drawn_band)
    click.echo(f"all {len(data.items())} items can be read; wrote {output}: image, alpha, trimap, weight")


def draw(data: Mixture, path: Path, samples: int, widest: int) -> None:
    """The sheet: one sample a row. The trimap is the one that comes with it, or else the true one.

    widest : of a given trimap's band, see `train.data.trimaps.draw_trimap`
    """
    rows: list[list[np.ndarray]] = []
    for number in range(-(-samples // data.batch_size)):
        indices = range(number * data.batch_size, min(samples, (number + 1) * data.batch_size))
        batch = Sample(*map(torch.stack, zip(*(data[i] for i in indices), strict=True)))
        given = given_trimap(data, number, batch, widest)
        unknown = torch.maximum(true_unknown(batch.alpha), 1 - batch.weight) if given is None else given[:, 1:2]
        trimaps = (1 - unknown) * (batch.alpha > 0.5) + unknown / 2
        images = np.rint(batch.image.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
        planes = (plane[:, 0].numpy() for plane in (batch.alpha, trimaps, batch.weight))
        rows += [list(row) for row in zip(images, *planes, strict=True)]
    save_sheet(path, rows, HEIGHT)


def _contents(data: Mixture) -> str:
    """How many items of each source, and its share of the samples."""
    total = sum(group.weight for group in data.groups)
    lines = []
    for group in data.groups:
        names = ", ".join(dict.fromkeys(item.source for item in group.items))
        lines.append(f"{100 * group.weight / total:5.1f} %  {len(group.items):6,} items  {names}")
    lines.append(f"         {len(data.backgrounds):6,} backgrounds")
    return "\n".join(lines)
