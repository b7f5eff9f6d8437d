"""How good a trained arm is on labelled photos."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from jointmat import metrics
from jointmat.evaluation.manifest import Item, Kind, check_names, read_manifest
from jointmat.io.image import load_trimap
from jointmat.matte import Matte
from train.ablation.plan import JudgeConfig
from train.evaluate import score

Predict = Callable[[Item, np.ndarray | None], Matte]
"""(item, trimap to be given or None) → its matte"""


def photos(config: JudgeConfig, root: Path) -> list[Item]:
    """The labelled photos that the arms are judged on."""
    items = read_manifest(root, [config.split], config.sources)
    labelled = sorted((item for item in items if item.label), key=lambda item: item.source)
    check_names(labelled)
    groups = (list(group) for _, group in groupby(labelled, key=lambda item: item.source))
    return [item for group in groups for item in group[: config.photos or None]]


def judge(items: Sequence[Item], predict: Predict, config: JudgeConfig, true_trimap: bool) -> dict[str, dict]:
    """Values by photo: those of `train.evaluate.score` on the whole photo and on its unknown region, recall and
    area of the trimap, and the mask's IoU.

    A photo with a coarse label has only the IoU.
    """
    return {
        item.name: {"source": item.source, **_rounded(_judged(item, predict, config.band, true_trimap))}
        for item in tqdm(items, unit="photo", disable=None, leave=False)
    }


def true_unknown(alpha: np.ndarray, band: int) -> np.ndarray:
    """(H, W) uint8 trimap of a true alpha: unknown where it is soft, and `band` pixels around."""
    soft = ((alpha > 0.01) & (alpha < 0.99)).astype(np.uint8)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    edge = cv2.morphologyEx((alpha >= 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    unknown = cv2.dilate(cv2.max(soft, edge), ellipse) > 0
    return np.where(unknown, 128, np.where(alpha >= 0.5, 255, 0)).astype(np.uint8)


def true_trimap(item: Item, band: int) -> np.ndarray:
    """The data's trimap of an item with an alpha, or `true_unknown` where it has none."""
    truth = item.alpha()
    return load_trimap(item.trimap, truth.shape) if item.trimap else true_unknown(truth, band)


def means(values: Iterable[dict]) -> dict[str, float]:
    """Mean of each number over the photos that have it."""
    rows = list(values)
    names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, float))
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}


def _judged(item: Item, predict: Predict, band: int, give: bool) -> dict[str, float]:
    truth = item.alpha()
    if item.kind is Kind.MASK:
        return {"mask_iou": metrics.iou(predict(item, None).mask, truth)}
    trimap = true_trimap(item, band)
    matte = predict(item, trimap if give else None)
    values = score(np.rint(matte.alpha * 255) / 255, truth, item.kind, trimap)
    soft, unknown = (truth > 0.01) & (truth < 0.99), matte.trimap == 128
    values["mask_iou"] = metrics.iou(matte.mask, truth)
    values["trimap_area"] = float(unknown.mean())
    if soft.any():
        values["trimap_recall"] = float(unknown[soft].mean())
    return values
