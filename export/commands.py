"""Commands of `python -m export` that publish and quantise a model, and measure what that is worth."""

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from export.settings import BUDGET, COUNT, SIDE, WEIGHTS_LICENCE

_PHOTOS = {"720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}


_DATA = click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder with a manifest.csv.")
_CALIBRATION = click.option("--calibration", default="train*", help="Split that INT8 is calibrated on.")
_SPLIT = click.option("--split", default="val", help="Of the data: photos with a true alpha.")
_SOURCES = click.option("--source", "sources", multiple=True, help="Only this source; may be repeated.")
_PHOTOS_EACH = click.option(
    "--photos", type=click.IntRange(min=1), help="At most so many of each source.", show_default="all"
)
_COUNT = click.option(
    "--count", default=COUNT, type=click.IntRange(min=1), help="Training composites to calibrate INT8 on."
)
_SIDE = click.option(
    "--side", default=SIDE, type=click.IntRange(min=1), help="Their long side at the network, pixels."
)
_BUDGET = click.option(
    "--budget", default=BUDGET, help="Mean |Δalpha| that quantised groups, each alone, may add up to."
)


@click.command()
@click.argument("model", default="lite")
@click.option("--precision", type=click.Choice(["fp16", "int8", "all"]), default="all")
@click.option("--data", type=click.Path(path_type=Path), help="Folder with a manifest.csv; for int8.")
@_CALIBRATION
@_COUNT
@_SIDE
@_BUDGET
def quantize(model: str, precision: str, data: Path | None, **settings: Any) -> None:
    """Write MODEL-fp16.onnx and MODEL-int8.onnx beside MODEL.onnx.

    INT8 quantises one group of layers at a time, measures how far alpha moves on composites of the data's
    training cut-outs, prints the table, and leaves out what is too sensitive.
    """
    from export.quantize import quantize

    precisions = ["fp16", "int8"] if precision == "all" else [precision]
    for line in quantize(model, precisions, data, **settings):
        click.echo(line)


@click.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--name", default="lite", help="Name of the model.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("weights"), help="Folder.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder with a manifest.csv; without it, no INT8.")
@_SPLIT
@_PHOTOS_EACH
@click.option("--command", "commands", multiple=True, help="That made the weights, for the card; in their order.")
@click.option("--licence", default=WEIGHTS_LICENCE, help="Licence of the weights, for the card.")
@_CALIBRATION
@_COUNT
@_SIDE
@_BUDGET
def publish(weights: Path, name: str, output: Path, data: Path | None, **settings: Any) -> None:
    """Turn trained WEIGHTS into a named model: safetensors, ONNX files and card.

    With --data, also INT8 files, calibrated on its training composites and compared with fp32 on its photos.
    """
    from export.publish import publish

    for line in publish(weights, name, output, data, **settings):
        click.echo(line)


@click.command()
@click.argument("model", default="lite")
@_DATA
@_SPLIT
@_SOURCES
@_PHOTOS_EACH
@click.option("--threads", type=click.IntRange(min=1), help="For one call; default one per core.")
def precision_table(
    model: str, data: Path, split: str, sources: tuple[str, ...], photos: int | None, threads: int | None
) -> None:
    """Print size, time and error of MODEL in every precision that there is a file of."""
    from export.bench.machine import describe
    from export.data import with_alpha
    from export.precision import compare, precision_table

    rows = with_alpha(data, split, sources, photos)
    click.echo(f"{describe()}; threads: {threads or 'one per core'}; SAD in thousands\n")
    click.echo(precision_table(compare(model, rows, threads)))


