"""Are pseudo-alphas better than the mask they are made from? Asked where the true alpha is known."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from jointmat.io.image import load_image
from jointmat.manifest import Item
from train.pseudo_alpha.matting import PseudoSettings, band_of, pseudo_alpha, solve

LABELS = ("mask", "blurred mask", "closed-form", "pseudo")
COARSENESS = 4
THRESHOLDS = (0.25, 0.5, 0.75, 1.0)


class Label(NamedTuple):
    """One way to label the band of one photo."""

    subset: str
    """which pixels of the band, by confidence"""
    share: float
    """of the band's pixels"""
    mad: dict[str, float]
    """by name of `LABELS`: mean |label − truth| over the subset"""
    sad: dict[str, float]
    """sum of the same in thousands"""


def coarse_mask(alpha: np.ndarray) -> np.ndarray:
    """(H, W) bool: α ≥ .5 as a careless annotation would have it.

    Averaged over cells of 4x4 pixels, blurred by one cell, cut at .5, and enlarged again.
    """
    height, width = alpha.shape
    small = max(1, width // COARSENESS), max(1, height // COARSENESS)
    cells = cv2.resize((alpha >= 0.5).astype(np.float32), small, interpolation=cv2.INTER_AREA)
    cells = (cv2.GaussianBlur(cells, (0, 0), 1.0) >= 0.5).astype(np.float32)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5


def judge(item: Item, settings: PseudoSettings) -> list[Label]:
    """Errors in the band of one photo: everywhere, weighted by confidence, and above each threshold of it."""
    image, truth = load_image(item.image), item.alpha()
    mask = coarse_mask(truth)
    result = pseudo_alpha(image, mask, settings)
    trimap = band_of(mask, settings.band * max(mask.shape))
    plain = solve(image.astype(np.float32) / 255, trimap, result.soft_mask, np.zeros_like(truth))
    labels = (mask.astype(np.float32), result.soft_mask, plain, result.alpha)
    errors = {name: np.abs(x - truth)[result.band] for name, x in zip(LABELS, labels, strict=True)}
    confidence = result.confidence[result.band]
    weights = {"all": np.ones_like(confidence), "weighted": confidence}
    weights |= {f"confidence >= {t:g}": (confidence >= t).astype(np.float32) for t in THRESHOLDS}
    return [
        Label(
            name,
            float(weight.mean()),
            {k: float((e * weight).sum() / weight.sum()) if weight.any() else np.nan for k, e in errors.items()},
            {k: float((e * weight).sum() / 1000) for k, e in errors.items()},
        )
        for name, weight in weights.items()
    ]


def verdict(photos: Sequence[Sequence[Label]]) -> str:
    """Means over photos as text, one row a subset; `wins`: photos where the pseudo-alpha has the least MAD."""
    head = [f"{kind} {name}" for kind in ("MAD", "SAD") for name in LABELS]
    lines = ["".join([f"{'band':20}{'share':>7}", *(f"{h:>18}" for h in head), f"{'wins':>7}"])]
    for column in zip(*photos, strict=True):
        used = [label for label in column if label.share > 0]
        cells = [f"{column[0].subset:20}{np.mean([label.share for label in column]):7.3f}"]
        cells += [f"{np.mean([label.mad[n] for label in used]):18.4f}" if used else f"{'–':>18}" for n in LABELS]
        cells += [f"{np.mean([label.sad[n] for label in column]):18.4f}" for n in LABELS]
        wins = sum(min(label.mad, key=label.mad.__getitem__) == "pseudo" for label in used)
        lines.append("".join([*cells, f"{wins:>4}/{len(used)}"]))
    return "\n".join(lines)
