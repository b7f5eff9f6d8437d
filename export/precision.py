"""What a lower precision costs and brings: one table for all forms of a model."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from tqdm import tqdm

from export.calibration import readable
from jointmat import metrics
from jointmat.errors import InputError
from jointmat.io.image import load_image
from jointmat.predictor import Predictor
from jointmat.runtime.files import exported_file


def precision_table(
    model: str, precisions: Sequence[str], images: Path, alphas: Path | None, threads: int | None
) -> str:
    """Size, time and error of each precision on a folder of photos; paired, photo by photo.

    Parameters
    ----------
    precisions : the first one is what the others are compared with
    images, alphas : folders; an alpha is a grey picture with its photo's name and size. Without them, only the
        difference from the first precision is measured.

    Raises
    ------
    InputError
        for a folder without pictures, or a photo without its alpha.
    """
    photos = readable(images)
    if not photos:
        raise InputError(f"{images}: no readable pictures in this folder")
    truths = None if alphas is None else [_alpha(alphas, photo) for photo in photos]
    predictors = {p: Predictor(model, precision=p, threads=threads) for p in precisions}
    times: dict[str, list[float]] = {p: [] for p in precisions}
    differences: dict[str, list[float]] = {p: [] for p in precisions}
    sads: dict[str, list[float]] = {p: [] for p in precisions}
    for number, photo in enumerate(tqdm(photos, disable=None, unit="photo")):
        pixels = load_image(photo)
        found = {}
        for precision, predictor in predictors.items():
            start = time.perf_counter()
            found[precision] = predictor.predict(pixels)
            times[precision].append((time.perf_counter() - start) * 1e3)
        for precision, alpha in found.items():
            differences[precision].append(float(np.abs(alpha - found[precisions[0]]).mean()))
            if truths is not None:
                sads[precision].append(metrics.sad(alpha, load_image(truths[number])[..., 0] / 255))
    title = f"{'':6}{'MB':>7}{'ms/photo least':>16}{'median':>8}{'mean |Δalpha|':>15}{'SAD':>8}{'change':>9}"
    rows = [f"{len(photos)} photos of {images.name}, SAD of the whole image in thousands", title]
    for p in precisions:
        size = exported_file(model, p).stat().st_size / 1e6
        row = f"{p:6}{size:7.1f}{min(times[p]):16.0f}{median(times[p]):8.0f}{np.mean(differences[p]):15.5f}"
        if truths is not None:
            change = np.mean(sads[p]) / np.mean(sads[precisions[0]]) - 1
            row += f"{np.mean(sads[p]):8.2f}{change:+9.1%}"
        rows.append(row)
    return "\n".join(rows)


def _alpha(folder: Path, photo: Path) -> Path:
    found = sorted(folder.glob(f"{photo.stem}.*"))
    if not found:
        raise InputError(f"{folder}: no alpha for {photo.name}; expected {photo.stem}.png")
    return found[0]
