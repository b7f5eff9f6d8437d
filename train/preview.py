"""A sheet of the network's current output: image | trimap | prior | alpha | truth | weight, one sample per
row."""

from pathlib import Path

import torch
import torch.nn.functional as F

from jointmat.build import Network
from jointmat.evaluation.sheet import save_sheet
from jointmat.io.arrays import to_uint8
from train.data.dataset import Sample


def save_preview(path: Path, model: Network, batch: Sample, rows: int = 12) -> None:
    """Run `model` on the batch and write the sheet."""
    image = batch.image[:rows]
    with torch.inference_mode():
        output = model(image, batch.trimap[:rows], batch.prior[:rows])
    trimap = F.interpolate(output.trimap, image.shape[-2:]).flip(1)  # red foreground, blue background
    images, trimaps = (to_uint8(x.permute(0, 2, 3, 1).cpu().numpy()) for x in (image, trimap))
    fields = (batch.prior, output.alpha, batch.alpha, batch.weight)
    planes = (x[:rows, 0].clamp(0, 1).cpu().numpy() for x in fields)
    sheet = [list(row) for row in zip(images, trimaps, *planes, strict=True)]
    save_sheet(path, sheet, image.shape[2], [["image", "trimap", "prior", "alpha", "truth", "weight"]])
