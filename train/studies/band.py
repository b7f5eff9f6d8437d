"""`python -m train.studies.band`: how the two-model pipeline depends on the width of its hard trimap.

The classic trimap needs a kernel size. The trained two-model arm of the ablation is judged at every odd size,
beside the joint network, which predicts the width of its band.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, count_option, path_option
from jointmat.errors import InputError, WeightsError
from jointmat.evaluation.manifest import Item, Kind, read_labelled
from jointmat.evaluation.table import number, table, write_csv
from jointmat.predictor import Predictor
from jointmat.runtime.open import open_backend
from jointmat.runtime.two_model import TwoModelBackend
from train.ablation.plan import JudgeConfig, read_plan
from train.scores import evaluate, from_predictor, means

KERNELS = tuple(range(1, 26, 2))
_SHOWN = ("sad", "sad_unknown", "grad", "conn", "trimap_recall", "trimap_area")

Row = dict[str, float]


def study(
    items: Sequence[Item], two_model: Path, joint: Path, config: JudgeConfig, iterations: int = 6
) -> tuple[dict[int, Row], Row]:
    """Means over the images: of the pipeline by kernel size, and of the joint network.

    Parameters
    ----------
    items : images with an alpha
    two_model, joint : weights, by name or path
    iterations : of the trimap
    """
    backend = open_backend(two_model, backend="torch")
    if not isinstance(backend, TwoModelBackend):
        raise WeightsError(f"{two_model}: one network; expected two models with a hard trimap between them")
    once = replace(backend, segment=_remembering(backend.segment), iterations=iterations)
    pipelines = {
        kernel: Predictor(replace(once, kernel=kernel), detail="fast", max_side=config.max_side)
        for kernel in KERNELS
    }
    scores: dict[int, list[Row]] = {kernel: [] for kernel in KERNELS}
    for item in items:  # one after the other, so that the mask is computed once
        for kernel, predictor in pipelines.items():
            scores[kernel] += _judged([item], predictor, config)
    reference = _judged(items, Predictor(joint, detail="fast", max_side=config.max_side), config)
    return {kernel: means(values) for kernel, values in scores.items()}, means(reference)


def rows(by_kernel: dict[int, Row], joint: Row, iterations: int) -> list[list[str]]:
    """Header and one row a width, as cells of a table: a band reaches (k − 1)/2 · iterations pixels of the
    network's input to each side."""
    found = [["width of the trimap", "pixels", *_SHOWN]]
    for kernel, values in by_kernel.items():
        reach = (kernel - 1) // 2 * iterations
        found.append([f"kernel {kernel}", str(reach), *(number(values[name]) for name in _SHOWN)])
    return [*found, ["predicted (joint)", "–", *(number(joint[name]) for name in _SHOWN)]]


def plot(path: Path, by_kernel: dict[int, Row], joint: Row) -> None:
    """SAD, and the trimap's recall and area, by kernel size; PNG or SVG."""
    from matplotlib.figure import Figure

    from jointmat.evaluation.plot import save_plot

    figure = Figure(figsize=(7, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    panels = (
        (above, {"sad": "SAD, whole image", "sad_unknown": "SAD, unknown region"}, "SAD / 1000"),
        (below, {"trimap_recall": "recall of soft pixels", "trimap_area": "area"}, "share"),
    )
    for axes, names, label in panels:
        for index, (name, title) in enumerate(names.items()):
            values = [row[name] for row in by_kernel.values()]
            axes.plot(list(by_kernel), values, "o-", color=f"C{index}", label=f"{title}: two models")
            axes.axhline(joint[name], color=f"C{index}", linestyle="--", label=f"{title}: joint, predicted band")
        axes.set_ylabel(label)
        axes.legend(fontsize="small")
    below.set_xticks(list(by_kernel))
    below.set_xlabel("kernel size of the hard trimap, pixels")
    save_plot(path, figure)


def _judged(items: Sequence[Item], predictor: Predictor, config: JudgeConfig) -> list[Row]:
    return [score.values for score in evaluate(items, from_predictor(predictor), band=config.band)]


def _remembering(segment: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """`segment` that keeps its last answer: the mask does not depend on the kernel."""
    last: list[np.ndarray] = []

    def remembered(image: np.ndarray) -> np.ndarray:
        if not (last and np.array_equal(last[0], image)):
            last[:] = [image, segment(image)]
        return last[1]

    return remembered


@click.command(context_settings=SETTINGS)
@path_option("--data", help="Folder with a manifest.csv; optional with --quick.")
@path_option("--runs", default=Path("runs/ablation"), help="Folder of the ablation's runs.")
@path_option("--two-model", help="Weights file.", show_default="the ablation's, seed 1")
@path_option("--joint", help="Weights file.", show_default="the ablation's, seed 1")
@path_option("--plan", "path", default=Path("configs/ablation.yaml"), help="Plan.")
@count_option("--iterations", default=6, help="Iterations of the trimap.")
@click.option("--quick", is_flag=True, help="Study the runs of the ablation's --quick, with its figures.")
@path_option("-o", "--output", default=Path("out"), help="Folder for CSV and plot.")
def command(
    data: Path | None,
    runs: Path,
    two_model: Path | None,
    joint: Path | None,
    path: Path,
    iterations: int,
    quick: bool,
    output: Path,
) -> None:
    """Judge two models at every kernel size of their trimap, beside the joint network."""
    from train.ablation import synthetic

    if data is None and not quick:
        raise InputError("missing --data DIR, a folder with a manifest.csv; or add --quick")
    config = read_plan(path, quick).judge
    if data is None:
        data, config = runs / synthetic.FOLDER, replace(config, sources=())
    items = read_labelled(data, config.split, config.sources, kinds=[Kind.ALPHA], most=config.images or None)
    first, second = (
        given or runs / f"{arm}-seed1" / "weights.safetensors"
        for given, arm in ((two_model, "two-model"), (joint, "joint"))
    )
    by_kernel, reference = study(items, first, second, config, iterations)
    cells = rows(by_kernel, reference, iterations)
    output.mkdir(parents=True, exist_ok=True)
    write_csv(output / "band.csv", cells)
    plot(output / "band.png", by_kernel, reference)
    click.echo(table(cells))
    click.echo(f"means over {len(items)} images, long side at {config.max_side} px; {iterations} iterations")
    click.echo(f"wrote {output / 'band.csv'} and {output / 'band.png'}")


if __name__ == "__main__":
    run(command)
