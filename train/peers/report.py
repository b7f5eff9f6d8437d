"""The table, the CSV file and the sheet of a comparison."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jointmat.evaluation.manifest import Item
from jointmat.evaluation.sheet import save_sheet
from jointmat.evaluation.table import number, write_csv
from jointmat.io.image import load_alpha, load_image
from train.peers.compare import Result, alpha_path, medians
from train.scores import means, score_rows

WHOLE = ("sad", "sad_above", "mad", "iou", "soft_mad")
UNKNOWN = ("sad_unknown", "mse_unknown", "grad_unknown", "conn_unknown")


def rows(results: Sequence[Result], columns: Sequence[str]) -> list[list[str]]:
    """Header, and means by source and system with the median time of an image, as cells of a table."""
    found = [["source", "system", "images", *columns, "ms"]]
    for source in dict.fromkeys(r.score.item.source for r in results):
        for system in dict.fromkeys(r.system for r in results):
            members = [r for r in results if r.system == system and r.score.item.source == source]
            mean = means([r.score.values for r in members])
            cells = [number(mean.get(column)) for column in columns]
            found.append([source, system, str(len(members)), *cells, number(medians(members)[system], 1)])
    return found


def save_csv(path: Path, results: Sequence[Result]) -> None:
    """One row per system and image, every metric."""
    head, *scores = score_rows([r.score for r in results])
    found = [[r.system, *row, r.milliseconds] for r, row in zip(results, scores, strict=True)]
    write_csv(path, [["system", *head, "ms"], *found])


def draw_extremes(path: Path, results: Sequence[Result], alphas: Path, metric: str, count: int = 4) -> None:
    """Sheet of image | alpha of each system | truth, where the first system wins most, then where it loses most.

    It wins by the difference of its `metric` to that of the best other system.
    """
    errors: dict[Item, dict[str, float]] = {}
    for r in results:
        if metric in r.score.values:
            errors.setdefault(r.score.item, {})[r.system] = r.score.values[metric]
    ranked = sorted(errors, key=lambda item: _lead(errors[item]), reverse=True)
    chosen = dict.fromkeys([*ranked[:count], *ranked[-count:]])
    if chosen:
        sheet = [_row(item, errors[item], alphas) for item in chosen]
        save_sheet(path, [list(row.values()) for row in sheet], captions=[list(row) for row in sheet])


def _lead(errors: dict[str, float]) -> float:
    """How far the first system is ahead of the best of the others."""
    first, *others = errors.values()
    return min(others, default=first) - first


def _row(item: Item, errors: dict[str, float], alphas: Path) -> dict[str, np.ndarray]:
    """Images by their captions."""
    systems = {
        f"{system} {error:.2f}": load_alpha(alpha_path(alphas, system, item)) for system, error in errors.items()
    }
    lead = _lead(errors)
    verdict = f"{'won' if lead > 0 else 'lost'} by {abs(lead):.2f}"
    return {verdict: load_image(item.image), **systems, "truth": item.alpha()}
