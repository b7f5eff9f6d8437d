"""The table and the picture."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jointmat.evaluation.manifest import Kind
from jointmat.evaluation.sheet import save_sheet
from jointmat.io.atomic import atomic_write
from jointmat.io.image import load_image
from train.ablation.arms import predictor_of, weights_of
from train.ablation.cost import THREADS, Cost
from train.ablation.judge import means, photos, true_trimap
from train.ablation.paired import Difference, paired_difference
from train.ablation.plan import Plan, Planner

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
    sources = _sources(results)
    by_source = [f"SAD {source}" for source in sources]
    return [
        [*_cost_header(), "steps", _difference_title(plan), *by_source, *_QUALITY.values()],
        *(_row(plan, results, name, costs.get(plan.owner(name)), sources) for name in plan.arms),
    ]


def _row(plan: Plan, results: Results, name: str, cost: Cost | None, sources: Sequence[str]) -> list[str]:
    runs = results.get(name, ())
    difference = _difference_cell(_difference(plan, results, name, runs))
    by_source = [_cell([_of_source(run, source) for run in runs], "sad") for source in sources]
    quality = [_cell(runs, key) for key in _QUALITY]
    return [*_cost_cells(plan.arms[name].title, cost), _steps_cell(runs), difference, *by_source, *quality]


def _sources(results: Results) -> list[str]:
    """Those of the photos with an alpha."""
    photos_judged = (photo for runs in results.values() for run in runs for photo in run["photos"].values())
    return list(dict.fromkeys(photo["source"] for photo in photos_judged if "sad" in photo))


def conditions(plan: Plan, results: Results, costs: Mapping[str, Cost]) -> str:
    """What the numbers were taken under, and how long it took."""
    about = [_training(plan, results), _judging(plan, results)] if results else []
    return " ".join([*about, _measuring(plan, costs) if costs else "Costs have not been measured."])


def _measuring(plan: Plan, costs: Mapping[str, Cost]) -> str:
    judged, machine = plan.judge, next(iter(costs.values())).machine
    return (
        f"Latency (networks and trimap step, median of {judged.cost_rounds} interleaved rounds, in brackets "
        f"relative to {plan.reference}) and memory (growth of a fresh process) at {judged.cost_size}², one "
        f"picture, by {machine}."
    )


def _training(plan: Plan, results: Results) -> str:
    runs = [run for name, found in results.items() if not plan.arms[name].of for run in found]
    samples = sorted({round(run["samples"] / max(1, sum(run["steps"]))) for run in runs})
    shapes = ", ".join(dict.fromkeys(f"{h}×{w}" for run in runs for h, w in run["shapes"]))
    return (
        f"Steps of {' or '.join(map(str, samples))} samples at {shapes} (a + b: two runs, one from the other's "
        f"weights); {sum(run['hours'] for run in runs):.2f} h together."
    )


def _judging(plan: Plan, results: Results) -> str:
    judged = plan.judge
    photos_judged = next(iter(results.values()))[0]["photos"].values()
    sources = ", ".join(sorted({photo["source"] for photo in photos_judged}))
    return (
        f"Judged on {len(photos_judged)} photos of {sources}, seen with the long side at {judged.max_side} px. "
        "SAD, Grad and Conn in thousands. unk.: on the unknown region, the data's trimap or else "
        f"{judged.band} px around the soft pixels of the true alpha. recall: share of the truly soft pixels that "
        "the trimap calls unknown; area: share of the photo that it calls unknown. ±: standard deviation over "
        f"seeds. {_difference_title(plan)}: SAD minus that of {plan.reference} with the same seed on the same "
        "photo, mean over photos and the seeds that both have, ± its standard error over photos; below 0 is "
        "better."
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
    """One row an arm, seed and source, and "all" of either, with every number at full precision.

    Rows of all seeds and all sources have the numbers of the table.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            *("arm", "seed", "source", "photos", "steps", "hours", "parameters", "gmac"),
            *(f"{kind}_{t}" for t in THREADS for kind in ("ms", "mb")),
            *("sad_difference", "sad_difference_error"),
            *_QUALITY,
        ]
    )
    unknown = [""] * (2 + 2 * len(THREADS))
    for name in plan.arms:
        cost = costs.get(plan.owner(name))
        writer.writerows(_csv_rows(plan, results, name, _cost_values(cost) if cost else unknown))
    _write(path, stream.getvalue())


