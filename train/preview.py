"""A picture of what the network does now: image | trimap | prior | alpha | truth | weight, one sample a row."""

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jointmat.build import Network
from train.data.dataset import Sample


def save_preview(path: Path, model: Network, batch: Sample, rows: int = 12) -> None:
    """Run `model` on the batch; write a JPEG."""
    image = batch.image[:rows]
    with torch.inference_mode():
        output = model(image, batch.trimap[:rows], batch.prior[:rows])
    trimap = F.interpolate(output.trimap, image.shape[-2:])
    columns = [
        image,
        trimap.flip(1),
        _grey(batch.prior[:rows]),
        _grey(output.alpha),
        _grey(batch.alpha[:rows]),
        _grey(batch.weight[:rows]),
    ]
    sheet = torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)  # 3, rows·H, columns·W
    pixels = np.rint(sheet.clamp(0, 1).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


def _grey(plane: Tensor) -> Tensor:
    return plane.expand(-1, 3, -1, -1)
