"""`python -m train.evaluate`: score a model, or any system's folder of alphas, on labelled photos.

Printed as means over the pictures of each source, written picture by picture as CSV, and shown as a sheet of
the worst ten. Scales and definitions are those of `jointmat.metrics`; predictions are rounded to 8 bits first, as
a file would hold them.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from jointmat import metrics
from jointmat.cli.errors import run
from jointmat.errors import InputError
from jointmat.evaluation.manifest import Item, Kind
from jointmat.evaluation.sheet import error_picture, save_sheet
from jointmat.io.atomic import atomic_write
from jointmat.io.image import load_alpha, load_image, load_trimap
from jointmat.runtime.open import BackendName
from train.data.readers import READERS, read_items

Predict = Callable[[Item, np.ndarray | None], np.ndarray]
"""(item, its trimap or None) → alpha (H, W) float32 in [0, 1]"""

_COLUMNS = (
    *("sad", "sad_above", "sad_below", "mse", "mad", "grad", "conn", "iou", "soft_mad"),
    *("sad_unknown", "mse_unknown", "grad_unknown", "conn_unknown"),
)


@dataclass(frozen=True)
class Score:
    """The metrics of one picture; a mask-labelled one has only the iou."""

    item: Item
    values: dict[str, float]


def evaluate(items: Sequence[Item], predict: Predict, *, give_trimaps: bool = False) -> list[Score]:
    """Score every item that has a label.

    Parameters
    ----------
    give_trimaps : hand the trimap to the predictor where the item has one; the unknown region is scored
        either way
    """
    items = [item for item in items if item.label]
    if not items:
        raise InputError("no picture with a label to compare with; expected some of kind alpha or mask")
    scores = []
    for item in tqdm(items, unit="photo", disable=None):
        truth = item.alpha()
        trimap = _trimap(item, truth)
        prediction = predict(item, trimap if give_trimaps else None)
        if prediction.shape != truth.shape:
            raise InputError(f"{item.name}: prediction is {prediction.shape}, its label {truth.shape}")
        values = score(np.rint(prediction * 255) / 255, truth, item.kind, trimap, clamp=True)
        scores.append(Score(item, values))
    return scores


def _trimap(item: Item, truth: np.ndarray) -> np.ndarray | None:
    return load_trimap(item.trimap, truth.shape) if item.trimap else None


def score(
    prediction: np.ndarray, truth: np.ndarray, kind: Kind, trimap: np.ndarray | None = None, clamp: bool = False
) -> dict[str, float]:
    """Metrics of one picture by name; `sad_above` and `sad_below` are its SAD where alpha is above and below the
    truth, `*_unknown` the unknown region's where there is a trimap.

    clamp : give the prediction what the trimap knows before its unknown region is scored, as published results
        are; gradient and connectivity look beyond that region
    """
    if kind is Kind.MASK:
        return {"iou": metrics.iou(prediction, truth)}
    values = metrics.evaluate(prediction, truth)
    # The two parts of the SAD: labels that leave out loose hair make the first one large.
    values["sad_above"] = metrics.sad(np.maximum(prediction, truth), truth)
    values["sad_below"] = metrics.sad(np.minimum(prediction, truth), truth)
    if trimap is not None and (trimap == 128).any():
        if clamp:
            prediction = np.where(trimap == 128, prediction, (trimap > 128).astype(prediction.dtype))
        unknown = metrics.evaluate(prediction, truth, trimap == 128)
        values |= {f"{name}_unknown": unknown[name] for name in ("sad", "mse", "mad", "grad", "conn")}
    return values


def from_model(model: str, backend: BackendName, max_side: int | None) -> Predict:
    """Predict with a jointmat model."""
    from jointmat.predictor import Predictor

    predictor = Predictor(model, backend=backend, max_side=max_side)
    return lambda item, trimap: predictor.predict(item.image, trimap=trimap)


def from_folder(folder: Path) -> Predict:
    """Read the alphas that another system wrote, as NAME.png."""

    def read(item: Item, _: np.ndarray | None) -> np.ndarray:
        return load_alpha(folder / f"{item.name}.png")

    return read


def summary(scores: Sequence[Score], columns: Sequence[str] = _COLUMNS) -> dict[str, dict[str, float]]:
    """Means by source and metric, and how many photos they are over."""
    means: dict[str, dict[str, float]] = {}
    for source in dict.fromkeys(s.item.source for s in scores):
        members = [s.values for s in scores if s.item.source == source]
        names = [c for c in columns if any(c in v for v in members)]
        means[source] = {"photos": len(members)}
        means[source] |= {c: round(float(np.mean([v[c] for v in members if c in v])), 5) for c in names}
    return means


def table(means: dict[str, dict[str, float]]) -> str:
    """`summary` as text, one row a source."""
    rows = ["".join([f"{'source':16}{'photos':>7}", *(f"{c:>13}" for c in _COLUMNS)])]
    for source, values in means.items():
        cells = [f"{values[c]:.4f}" if c in values else "–" for c in _COLUMNS]
        rows.append("".join([f"{source:16}{values['photos']:7}", *(f"{c:>13}" for c in cells)]))
    return "\n".join(rows)


def note_in_card(path: Path, key: str, means: dict[str, dict[str, float]]) -> None:
    """Write the means into a model's card."""
    card = json.loads(path.read_text(encoding="utf-8"))
    card.setdefault("evaluation", {})[key] = means
    with atomic_write(path) as file:
        file.write((json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())


def write_csv(path: Path, scores: Sequence[Score]) -> None:
    """One row per picture, every metric."""
    names = list(dict.fromkeys(name for s in scores for name in s.values))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["source", "name", *names])
    for s in scores:
        rows.writerow(
            [s.item.source, s.item.name, *(f"{s.values[n]:.6g}" if n in s.values else "" for n in names)]
        )
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def draw_worst(
    path: Path, scores: Sequence[Score], predict: Predict, *, give_trimaps: bool = False, count: int = 10
) -> None:
    """Sheet of the pictures with the largest error: image | prediction | truth | difference."""
    worst = sorted(scores, key=lambda s: s.values.get("sad", 100 * (1 - s.values["iou"])), reverse=True)[:count]
    rows = []
    for entry in worst:
        truth = entry.item.alpha()
        prediction = predict(entry.item, _trimap(entry.item, truth) if give_trimaps else None)
        rows.append([load_image(entry.item.image), prediction, truth, error_picture(prediction, truth)])
    save_sheet(path, rows)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the photos and labels.")