@click.command()
@click.argument("model", default="lite")
@click.option("--data", type=click.Path(path_type=Path), help="Folder with a manifest.csv; to measure the error.")
@_SPLIT
@_SOURCES
@_PHOTOS_EACH
@click.option("--side", "sides", multiple=True, type=click.IntRange(min=1), default=(512, 256, 128))
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1)
@click.option("--rounds", default=5, type=click.IntRange(min=1))
def resolution(
    model: str,
    data: Path | None,
    split: str,
    sources: tuple[str, ...],
    photos: int | None,
    sides: tuple[int, ...],
    threads: int,
    rounds: int,
) -> None:
    """Print what a photo costs by its megapixels, and with --data how good the way up from the working size is.

    Time is from a JPEG file to its alpha. The error is SAD at the photos' size beside bilinear interpolation.
    """
    from export.bench.machine import describe
    from export.bench.run import curve, measure, photo_tasks
    from export.bench.systems import Spec
    from export.data import with_alpha
    from export.resolution import photo_sizes, upsampling_table
    from jointmat.predictor import Predictor

    rows = with_alpha(data, split, sources, photos) if data else []
    with tempfile.TemporaryDirectory() as folder:
        spec, tasks = Spec(model, "joint", model, "fp32"), photo_tasks(Path(folder), photo_sizes())
        results = measure([spec], list(tasks.values()), threads, rounds)
    click.echo(f"{describe()}; {threads} threads, {rounds} rounds\n")
    click.echo(curve(spec, tasks, results))
    if rows:
        click.echo(
            f"\nSAD at the photos' size, in thousands\n\n{upsampling_table(Predictor(model), rows, sides)}"
        )


@click.command()
@click.argument("model", default="lite")
@click.option("--pipeline", "pipelines", multiple=True, metavar="LABEL=NAME.onnx", help="Two models to measure.")
@click.option("--random", "architectures", multiple=True, type=click.Choice(["two-model", "classic"]))
@click.option("--peer", "peers", multiple=True, metavar="NAME=PATH", help="u2netp or selfie, and its file.")
@click.option("--threads", multiple=True, type=click.IntRange(min=1), default=(1, 2))
@click.option("--size", "sizes", multiple=True, type=int, default=(256, 384, 512), help="Of the network's input.")
@click.option("--photo", "photos", multiple=True, type=click.Choice(list(_PHOTOS)), default=tuple(_PHOTOS))
@click.option("--rounds", default=10, type=click.IntRange(min=1))
def bench(
    model: str,
    pipelines: tuple[str, ...],
    architectures: tuple[str, ...],
    peers: tuple[str, ...],
    threads: tuple[int, ...],
    sizes: tuple[int, ...],
    photos: tuple[str, ...],
    rounds: int,
) -> None:
    """Measure MODEL beside pipelines of two models and peers: time and memory, paired.

    Each system runs in a process of its own; in every round each does the task. Milliseconds are least /
    median. --random measures a pipeline with random weights: its networks cost what trained ones do, a whole
    photo less, since the way up to its size does little for a matte without soft pixels.
    """
    from export.bench.machine import describe, peak
    from export.bench.run import Task, measure, photo_tasks, speed_table
    from export.bench.systems import Spec, joint_systems, random_pipeline

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = joint_systems(model)
        specs += [Spec(label, "two-model", path) for label, path in map(_pair, pipelines)]
        specs += [random_pipeline(architecture, folder) for architecture in architectures]
        specs += [Spec(peer, "peer", path, peer) for peer, path in map(_pair, peers)]
        tasks: dict[str, Task] = {f"network {size}²": ("network", size) for size in sizes}
        tasks |= photo_tasks(folder, {photo: _PHOTOS[photo] for photo in photos})
        click.echo(describe())
        for count in threads:
            limit = peak(count)
            results = measure(specs, list(tasks.values()), count, rounds)
            click.echo(
                f"\n{count} threads, {rounds} rounds, ms least / median; float32 products: {limit:.0f} GMAC/s\n"
            )
            click.echo(speed_table(specs, tasks, results, limit))


def _pair(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not path:
        raise click.BadParameter(f"{text!r}: expected NAME=PATH")
    return name, path
