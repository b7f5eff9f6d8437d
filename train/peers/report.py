"""What a comparison leaves behind: a table, a CSV and a picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from jointmat.evaluation.manifest import Item
from jointmat.evaluation.sheet import save_sheet
from jointmat.io.atomic import atomic_write
from jointmat.io.image import load_alpha, load_image
from train.evaluate import summary
from train.peers.compare import Result, alpha_path, medians

WHOLE = ("sad", "sad_above", "mad", "iou", "soft_mad")
UNKNOWN = ("sad_unknown", "mse_unknown", "grad_unknown", "conn_unknown")

_TILE = 240  # pixels, height of a picture on the sheet
_CAPTION = 20  # pixels


def table(results: Sequence[Result], columns: Sequence[str]) -> str:
    """Means by source and system, and the median time of a photo of that source."""
    lines = ["".join([f"{'source':14}{'system':16}{'photos':>7}", *(f"{c:>14}" for c in columns), f"{'ms':>9}"])]
    for source in dict.fromkeys(r.score.item.source for r in results):
        for system in dict.fromkeys(r.system for r in results):
            members = [r for r in results if r.system == system and r.score.item.source == source]
            means = summary([r.score for r in members], columns)[source]
            cells = [f"{means[c]:.4f}" if c in means else "–" for c in columns]
            milliseconds = f"{medians(members)[system]:9.1f}"
            lines.append(
                "".join([f"{source:14}{system:16}{len(members):7}", *(f"{c:>14}" for c in cells), milliseconds])
            )
    return "\n".join(lines)


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """One row per system and photo, every metric."""
    names = list(dict.fromkeys(name for r in results for name in r.score.values))
    text = io.StringIO()
    rows = csv.DictWriter(text, ["system", "source", "name", *names, "ms"], lineterminator="\n")
    rows.writeheader()
    for r in results:
        values = {name: f"{value:.6g}" for name, value in r.score.values.items()}
        where = {"system": r.system, "source": r.score.item.source, "name": r.score.item.name}
        rows.writerow(where | values | {"ms": f"{r.milliseconds:.1f}"})
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def draw_extremes(path: Path, results: Sequence[Result], alphas: Path, metric: str, count: int = 4) -> None:
    """Sheet of photo | alpha of each system | truth, where the first system wins most, then where it loses most.

    It wins by as much as its `metric` is below the best of the others'.
    """
    errors: dict[Item, dict[str, float]] = {}
    for r in results:
        if metric in r.score.values:
            errors.setdefault(r.score.item, {})[r.system] = r.score.values[metric]
    ranked = sorted(errors, key=lambda item: _lead(errors[item]), reverse=True)
    chosen = dict.fromkeys([*ranked[:count], *ranked[-count:]])
    if chosen:
        save_sheet(path, [_row(item, errors[item], alphas) for item in chosen], _TILE + _CAPTION)


def _lead(errors: dict[str, float]) -> float:
    """How far the first system is ahead of the best of the others."""
    first, *others = errors.values()
    return min(others, default=first) - first


def _row(item: Item, errors: dict[str, float], alphas: Path) -> list[np.ndarray]:
    systems = {
        f"{system} {error:.2f}": load_alpha(alpha_path(alphas, system, item)) for system, error in errors.items()
    }
    planes = {**systems, "truth": item.alpha()}
    grey = {text: np.rint(np.dstack([plane] * 3) * 255).astype(np.uint8) for text, plane in planes.items()}
    lead = _lead(errors)
    shown = {f"{'won' if lead > 0 else 'lost'} by {abs(lead):.2f}": load_image(item.image), **grey}
    return [_captioned(picture, text) for text, picture in shown.items()]


def _captioned(picture: np.ndarray, text: str) -> np.ndarray:
    width = max(1, round(picture.shape[1] * _TILE / picture.shape[0]))
    tile = cv2.resize(picture, (width, _TILE), interpolation=cv2.INTER_AREA)
    strip = np.full((_CAPTION, width, 3), 255, np.uint8)
    cv2.putText(strip, text, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([tile, strip])
