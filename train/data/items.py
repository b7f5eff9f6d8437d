"""What a data set consists of, whatever folder layout it came in."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from jointmat.errors import InputError
from jointmat.io.image import load_alpha


class Kind(StrEnum):
    """What is known about a picture."""

    CUTOUT = "cutout"
    """RGBA: clean foreground colours and their alpha, to be put on any background"""
    ALPHA = "alpha"
    """photo and alpha matte"""
    MASK = "mask"
    """photo and coarse binary mask: nothing is known about the hair"""
    BACKGROUND = "background"
    """photo without a person"""


@dataclass(frozen=True)
class Item:
    """One picture with its label."""

    kind: Kind
    source: str
    name: str
    image: Path
    licence: str = "not stated"
    label: Path | None = None
    trimap: Path | None = None
    weight: Path | None = None
    """grey picture of how far the label is to be trusted at each pixel; None: as far as its kind says"""

    def alpha(self) -> np.ndarray:
        """(H, W) float32 in [0, 1] of the label; InputError where there is none."""
        if self.label is None:
            raise InputError(f"{self.name}: has no label to compare with")
        return load_alpha(self.label)
