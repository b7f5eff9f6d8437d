"""The commands of `python -m export`."""

import tempfile
from pathlib import Path
from typing import Any

import click

from export.settings import BUDGET, COUNT, SIDE, WEIGHTS_LICENCE
from jointmat.cli import options as shared
from jointmat.cli.options import count_option, path_option
from jointmat.parallel import cores

_SIZES = {"720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}

_MODEL = click.option("--model", default="lite", help="Model name, or path of a .onnx file.")
_CALIBRATION = click.option(
    "--calibration", default="train*", help="Split of the data that INT8 is calibrated on."
)
_COUNT = count_option("--count", default=COUNT, help="Number of training composites to calibrate INT8 on.")
_SIDE = count_option("--side", default=SIDE, help="Long side of the composites at the network, pixels.")
_BUDGET = click.option(
    "--budget",
    default=BUDGET,
    help="Quantise layer groups until their separately measured errors, mean |Δalpha|, add up to this.",
)


@click.command()
@click.option("--weights", default="lite", help="Model name, or path of a .safetensors or .pth file.")
@path_option("-o", "--output", required=True, help="The .onnx file to write.")
def onnx(weights: str, output: Path) -> None:
    """Write an ONNX file, and compare it with torch at sizes other than the traced one.

    Weights of two models become two files, OUTPUT-segmentation.onnx and OUTPUT-matting.onnx; a GCA-Matting
    checkpoint (.pth) becomes OUTPUT-matting.onnx.
    """
    from export.baseline import export_stages, load_network
    from export.onnx import export_onnx
    from jointmat.models.joint import JointMatting
    from jointmat.weights import find_weights

    source = find_weights(weights, ".safetensors")
    model = load_network(source)
    if isinstance(model, JointMatting):
        written = {output: export_onnx(model, output, source=source)}
    else:
        written = export_stages(model, output, source)
    for path, comparison in written.items():
        click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        click.echo(str(comparison))


@click.command()
@click.option("--model", type=click.Choice(["lite", "base"]), default="lite", help="Name of a configuration.")
@click.option("--size", type=click.IntRange(min=32), default=512, help="Height and width of the image, pixels.")
def cost(model: str, size: int) -> None:
    """Print parameters and multiply-accumulates, part by part."""
    import torch

    from jointmat.config import MODELS
    from jointmat.evaluation.macs import count
    from jointmat.evaluation.table import table
    from jointmat.models.joint import JointMatting

    with torch.device("meta"):  # shapes without numbers
        parts = count(JointMatting(MODELS[model]).eval(), torch.rand(1, 3, size, size))
    rows = [[name, f"{parameters:,}", f"{macs / 1e9:.2f}"] for name, (parameters, macs) in parts.items()]
    click.echo(table([["part", "parameters", f"GMAC at {size}²"], *rows]))


@click.command()
@click.argument("model", default="lite")
@click.option("--precision", type=click.Choice(["fp16", "int8", "all"]), default="all")
@path_option("--data", help="Folder with a manifest.csv; needed for INT8.")
@_CALIBRATION
@_COUNT
@_SIDE
@_BUDGET
def quantize(model: str, precision: str, data: Path | None, **settings: Any) -> None:
    """Write MODEL-fp16.onnx and MODEL-int8.onnx beside MODEL.onnx.

    For INT8, each group of layers is first quantised alone, to measure how much alpha changes on composites of
    the data's training cut-outs; the table shows it. Groups that are too sensitive stay in float32.
    """
    from export.quantize import quantize

    precisions = ["fp16", "int8"] if precision == "all" else [precision]
    for line in quantize(model, precisions, data, **settings):
        click.echo(line)


@click.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--name", default="lite", help="Name of the model.")
@path_option("-o", "--output", default=Path("weights"), help="Folder to write to.")
@path_option("--data", help="Folder with a manifest.csv; without it, no INT8.")
@shared.split
@shared.images
@click.option(
    "--command", "commands", multiple=True, help="Command that made the weights, for the card; repeat in order."
)
@click.option("--licence", default=WEIGHTS_LICENCE, help="Licence of the weights, for the card.")
@_CALIBRATION
@_COUNT
@_SIDE
@_BUDGET
def publish(weights: Path, name: str, output: Path, data: Path | None, **settings: Any) -> None:
    """Turn trained WEIGHTS into a named model: safetensors, ONNX files and card.

    With --data, also INT8 files, calibrated on its training composites and compared with fp32 on its SPLIT.
    """
    from export.publish import publish

    for line in publish(weights, name, output, data, **settings):
        click.echo(line)


@click.command()
@_MODEL
@path_option("-o", "--output", required=True, help="Folder to write.")
def web(model: str, output: Path) -> None:
    """Write a folder that transformers.js loads as a background-removal model."""
    from export.web import export_web

    for line in export_web(model, output):
        click.echo(line)


@click.command()
@_MODEL
@path_option("-o", "--output", default=Path("out/page"), help="Folder to write.")
def page(model: str, output: Path) -> None:
    """Write the server's page as a folder for any web host; the model runs in the visitor's browser."""
    from export.page import export_page

    for line in export_page(model, output):
        click.echo(line)


@click.command()
@_MODEL
@path_option("-o", "--output", required=True, help="The .onnx file to write.")
def rembg(model: str, output: Path) -> None:
    """Write an ONNX file that rembg loads as its model u2net_custom."""
    from export.rembg import export_rembg

    comparison = export_rembg(model, output)
    click.echo(
        f"{output}: {output.stat().st_size / 1e6:.1f} MB, max |Δalpha| from its source {comparison.worst:.1e}"
    )


@click.command()
@click.argument("model", default="lite")
@shared.data
@shared.split
@shared.sources
@shared.images
@count_option("--threads", help="CPU threads.", show_default="one per core")
def precision_table(
    model: str, data: Path, split: str, sources: tuple[str, ...], images: int | None, threads: int | None
) -> None:
    """Print size, time and error of MODEL in every precision that it has a file for."""
    from export.precision import compare, precision_table
    from jointmat.evaluation.machine import describe
    from jointmat.evaluation.manifest import Kind, read_labelled

    items = read_labelled(data, split, sources, kinds=[Kind.ALPHA], most=images)
    click.echo(f"{describe()}; threads: {threads or 'one per core'}; SAD in thousands\n")
    click.echo(precision_table(compare(model, items, threads)))


@click.command()
@click.argument("model", default="lite")
@path_option("--data", help="Folder with a manifest.csv, to measure the error.")
@shared.split
@shared.sources
@shared.images
@count_option("--side", "sides", multiple=True, default=(512, 256, 128), help="Working sizes.")
@count_option("--threads", default=cores(), help="CPU threads.")
@count_option("--rounds", default=5, help="Number of timed repetitions.")
def resolution(
    model: str,
    data: Path | None,
    split: str,
    sources: tuple[str, ...],
    images: int | None,
    sides: tuple[int, ...],
    threads: int,
    rounds: int,
) -> None:
    """Print time and memory by image size, and with --data the error of guided upsampling by working size.

    Time is from a JPEG file to its alpha. The error is SAD at full size, compared with bilinear upsampling.
    """
    from export.bench.run import curve, image_tasks, measure
    from export.bench.systems import Spec
    from export.resolution import image_sizes, upsampling_table
    from jointmat.evaluation.machine import describe
    from jointmat.evaluation.manifest import Kind, read_labelled
    from jointmat.predictor import Predictor

    items = read_labelled(data, split, sources, kinds=[Kind.ALPHA], most=images) if data else []
    with tempfile.TemporaryDirectory() as folder:
        spec, tasks = Spec(model, "joint", model, "fp32"), image_tasks(Path(folder), image_sizes())
        results = measure([spec], list(tasks.values()), threads, rounds)
    click.echo(f"{describe()}; {threads} threads, {rounds} rounds\n")
    click.echo(curve(spec, tasks, results))
    if items:
        click.echo(f"\nSAD at full size, in thousands\n\n{upsampling_table(Predictor(model), items, sides)}")


@click.command()
@click.argument("model", default="lite")
@click.option(
    "--pipeline", "pipelines", multiple=True, metavar="LABEL=NAME.onnx", help="Also two models; may be repeated."
)
@click.option(
    "--random",
    "architectures",
    multiple=True,
    type=click.Choice(["two-model", "classic"]),
    help="Also two models with random weights; may be repeated.",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="NAME=FILE",
    help="Also a peer and its file; see train.peers --help.",
)
@count_option("--threads", multiple=True, default=(1, 2), help="CPU threads.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=int,
    default=(256, 384, 512),
    help="Side of the network's input, pixels.",
)
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Choice(list(_SIZES)),
    default=tuple(_SIZES),
    help="Image sizes.",
)
@count_option("--rounds", default=10, help="Number of timed repetitions.")
def bench(
    model: str,
    pipelines: tuple[str, ...],
    architectures: tuple[str, ...],
    peers: tuple[str, ...],
    threads: tuple[int, ...],
    sizes: tuple[int, ...],
    images: tuple[str, ...],
    rounds: int,
) -> None:
    """Measure time and memory of MODEL, two-model pipelines and peers, side by side.

    Each system runs in its own process, and they take turns in every round. Milliseconds are least / median.
    Random weights cost the same in the network; a whole image takes less time than with trained ones, because
    upsampling has little to do for a matte without soft pixels.
    """
    from export.bench.machine import peak
    from export.bench.run import Task, image_tasks, measure, speed_table
    from export.bench.systems import Spec, joint_systems, random_pipeline
    from jointmat.evaluation.machine import describe

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = joint_systems(model)
        specs += [Spec(label, "two-model", path) for label, path in map(_pair, pipelines)]
        specs += [random_pipeline(architecture, folder) for architecture in architectures]
        specs += [Spec(peer, "peer", path, peer) for peer, path in map(_pair, peers)]
        tasks: dict[str, Task] = {f"network {size}²": ("network", size) for size in sizes}
        tasks |= image_tasks(folder, {image: _SIZES[image] for image in images})
        click.echo(describe())
        for count in threads:
            limit = peak(count)
            results = measure(specs, list(tasks.values()), count, rounds)
            click.echo(
                f"\n{count} threads, {rounds} rounds, ms least / median; peak of float32: {limit:.0f} GMAC/s\n"
            )
            click.echo(speed_table(specs, tasks, results, limit))


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of images to build the test photos from.",
    show_default="the packaged portrait",
)
@click.option(
    "--other",
    "others",
    multiple=True,
    metavar="LABEL=COMMAND",
    help="Also a command, with {images} and {out} for its folders; may be repeated.",
)
@click.option(
    "--photos",
    multiple=True,
    default=("1x12", "4x12", "16x1.1"),
    help="Number and megapixels of a folder's photos.",
)
@count_option("--cores", multiple=True, default=(1, 2), help="Cores to run on.")
@count_option("--rounds", default=3, help="Number of timed repetitions.")
@path_option("-o", "--output", required=True, help="Folder for table and plot.")
def job(
    data: Path | None,
    others: tuple[str, ...],
    photos: tuple[str, ...],
    cores: tuple[int, ...],
    rounds: int,
    output: Path,
) -> None:
    """Measure what `jointmat predict FOLDER -o OUT` costs, beside other commands: time, cores, memory, bytes.

    From start to end of the process, in turns. Photos are enlarged images with noise, as JPEG. Rows of earlier
    calls with the same OUTPUT stay unless they are measured again. Linux only.
    """
    from export.bench.job import OURS, Folder, kept, measure, sources, write
    from jointmat.evaluation.machine import describe

    commands = OURS | dict(map(_pair, others))
    text = ""
    for name in photos:
        count, _, megapixels = name.partition("x")
        try:
            folder = Folder(float(megapixels), int(count))
        except ValueError as error:
            raise click.BadParameter(f"{name!r}: expected COUNTxMEGAPIXELS, such as 4x12") from error
        for number in cores:
            results = measure(commands, folder, sources(data), number, rounds)
            text = write(output, kept(output / "table.csv", results), describe())  # each time: it takes long
    click.echo(text)


def _pair(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not path:
        raise click.BadParameter(f"{text!r}: expected NAME=FILE")
    return name, path
