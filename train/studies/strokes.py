"""`python -m train.studies.strokes`: error after a few brush strokes.

Somebody who sees the right answer draws one stroke after the other: through the region whose error is the
largest, as wide as the region, with what most of it should be. Like on the page, all strokes so far go over the
trimap that was predicted at first, and the network looks again.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np
from tqdm import tqdm

from jointmat.cli import options as shared
from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, path_option
from jointmat.evaluation.manifest import Item, Kind, read_labelled
from jointmat.evaluation.table import number, table, write_csv
from jointmat.io.image import load_image
from jointmat.metrics import sad
from jointmat.predictor import Predictor
from jointmat.serve.strokes import Label, Stroke, painted

SHOWN = (0, 1, 3, 5)
"""numbers of strokes"""
_WRONG = 0.25
"""error of a pixel that somebody sees"""
_THINNEST = 1 / 150
"""radius of the brush, as a share of the image's long side"""
_CANDIDATES = 200


def study(items: Sequence[Item], predictor: Predictor) -> dict[str, list[list[float]]]:
    """SAD / 1000 of every image after 0 to 5 strokes, by source."""
    found: dict[str, list[list[float]]] = {}
    for item in tqdm(items, unit="image", disable=None):
        found.setdefault(item.source, []).append(corrected(load_image(item.image), item.alpha(), predictor))
    return found


def corrected(image: np.ndarray, truth: np.ndarray, predictor: Predictor) -> list[float]:
    """SAD / 1000 after 0 to 5 strokes; the last value is repeated once nothing is wrong.

    image : (H, W, 3) uint8
    truth : (H, W) float32 in [0, 1]
    """
    matte = predictor.matte(image)
    base, strokes = matte.trimap, list[Stroke]()
    values = [sad(matte.alpha, truth)]
    while len(values) <= SHOWN[-1]:
        stroke = next_stroke(matte.alpha, truth)
        if stroke is not None:
            strokes.append(stroke)
            matte = predictor.matte(image, trimap=painted(base, strokes))
        values.append(sad(matte.alpha, truth))
    return values


def next_stroke(alpha: np.ndarray, truth: np.ndarray) -> Stroke | None:
    """Through the connected region with the largest sum of errors: from its innermost pixel, along the longest
    straight line that stays within it. None where no region is as wide as the thinnest brush."""
    error = np.abs(alpha - truth)
    _, parts, _, _ = cv2.connectedComponentsWithStats((error > _WRONG).astype(np.uint8))
    sums = np.bincount(parts.ravel(), error.ravel())
    thinnest = max(1.0, _THINNEST * max(alpha.shape))
    for part in 1 + np.argsort(-sums[1:]):
        region = np.pad(parts == part, 1)
        depth = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        if depth.max() < thinnest / 2:
            continue
        points = _line(depth)
        radius = max(thinnest, float(depth.max()))
        share = float(truth[parts == part].mean())
        label: Label = "keep" if share > 0.75 else "remove" if share < 0.25 else "unsure"
        return Stroke(label, radius, points)
    return None


def _line(depth: np.ndarray) -> tuple[tuple[float, float], ...]:
    """(x, y) of both ends of a line over the pixels of a region, of which the distance to its edge is given."""
    start = np.array(np.unravel_index(depth.argmax(), depth.shape))
    others = np.argwhere(depth >= depth.max() / 2)
    others = others[np.argsort(-np.square(others - start).sum(axis=1))][:: max(1, len(others) // _CANDIDATES)]
    for end in others:
        steps = int(np.abs(end - start).max()) + 1
        rows, columns = (np.rint(np.linspace(a, b, steps)).astype(int) for a, b in zip(start, end, strict=True))
        if (depth[rows, columns] > 0).all():
            return (float(start[1]), float(start[0])), (float(end[1]), float(end[0]))
    return ((float(start[1]), float(start[0])),)


def rows(found: dict[str, list[list[float]]]) -> list[list[str]]:
    """Header, a row a source, and one of all images, as cells of a table."""
    everything = [values for of_source in found.values() for values in of_source]
    cells = [["source", "images", *(f"{count} strokes" if count != 1 else "1 stroke" for count in SHOWN)]]
    for name, values in (*sorted(found.items()), ("all", everything)):
        means = np.mean(values, axis=0)
        cells.append([name, str(len(values)), *(number(float(means[count])) for count in SHOWN)])
    return cells


def plot(path: Path, found: dict[str, list[list[float]]]) -> None:
    """Mean SAD by the number of strokes, a line a source; PNG or SVG."""
    from matplotlib.figure import Figure

    from jointmat.evaluation.plot import save_plot

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, values in sorted(found.items()):
        axes.plot(np.mean(values, axis=0), "o-", label=f"{name} ({len(values)})")
    axes.set_xlabel("strokes")
    axes.set_ylabel("SAD / 1000")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    save_plot(path, figure)


@click.command(context_settings=SETTINGS)
@shared.data
@shared.split
@shared.sources
@shared.images
@click.option("--model", default="lite", help="Model name, or path of a .onnx file.")
@path_option("-o", "--output", default=Path("out"), help="Folder for the CSV and plot.")
def command(
    data: Path, split: str, sources: tuple[str, ...], images: int | None, model: str, output: Path
) -> None:
    """Correct mattes by simulated strokes, and print the error that remains."""
    items = read_labelled(data, split, sources, kinds=[Kind.ALPHA], most=images)
    found = study(items, Predictor(model))
    cells = rows(found)
    output.mkdir(parents=True, exist_ok=True)
    write_csv(output / "strokes.csv", cells)
    plot(output / "strokes.png", found)
    click.echo(table(cells))
    click.echo(f"SAD / 1000, means; wrote {output / 'strokes.csv'} and {output / 'strokes.png'}")


if __name__ == "__main__":
    run(command)
