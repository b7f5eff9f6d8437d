"""`python -m train.evaluate`: score a model, or any system's folder of alphas, on labelled images.

Prints means over the images of each source (see `train.scores`), and writes every image's scores as CSV and a
sheet of the worst ten. With --benchmark, one fixed table for comparing weights: see `train.benchmark`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jointmat.cli import options as shared
from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, count_option, path_option
from jointmat.errors import InputError
from jointmat.evaluation.records import read_record, write_record
from jointmat.evaluation.sheet import error_image, save_sheet
from jointmat.evaluation.table import number, table, write_csv
from jointmat.io.image import load_image
from train import benchmark as fixed
from train.data.readers import READERS, read_items
from train.scores import (
    Predict,
    Score,
    by_source,
    evaluate,
    from_folder,
    from_predictor,
    means,
    score_rows,
    trimap_of,
)

COLUMNS = (
    *("sad", "sad_above", "sad_below", "mse", "mad", "grad", "conn", "iou", "soft_mad"),
    *("trimap_recall", "trimap_area", "sad_unknown", "mse_unknown", "grad_unknown", "conn_unknown"),
)


def from_model(model: str | Path, **options: Any) -> Predict:
    """Predict with a jointmat model.

    options : of `jointmat.Predictor`; those that are None keep their defaults
    """
    from jointmat.predictor import Predictor

    return from_predictor(Predictor(model, **{key: value for key, value in options.items() if value is not None}))


def summary(scores: Sequence[Score], columns: Sequence[str] = COLUMNS) -> list[list[str]]:
    """Header and means of each source, as cells of a table."""
    rows = [["source", "images", *columns]]
    for source, values in by_source(scores).items():
        mean = means(values)
        rows.append([source, str(len(values)), *(number(mean.get(column)) for column in columns)])
    return rows


def note_in_card(path: Path, key: str, scores: Sequence[Score]) -> None:
    """Write the means of each source into a model's card."""
    card = read_record(path)
    card.setdefault("evaluation", {})[key] = {
        source: {"images": len(values)} | {name: round(value, 5) for name, value in means(values).items()}
        for source, values in by_source(scores).items()
    }
    write_record(path, card)


def draw_worst(
    path: Path, scores: Sequence[Score], predict: Predict, *, give_trimaps: bool = False, count: int = 10
) -> None:
    """Sheet of the images with the largest errors: image | prediction | truth | difference."""
    worst = sorted(scores, key=lambda s: s.values.get("sad", 100 * (1 - s.values["iou"])), reverse=True)[:count]
    rows = []
    for entry in worst:
        truth = entry.item.alpha()
        alpha = predict(entry.item, trimap_of(entry.item, truth) if give_trimaps else None).alpha
        rows.append([load_image(entry.item.image), alpha, truth, error_image(alpha, truth)])
    save_sheet(path, rows, captions=[["image", "prediction", "truth", "red: too much, blue: too little"]])


@click.command(context_settings=SETTINGS)
@path_option("--data", required=True, help="Folder with the labelled images.")
@click.option("--reader", type=click.Choice(READERS), default="manifest", help="Layout of the folder.")
@shared.split
@shared.sources
@click.option("--model", default="lite", help="Model name or path.")
@click.option("--backend", help="Backend to run the model with.", show_default="by the model's file")
@click.option("--detail", type=click.Choice(["fine", "fast"]), help="Look twice, or once.", show_default="fine")
@count_option("--max-side", help="Maximum long side of the network's input, pixels.")
@path_option("--predictions", help="Score this folder of NAME.png instead.")
@click.option("--give-trimaps", is_flag=True, help="Pass the data's trimaps to the model.")
@click.option("--benchmark", is_flag=True, help="Print the benchmark: every source and two robustness tests.")
@path_option("-o", "--output", default=Path("out"), help="Folder for the CSV and sheet.")
@path_option("--card", help="Also write the means to this model card.")
def command(
    data: Path,
    reader: str,
    split: str,
    sources: tuple[str, ...],
    model: str,
    backend: str | None,
    detail: str | None,
    max_side: int | None,
    predictions: Path | None,
    give_trimaps: bool,
    benchmark: bool,
    output: Path,
    card: Path | None,
) -> None:
    """Score a model, or a folder of alphas, on labelled images."""
    items = read_items(reader, data, [split], sources)
    options = {"backend": backend, "detail": detail, "max_side": max_side}
    predict = from_folder(predictions) if predictions else from_model(model, **options)
    output.mkdir(parents=True, exist_ok=True)
    if benchmark:
        if predictions or give_trimaps:
            raise InputError("--benchmark runs the model itself: drop --predictions and --give-trimaps")
        scores = fixed.run(items, predict, fixed.scenes(reader, data))
        rows = summary(scores, fixed.COLUMNS)
    else:
        scores = evaluate(items, predict, give_trimaps=give_trimaps)
        draw_worst(output / "worst.jpg", scores, predict, give_trimaps=give_trimaps)
        rows = summary(scores)
    write_csv(output / "scores.csv", score_rows(scores))
    click.echo("SAD, Grad and Conn in thousands; MAD and MSE as they are; images are scored at their own size")
    click.echo(table(rows))
    click.echo(f"wrote scores.csv{'' if benchmark else ' and worst.jpg'} into {output}")
    if card:
        key = "benchmark" if benchmark else f"{split}{', given trimaps' if give_trimaps else ''}"
        note_in_card(card, key, scores)


if __name__ == "__main__":
    run(command)
