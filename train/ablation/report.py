"""The table and the picture."""

import csv
import io
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from jointmat.io.atomic import atomic_write
from jointmat.io.image import load_image
from jointmat.sheet import save_sheet
from train.ablation.arms import predictor_of
from train.ablation.cost import THREADS, Cost
from train.ablation.judge import means, photos, true_trimap
from train.ablation.plan import JudgeConfig, Plan, Planner
from train.data.items import Kind
from train.evaluate import read_alpha
from train.record import processor

Results = Mapping[str, Sequence[Mapping[str, Any]]]

_METRICS = {"sad": "SAD", "mse": "MSE", "mad": "MAD", "grad": "Grad", "conn": "Conn"}
_QUALITY = {
    **_METRICS,
    **{f"{name}_unknown": f"{title} unk." for name, title in _METRICS.items()},
    "trimap_recall": "recall",
    "trimap_area": "area",
    "mask_iou": "mask IoU",
}
_DIGITS = {
    "sad": 2,
    "grad": 2,
    "conn": 2,
    "mse": 4,
    "mad": 4,
    "trimap_recall": 3,
    "trimap_area": 3,
    "mask_iou": 4,
}


def table(plan: Plan, results: Results, costs: Mapping[str, Cost]) -> list[list[str]]:
    """Header and one row an arm, all text."""
    return [
        [*_cost_header(), "steps", *_QUALITY.values()],
        *(
            [*_cost_cells(arm.title, costs.get(plan.owner(name))), *_quality_cells(results.get(name, ()))]
            for name, arm in plan.arms.items()
        ),
    ]


def conditions(plan: Plan, results: Results) -> str:
    """What the numbers were taken under, and how long it took."""
    judged = plan.judge
    cost = (
        f"Latency (networks and trimap step, median of {judged.cost_rounds} interleaved rounds, in brackets "
        f"relative to {plan.reference}) and memory (growth of a fresh process) at {judged.cost_size}², one "
        f"picture, by torch {torch.__version__} on {processor()}, {platform.system()}."
    )
    return f"{_training(plan, results)} {_judging(judged, results)} {cost}" if results else cost


def _training(plan: Plan, results: Results) -> str:
    runs = [run for name, found in results.items() if not plan.arms[name].of for run in found]
    samples = sorted({round(run["samples"] / max(1, sum(run["steps"]))) for run in runs})
    shapes = ", ".join(dict.fromkeys(f"{h}×{w}" for run in runs for h, w in run["shapes"]))
    return (
        f"Steps of {' or '.join(map(str, samples))} samples at {shapes} (a + b: two runs, one from the other's "
        f"weights); {sum(run['hours'] for run in runs):.2f} h together."
    )


def _judging(judged: JudgeConfig, results: Results) -> str:
    photos_judged = next(iter(results.values()))[0]["photos"].values()
    sources = ", ".join(sorted({photo["source"] for photo in photos_judged}))
    return (
        f"Judged on {len(photos_judged)} photos of {sources}, seen with the long side at {judged.max_side} px. "
        "SAD, Grad and Conn in thousands. unk.: on the unknown region, the data's trimap or else "
        f"{judged.band} px around the soft pixels of the true alpha. recall: share of the truly soft pixels that "
        "the trimap calls unknown; area: share of the photo that it calls unknown. ±: standard deviation over "
        "seeds."
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" + "|---:" * (len(rows[0]) - 1) + "|")
    return "\n".join(lines) + "\n"


def text(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def write_csv(path: Path, plan: Plan, results: Results, costs: Mapping[str, Cost]) -> None:
    """One row an arm, seed and source, plus "all", with every number at full precision."""
    head = ["arm", "seed", "source", "photos", "steps", "hours", "parameters", "gmac"]
    head += [f"{kind}_{t}" for t in THREADS for kind in ("ms", "mb")]
    rows: list[list[Any]] = []
    for name in plan.arms:
        cost = costs.get(plan.owner(name))
        cells = _cost_values(cost) if cost else [""] * (2 + 2 * len(THREADS))
        for run in results.get(name, ()):
            judged = list(run["photos"].values())
            groups = {"all": judged}
            for photo in judged:
                groups.setdefault(photo["source"], []).append(photo)
            for source, members in groups.items():
                quality = means(members)
                start = [
                    name,
                    run["seed"],
                    source,
                    len(members),
                    "+".join(map(str, run["steps"])),
                    run["hours"],
                ]
                rows.append([*start, *cells, *(quality.get(key, "") for key in _QUALITY)])
        if name not in results:
            rows.append([name, "", "", "", "", "", *cells])
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*head, *_QUALITY])
    writer.writerows(rows)
    _write(path, stream.getvalue())


