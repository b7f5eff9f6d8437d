"""Scores of predictions against labels, with the metrics of `jointmat.metrics`.

Alphas are rounded to 8 bits before scoring, as a file would hold them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from jointmat import metrics
from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind
from jointmat.io.arrays import to_uint8
from jointmat.io.image import load_alpha, load_trimap


class Prediction(NamedTuple):
    """A system's answer; a system that makes no trimap or mask leaves them out."""

    alpha: np.ndarray
    """(H, W) float32 in [0, 1]"""
    trimap: np.ndarray | None = None
    """(H, W) uint8 of 0, 128 and 255"""
    mask: np.ndarray | None = None
    """(H, W) float32 in [0, 1]"""


Predict = Callable[[Item, np.ndarray | None], Prediction]
"""(item, trimap to give or None) → prediction"""


@dataclass(frozen=True)
class Score:
    """The metrics of one image."""

    item: Item
    values: dict[str, float]


def evaluate(
    items: Sequence[Item], predict: Predict, *, give_trimaps: bool = False, band: int | None = None
) -> list[Score]:
    """Score every item that has a label.

    Parameters
    ----------
    give_trimaps : hand the trimap to the predictor, where there is one
    band : where the data has no trimap, take `true_trimap` with this band; None: then there is none

    Raises
    ------
    InputError
        if no item has a label, or a prediction is not of its label's size.
    """
    items = [item for item in items if item.label]
    if not items:
        raise InputError("no image with a label to compare with; expected some of kind alpha or mask")
    scores = []
    for item in tqdm(items, unit="image", disable=None, leave=False):
        truth = item.alpha()
        trimap = trimap_of(item, truth, band)
        prediction = predict(item, trimap if give_trimaps else None)
        if prediction.alpha.shape != truth.shape:
            raise InputError(f"{item.name}: prediction is {prediction.alpha.shape}, its label {truth.shape}")
        scores.append(Score(item, score(prediction, truth, item.kind, trimap)))
    return scores


def score(
    prediction: Prediction, truth: np.ndarray, kind: Kind, trimap: np.ndarray | None = None
) -> dict[str, float]:
    """Metrics of one image by name. An image with a coarse mask has only those of masks.

    * iou of alpha, mask_iou of the mask, both at .5
    * sad, mse, mad, grad, conn of the whole image; sad_above and sad_below are the parts of the SAD where alpha
      is above and below the truth: labels that leave out loose hair make the first one large
    * soft_mad, the mean absolute difference where the true alpha is in (.02, .98)
    * trimap_recall, the share of those pixels that the predicted trimap calls unknown; trimap_area, the share of
      the image
    * *_unknown of the unknown region of `trimap`, after its known pixels were set, as published results are
    """
    alpha = to_uint8(prediction.alpha) / np.float32(255)
    values = {"iou": metrics.iou(alpha, truth)}
    if prediction.mask is not None:
        values["mask_iou"] = metrics.iou(prediction.mask, truth)
    if kind is Kind.MASK:
        return values
    soft = _soft(truth)
    values |= metrics.evaluate(alpha, truth)
    values["sad_above"] = metrics.sad(np.maximum(alpha, truth), truth)
    values["sad_below"] = metrics.sad(np.minimum(alpha, truth), truth)
    values["soft_mad"] = metrics.mad(alpha, truth, soft) if soft.any() else 0.0
    if prediction.trimap is not None:
        unknown = prediction.trimap == 128
        values["trimap_area"] = float(unknown.mean())
        if soft.any():
            values["trimap_recall"] = float(unknown[soft].mean())
    if trimap is not None and (trimap == 128).any():
        known = np.where(trimap == 128, alpha, (trimap > 128).astype(alpha.dtype))
        inside = metrics.evaluate(known, truth, trimap == 128)
        values |= {f"{name}_unknown": inside[name] for name in ("sad", "mse", "mad", "grad", "conn")}
    return values


def _soft(truth: np.ndarray) -> np.ndarray:
    """Soft pixels of an alpha, (H, W) bool: closer to 0 and 1, differences are invisible and labels noisy."""
    return (truth > 0.02) & (truth < 0.98)


def true_trimap(alpha: np.ndarray, band: int) -> np.ndarray:
    """(H, W) uint8 trimap of a true alpha: unknown where it is soft or has an edge, and `band` pixels around."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    edge = cv2.morphologyEx((alpha >= 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    unknown = cv2.dilate(cv2.max(_soft(alpha).astype(np.uint8), edge), ellipse) > 0
    return np.where(unknown, 128, np.where(alpha >= 0.5, 255, 0)).astype(np.uint8)


def trimap_of(item: Item, truth: np.ndarray, band: int | None = None) -> np.ndarray | None:
    """The data's trimap of an item; where it has none, `true_trimap` of its alpha if there is a band."""
    if item.trimap:
        return load_trimap(item.trimap, truth.shape)
    return None if band is None or item.kind is Kind.MASK else true_trimap(truth, band)


def from_predictor(predictor: Any) -> Predict:
    """Predict with a `Predictor`."""

    def predict(item: Item, trimap: np.ndarray | None) -> Prediction:
        matte = predictor.matte(item.image, trimap=trimap)
        return Prediction(matte.alpha, matte.trimap, matte.mask)

    return predict


def from_folder(folder: Path) -> Predict:
    """Read the alphas that another system wrote, as NAME.png."""
    return lambda item, _: Prediction(load_alpha(folder / f"{item.name}.png"))


def means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each metric over the images that have it."""
    names = dict.fromkeys(name for image in values for name in image)
    return {name: float(np.mean([image[name] for image in values if name in image])) for name in names}


def by_source(scores: Sequence[Score]) -> dict[str, list[dict[str, float]]]:
    """The values of each source's images."""
    found: dict[str, list[dict[str, float]]] = {}
    for one in scores:
        found.setdefault(one.item.source, []).append(one.values)
    return found


def score_rows(scores: Sequence[Score]) -> list[list[object]]:
    """Header and every image's values, for a CSV file."""
    names = list(dict.fromkeys(name for one in scores for name in one.values))
    found: list[list[object]] = [["source", "name", *names]]
    found += [[s.item.source, s.item.name, *(s.values.get(name) for name in names)] for s in scores]
    return found