@click.option("--reader", type=click.Choice(READERS), default="manifest", help="How the folder is laid out.")
@click.option("--split", default="val")
@click.option("--source", "sources", multiple=True, help="Only this source; may be repeated.")
@click.option("--model", default="lite", help="Name or path of a model.")
@click.option("--backend", default="auto")
@click.option("--max-side", type=int, help="Long side that the network sees, pixels.")
@click.option("--predictions", type=click.Path(path_type=Path), help="Score this folder of NAME.png instead.")
@click.option("--give-trimaps", is_flag=True, help="Hand the data's trimaps to the model.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out"), help="For CSV and sheet.")
@click.option("--card", type=click.Path(path_type=Path), help="Card of the model, to note the means in.")
def command(
    data: Path,
    reader: str,
    split: str,
    sources: tuple[str, ...],
    model: str,
    backend: BackendName,
    max_side: int | None,
    predictions: Path | None,
    give_trimaps: bool,
    output: Path,
    card: Path | None,
) -> None:
    """Score a model, or a folder of alphas, on labelled photos."""
    items = read_items(reader, data, [split], sources)
    predict = from_folder(predictions) if predictions else from_model(model, backend, max_side)
    scores = evaluate(items, predict, give_trimaps=give_trimaps)
    output.mkdir(parents=True, exist_ok=True)
    write_csv(output / "scores.csv", scores)
    draw_worst(output / "worst.jpg", scores, predict, give_trimaps=give_trimaps)
    click.echo("SAD, Grad, Conn in thousands, whole image; *_unknown where the data has trimaps")
    means = summary(scores)
    click.echo(table(means))
    click.echo(f"wrote {output / 'scores.csv'} and {output / 'worst.jpg'}")
    if card:
        note_in_card(card, f"{split}{', given trimaps' if give_trimaps else ''}", means)


if __name__ == "__main__":
    run(command)
