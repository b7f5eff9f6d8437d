"""A sheet of what the network does now: image | alpha | trimap | truth | weight, one sample a row."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from jointmat.build import Network
from jointmat.evaluation.sheet import save_sheet
from jointmat.io.arrays import to_uint8
from train.data.dataset import Sample


def save_preview(path: Path, model: Network, batch: Sample, given: Tensor | None = None, rows: int = 8) -> None:
    """Run `model` on the batch, with the trimap that was given with it if there was one, and write the sheet."""
    image = batch.image[:rows]
    with torch.inference_mode():
        output = model(image, None if given is None else given[:rows])
    trimap = F.interpolate(output.trimap, image.shape[-2:]).flip(1)  # red foreground, blue background
    images, trimaps = (to_uint8(x.permute(0, 2, 3, 1).cpu().numpy()) for x in (image, trimap))
    planes = (x[:rows, 0].clamp(0, 1).cpu().numpy() for x in (output.alpha, batch.alpha, batch.weight))
    alpha, truth, weight = planes
    sheet = [list(row) for row in zip(images, alpha, trimaps, truth, weight, strict=True)]
    save_sheet(path, sheet, image.shape[2], [["image", "alpha", "trimap", "truth", "weight"]])
