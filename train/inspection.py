"""`python -m train inspect-data`: what the network will really see, and which files are bad."""

from pathlib import Path

import click
import numpy as np
import torch

from jointmat.cli.errors import SomeFailed
from jointmat.evaluation.sheet import save_sheet
from train.config import TrainConfig
from train.data.check import check_items
from train.data.dataset import Mixture
from train.losses import true_unknown

HEIGHT = 192  # pixels of a row in the sheet


def inspect_data(config: TrainConfig, output: Path, samples: int) -> None:
    """Print every bad file, and draw samples as image | alpha | trimap | prior | weight.

    Raises
    ------
    SomeFailed
        if there are bad files; nothing is drawn then.
    """
    data = Mixture(config.data, config.batch_size, samples)
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
    draw(data, output, samples)
    click.echo(f"all {len(data.items())} items can be read; wrote {output}: image, alpha, trimap, prior, weight")


def draw(data: Mixture, path: Path, samples: int) -> None:
    """The sheet: one sample a row. The trimap is the one that comes with it, or else the true one."""
    rows: list[list[np.ndarray]] = []
    for index in range(samples):
        sample = data[index]
        unknown = torch.maximum(true_unknown(sample.alpha[None])[0], 1 - sample.weight)
        trimap = (1 - unknown) * (sample.alpha > 0.5) + unknown / 2
        if sample.is_given:
            trimap = sample.trimap[2:] + sample.trimap[1:2] / 2
        image = np.rint(sample.image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        planes = (plane[0].numpy() for plane in (sample.alpha, trimap, sample.prior, sample.weight))
        rows.append([image, *planes])
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