def _csv_rows(plan: Plan, results: Results, name: str, cost: Sequence[Any]) -> list[list[Any]]:
    """Those of one arm."""
    runs = results.get(name, ())
    if not runs:
        return [[name, *[""] * 5, *cost]]
    rows: list[list[Any]] = []
    sources = dict.fromkeys(photo["source"] for run in runs for photo in run["photos"].values())
    for seed, members in {**{run["seed"]: [run] for run in runs}, "all": runs}.items():
        for source in ("all", *sources):
            judged = [_of_source(run, source) for run in members]
            quality = means(photo for run in judged for photo in run["photos"].values())
            hours = sum(run["hours"] for run in judged)
            start = [name, seed, source, len(judged[0]["photos"]), _steps_cell(judged), hours]
            difference = _difference(plan, results, name, judged) or ("", "")
            rows.append([*start, *cost, *difference, *(quality.get(key, "") for key in _QUALITY)])
    return rows


def _of_source(run: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The result with the photos of one source, or "all"."""
    kept = {name: photo for name, photo in run["photos"].items() if source in ("all", photo["source"])}
    return {**run, "photos": kept}


def write_table(path: Path, rows: Sequence[Sequence[str]], note: str, command: str) -> None:
    _write(path, f"{markdown(rows)}\n{note}\n\nMade by `{command}`.\n")


def draw(path: Path, planner: Planner, results: Results, output: Path, rows: int = 4) -> bool:
    """Photo | the alpha of each arm with its first seed, if its weights are there | truth, for photos spread over
    the sources; False and no picture if no arm's weights are there."""
    seeds = {name: runs[0]["seed"] for name, runs in results.items()}
    there = {name: seed for name, seed in seeds.items() if weights_of(planner, name, seed, output).is_file()}
    if not there:
        return False
    items = [item for item in photos(planner.plan.judge, planner.folder()) if item.kind is Kind.ALPHA]
    picked = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, rows).round().astype(int))]
    columns = {"photo": [load_image(item.image) for item in picked]}
    for name, seed in there.items():
        predictor = predictor_of(planner, name, seed, output)
        give = planner.plan.arms[name].true_trimap
        given = [true_trimap(item, planner.plan.judge.band) if give else None for item in picked]
        columns[name] = [
            predictor.predict(item.image, trimap=trimap) for item, trimap in zip(picked, given, strict=True)
        ]
    columns["truth"] = [item.alpha() for item in picked]
    squares = {name: [_middle(picture) for picture in pictures] for name, pictures in columns.items()}
    captioned = {name: [_captioned(pictures[0], name), *pictures[1:]] for name, pictures in squares.items()}
    save_sheet(path, list(zip(*captioned.values(), strict=True)))
    return True


def _middle(picture: np.ndarray) -> np.ndarray:
    """The largest square in the middle, so that columns stand under their captions."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]


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


def _cell(runs: Sequence[Mapping[str, Any]], key: str) -> str:
    by_seed = [means(run["photos"].values()) for run in runs]
    return _mean_and_spread([m[key] for m in by_seed if key in m], _digits(key))


def _steps_cell(runs: Sequence[Mapping[str, Any]]) -> str:
    """Of each stage, "450+450"."""
    return "+".join(map(str, runs[0]["steps"])) if runs else "–"


def _difference_title(plan: Plan) -> str:
    return f"ΔSAD to {plan.reference}"


def _difference_cell(found: Difference | None) -> str:
    if found is None:
        return "–"
    mean = f"{found.mean:+.{_DIGITS['sad']}f}"
    return mean if found.error is None else f"{mean} ± {found.error:.{_DIGITS['sad']}f}"


def _difference(plan: Plan, results: Results, name: str, runs: Sequence[Mapping[str, Any]]) -> Difference | None:
    """Of the SAD of an arm's `runs` to the reference's; None for the reference itself and without a pair."""
    return None if name == plan.reference else paired_difference(runs, results.get(plan.reference, ()), "sad")


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
