"""The table, the CSV file and the sheet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from jointmat.evaluation.manifest import Kind
from jointmat.evaluation.sheet import save_sheet
from jointmat.evaluation.table import MISSING, number, table, write_csv
from jointmat.io.atomic import atomic_write
from jointmat.io.image import load_image
from train.ablation.arms import judged_items, predictor_of, weights_of
from train.ablation.cost import THREADS, Cost
from train.ablation.paired import Difference, paired_difference
from train.ablation.plan import Plan, Planner
from train.scores import means, trimap_of

Result = Mapping[str, Any]
Results = Mapping[str, Sequence[Result]]
"""For each arm, one per seed: see `train.ablation.arms.run_arms`."""

_METRICS = {"sad": ("SAD", 2), "mse": ("MSE", 4), "mad": ("MAD", 4), "grad": ("Grad", 2), "conn": ("Conn", 2)}
_QUALITY = {
    **_METRICS,
    "soft_mad": ("soft MAD", 4),
    **{f"{name}_unknown": (f"{title} unk.", digits) for name, (title, digits) in _METRICS.items()},
    "trimap_recall": ("recall", 3),
    "trimap_area": ("area", 3),
    "mask_iou": ("mask IoU", 4),
}
"""Title and digits of the columns."""
_NO_COST = 2 + 2 * len(THREADS)  # columns


def rows(plan: Plan, results: Results, costs: Mapping[str, Cost]) -> list[list[str]]:
    """Header and one row an arm, as cells of a table."""
    sources = _sources(results)
    titles = ["arm", "Mparam", "GMAC", *(f"{kind}, {t} thr." for t in THREADS for kind in ("ms", "MB"))]
    titles += ["steps", f"ΔSAD to {plan.reference}", *(f"SAD {source}" for source in sources)]
    found = [[*titles, *(title for title, _ in _QUALITY.values())]]
    for name, arm in plan.arms.items():
        runs = results.get(name, ())
        cells = [arm.title, *_cost_cells(costs.get(plan.owner(name))), _steps(runs)]
        cells.append(_difference_cell(_difference(plan, results, name, runs)))
        cells += [_cell([_of_source(run, source) for run in runs], "sad", 2) for source in sources]
        found.append([*cells, *(_cell(runs, key, digits) for key, (_, digits) in _QUALITY.items())])
    return found


def conditions(plan: Plan, results: Results, costs: Mapping[str, Cost]) -> str:
    """How the numbers were obtained."""
    judge, said = plan.judge, []
    if results:
        runs = [run for name, found in results.items() if not plan.arms[name].of for run in found]
        samples = sorted({round(run["samples"] / max(1, sum(run["steps"]))) for run in runs})
        shapes = ", ".join(dict.fromkeys(f"{h}×{w}" for run in runs for h, w in run["shapes"]))
        images = next(iter(results.values()))[0]["images"].values()
        sources = ", ".join(sorted({image["source"] for image in images}))
        said = [
            f"Steps of {' or '.join(map(str, samples))} samples at {shapes} (a+b: two stages);",
            f"{sum(run['hours'] for run in runs):.2f} h of training.",
            f"Judged on {len(images)} images of {sources} with the long side at {judge.max_side} px.",
            "SAD, Grad and Conn in thousands. unk.: unknown region of the data's trimap,",
            f"or {judge.band} px around the soft pixels of the true alpha.",
            "soft MAD: over pixels with a true alpha in (.02, .98);",
            "recall: share of them that the predicted trimap calls unknown; area: share of the image.",
            f"±: standard deviation over seeds. ΔSAD: SAD minus that of {plan.reference} on the same image with",
            "the same seed, mean ± standard error over images; negative is better.",
        ]
    if not costs:
        return " ".join([*said, "Costs have not been measured."])
    said += [
        f"Latency (median of {judge.cost_rounds} interleaved rounds, in brackets relative to {plan.reference})",
        f"and memory (growth of a fresh process) of the networks at {judge.cost_size}², one image, by",
        f"{next(iter(costs.values())).machine}.",
    ]
    return " ".join(said)


def save_csv(path: Path, plan: Plan, results: Results, costs: Mapping[str, Cost]) -> None:
    """One row an arm, seed and source, and "all" of either: the same numbers unrounded."""
    head = ["arm", "seed", "source", "images", "steps", "hours", "parameters", "gmac"]
    head += [f"{kind}_{t}" for t in THREADS for kind in ("ms", "mb")]
    found: list[list[object]] = [[*head, "sad_difference", "sad_difference_error", *_QUALITY]]
    for name in plan.arms:
        cost = _cost_values(costs.get(plan.owner(name)))
        runs = results.get(name, ())
        if not runs:
            found.append([name, *[None] * 5, *cost, *[None] * (2 + len(_QUALITY))])
            continue
        sources = dict.fromkeys(image["source"] for run in runs for image in run["images"].values())
        for seed, members in {**{run["seed"]: [run] for run in runs}, "all": runs}.items():
            for source in ("all", *sources):
                judged = [_of_source(run, source) for run in members]
                quality = means([_values(image) for run in judged for image in run["images"].values()])
                difference = _difference(plan, results, name, judged) or (None, None)
                facts = [name, seed, source, len(judged[0]["images"]), _steps(judged)]
                hours = float(sum(run["hours"] for run in judged))
                found.append([*facts, hours, *cost, *difference, *(quality.get(key) for key in _QUALITY)])
    write_csv(path, found)


def save_table(path: Path, cells: Sequence[Sequence[str]], note: str, command: str) -> None:
    """The table in Markdown, how its numbers were obtained, and the command."""
    with atomic_write(path) as file:
        file.write(f"{table(cells, 'pipe')}\n\n{note}\n\nMade by `{command}`.\n".encode())


def draw(path: Path, planner: Planner, results: Results, output: Path, count: int = 4) -> bool:
    """Sheet of image | alpha of each arm with its first seed | truth, for images spread over the sources.

    Arms without weights in `output` are left out; False, and no sheet, if none has any.
    """
    seeds = {name: runs[0]["seed"] for name, runs in results.items()}
    there = {name: seed for name, seed in seeds.items() if weights_of(planner, name, seed, output).is_file()}
    if not there:
        return False
    items = [item for item in judged_items(planner) if item.kind is Kind.ALPHA]
    picked = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))]
    columns = {"image": [load_image(item.image) for item in picked]}
    for name, seed in there.items():
        predictor = predictor_of(planner, name, seed, output)
        band = planner.plan.judge.band if planner.plan.arms[name].true_trimap else None
        given = [None if band is None else trimap_of(item, item.alpha(), band) for item in picked]
        columns[name] = [
            predictor.predict(item.image, trimap=trimap) for item, trimap in zip(picked, given, strict=True)
        ]
    columns["truth"] = [item.alpha() for item in picked]
    save_sheet(path, list(zip(*columns.values(), strict=True)), captions=[list(columns)] * len(picked))
    return True


def _sources(results: Results) -> list[str]:
    """Sources of the images with an alpha."""
    images = (image for runs in results.values() for run in runs for image in run["images"].values())
    return list(dict.fromkeys(image["source"] for image in images if "sad" in image))


def _of_source(run: Result, source: str) -> Result:
    """The result on the images of one source, or "all"."""
    kept = {name: image for name, image in run["images"].items() if source in ("all", image["source"])}
    return {**run, "images": kept}


def _values(image: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in image.items() if key != "source"}


def _cost_values(cost: Cost | None) -> list[float | None]:
    if cost is None:
        return [None] * _NO_COST
    by_threads = zip(cost.milliseconds, cost.megabytes, strict=True)
    return [cost.parameters, cost.gmac, *(value for pair in by_threads for value in pair)]


def _cost_cells(cost: Cost | None) -> list[str]:
    if cost is None:
        return [MISSING] * _NO_COST
    cells = [number(cost.parameters / 1e6, 2), number(cost.gmac, 2)]
    for ms, ratio, mb in zip(cost.milliseconds, cost.ratio, cost.megabytes, strict=True):
        cells += [f"{ms:.0f} ({ratio:.2f}×)", number(mb, 0)]
    return cells


def _cell(runs: Sequence[Result], key: str, digits: int) -> str:
    """Mean over seeds ± its standard deviation."""
    by_seed = [means([_values(image) for image in run["images"].values()]) for run in runs]
    values = [found[key] for found in by_seed if key in found]
    if len(values) < 2:
        return number(values[0] if values else None, digits)
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def _steps(runs: Sequence[Result]) -> str:
    """Steps of each stage, such as "450+450"."""
    return "+".join(map(str, runs[0]["steps"])) if runs else MISSING


def _difference(plan: Plan, results: Results, name: str, runs: Sequence[Result]) -> Difference | None:
    """SAD of an arm's runs minus the reference's; None for the reference itself and without a pair."""
    return None if name == plan.reference else paired_difference(runs, results.get(plan.reference, ()), "sad")


def _difference_cell(found: Difference | None) -> str:
    if found is None:
        return MISSING
    return f"{found.mean:+.2f}" + ("" if found.error is None else f" ± {found.error:.2f}")
