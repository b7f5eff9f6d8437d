"""Commands of `python -m export` that make and measure quantised files, and compare speed."""

import tempfile
from pathlib import Path

import click

_PHOTOS = {"720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}


@click.command()
@click.argument("model", default="lite")
@click.option("--precision", type=click.Choice(["fp16", "int8", "all"]), default="all")
@click.option("--calibration", type=click.Path(path_type=Path), help="Folder of pictures of people; for int8.")
@click.option("--count", default=16, help="Composites that are made of them.")
@click.option("--side", default=384, help="Long side that the network sees them at, pixels.")
@click.option(
    "--budget", default=0.003, help="Mean |Δalpha| that the quantised parts, each alone, may add up to."
)
def quantize(model: str, precision: str, calibration: Path | None, count: int, side: int, budget: float) -> None:
    """Write MODEL-fp16.onnx and MODEL-int8.onnx beside MODEL.onnx, and the same of its variant with a trimap.

    INT8 quantises one group of layers at a time, measures how far alpha moves on composites of the pictures in
    the calibration folder, prints the table, and leaves out what is too sensitive.
    """
    from export.quantize import quantize
    from jointmat.errors import InputError

    precisions = ["fp16", "int8"] if precision == "all" else [precision]
    if "int8" in precisions and calibration is None:
        raise InputError("int8 needs --calibration DIR, a folder of pictures of people")
    for line in quantize(model, precisions, calibration, count, side, budget):
        click.echo(line)


@click.command()
@click.argument("model", default="lite")
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Folder of photos.")
@click.option("--alphas", type=click.Path(path_type=Path), help="Folder of their alphas, by the same names.")
@click.option("--threads", type=click.IntRange(min=1), help="For one call; default one per core.")
def precision_table(model: str, images: Path, alphas: Path | None, threads: int | None) -> None:
    """Print size, time and error of MODEL in every precision that there is a file of."""
    from export.bench.machine import describe
    from export.bench.systems import joint_systems
    from export.precision import precision_table

    precisions = [spec.setting for spec in joint_systems(model)]
    click.echo(f"{describe()}; threads: {threads or 'one per core'}")
    click.echo(precision_table(model, precisions, images, alphas, threads))


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

    Each system runs in a process of its own; in every round each does the task once. Milliseconds are least /
    median. --random measures a pipeline with random weights: its cost is that of trained ones.
    """
    from export.bench.machine import describe, peak
    from export.bench.run import Task, measure, table, write_photos
    from export.bench.systems import Spec, joint_systems, random_pipeline

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_photos(folder, {photo: _PHOTOS[photo] for photo in photos})
        specs = joint_systems(model)
        specs += [Spec(label, "two-model", path) for label, path in map(_pair, pipelines)]
        specs += [random_pipeline(architecture, folder) for architecture in architectures]
        specs += [Spec(peer, "peer", path, peer) for peer, path in map(_pair, peers)]
        tasks: dict[str, Task] = {f"network {size}²": ("network", size) for size in sizes}
        tasks.update({f"photo {photo}": ("photo", str(path)) for photo, path in files.items()})
        click.echo(describe())
        for count in threads:
            limit = peak(count)
            results = measure(specs, list(tasks.values()), count, rounds)
            click.echo(
                f"\n{count} threads, {rounds} rounds, ms least / median; float32 products: {limit:.0f} GMAC/s\n"
            )
            click.echo(table(specs, tasks, results, limit))


def _pair(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not path:
        raise click.BadParameter(f"{text!r}: expected NAME=PATH")
    return name, path