def write_table(path: Path, rows: Sequence[Sequence[str]], note: str, command: str) -> None:
    _write(path, f"{markdown(rows)}\n{note}\n\nMade by `{command}`.\n")


def draw(path: Path, planner: Planner, results: Results, output: Path, rows: int = 4) -> None:
    """Photo | the alpha of each arm with its first seed | truth, for photos spread over the sources."""
    items = [item for item in photos(planner.plan.judge, planner.folder()) if item.kind is Kind.ALPHA]
    picked = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, rows).round().astype(int))]
    columns = {"photo": [load_image(item.image) for item in picked]}
    for name, runs in results.items():
        predictor = predictor_of(planner, name, runs[0]["seed"], output)
        give = planner.plan.arms[name].true_trimap
        given = [true_trimap(item, planner.plan.judge.band) if give else None for item in picked]
        columns[name] = [
            predictor.predict(item.image, trimap=trimap) for item, trimap in zip(picked, given, strict=True)
        ]
    columns["truth"] = [read_alpha(item.label) for item in picked]
    captioned = {name: [_captioned(pictures[0], name), *pictures[1:]] for name, pictures in columns.items()}
    save_sheet(path, list(zip(*captioned.values(), strict=True)))


def _captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    """The picture with its caption over it, (H, W, 3) uint8."""
    if picture.ndim == 2:
        picture = np.repeat(np.rint(picture * 255).astype(np.uint8)[..., None], 3, axis=2)
    bar = np.full((max(14, picture.shape[0] // 12), picture.shape[1], 3), 255, np.uint8)
    size = bar.shape[0] / 32
    cv2.putText(
        bar, caption, (4, int(bar.shape[0] * 0.75)), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA
    )
    return np.vstack([bar, picture[bar.shape[0] :]])


def _cost_header() -> list[str]:
    return ["arm", "Mparam", "GMAC", *(f"{kind}, {t} thr." for t in THREADS for kind in ("ms", "MB"))]


def _cost_values(cost: Cost) -> list[Any]:
    by_thread = zip(cost.milliseconds, cost.megabytes, strict=True)
    return [cost.parameters, cost.gmac, *(value for pair in by_thread for value in pair)]


def _cost_cells(title: str, cost: Cost | None) -> list[str]:
    if cost is None:
        return [title, *["–"] * (2 + 2 * len(THREADS))]
    cells = [title, f"{cost.parameters / 1e6:.2f}", f"{cost.gmac:.2f}"]
    for ms, ratio, mb in zip(cost.milliseconds, cost.ratio, cost.megabytes, strict=True):
        cells += [f"{ms:.0f} ({ratio:.2f}×)", f"{mb:.0f}"]
    return cells


def _quality_cells(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    if not runs:
        return ["–"] * (1 + len(_QUALITY))
    by_seed = [means(run["photos"].values()) for run in runs]
    steps = "+".join(map(str, runs[0]["steps"]))
    return [steps, *(_mean_and_spread([m[key] for m in by_seed if key in m], _digits(key)) for key in _QUALITY)]


def _digits(key: str) -> int:
    return _DIGITS[key if key in _DIGITS else key.removesuffix("_unknown")]


def _mean_and_spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    mean = f"{np.mean(values):.{digits}f}"
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else mean


def _write(path: Path, content: str) -> None:
    with atomic_write(path) as file:
        file.write(content.encode())
