"""`python -m export COMMAND`: exported files and what they are worth."""

from pathlib import Path

import click

from export.commands import bench, precision_table, publish, quantize, resolution
from jointmat.cli.errors import run

_JOINT = click.option(
    "--model", "name", type=click.Choice(["lite", "base"]), default="lite", help="Name of a configuration."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def cli() -> None:
    """Export models, and measure them."""


@cli.command()
@click.option("--weights", default="lite", help="Name, or path of a .safetensors file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The .onnx file to write.")
@click.option("--frames", is_flag=True, help="The variant that takes uint8 NHWC frames of any size.")
@click.option("--side", default=512, help="With --frames: long side that the network sees them at, pixels.")
def onnx(weights: str, output: Path, frames: bool, side: int) -> None:
    """Write an ONNX file, compared with torch at sizes other than the traced one.

    Weights of two models become two files, OUTPUT-segmentation.onnx and OUTPUT-matting.onnx; a GCA-Matting
    checkpoint (.pth) becomes OUTPUT-matting.onnx.
    """
    from export.baseline import export_stages, load_network
    from export.frames import export_frames
    from export.onnx import export_onnx
    from jointmat.errors import InputError
    from jointmat.models.joint import JointMatting
    from jointmat.weights import find_weights

    source = find_weights(weights, ".safetensors")
    model = load_network(source)
    if not isinstance(model, JointMatting):
        if frames:
            raise InputError(
                f"--frames goes with the joint network; {source.name} holds a {type(model).__name__}"
            )
        written = export_stages(model, output, source)
    elif frames:
        written = {output: export_frames(model, output, side=side, source=source)}
    else:
        written = {output: export_onnx(model, output, source=source)}
    for path, comparison in written.items():
        click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        click.echo(str(comparison))


@cli.command()
@_JOINT
@click.option("--size", type=click.IntRange(min=32), default=512, help="Height and width of the picture, pixels.")
def cost(name: str, size: int) -> None:
    """Print parameters and multiply-accumulates, part by part."""
    from export.cost import count
    from jointmat.config import MODELS

    click.echo(count(MODELS[name], size))


@cli.command()
@_JOINT
def attention_memory(name: str) -> None:
    """Print the size of the attention's similarity matrix at three picture sizes."""
    from export.cost import attention_memory
    from jointmat.config import MODELS

    click.echo(attention_memory(MODELS[name]))


_MODEL = click.option("--model", default="lite", help="Name, or path of a .onnx file.")


@cli.command()
@_MODEL
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to write.")
def web(model: str, output: Path) -> None:
    """Write a folder that transformers.js loads as a background-removal model."""
    from export.web import export_web

    for line in export_web(model, output):
        click.echo(line)


@cli.command()
@_MODEL
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The .onnx file to write.")
def rembg(model: str, output: Path) -> None:
    """Write an ONNX file that rembg loads as its model u2net_custom."""
    from export.rembg import export_rembg

    comparison = export_rembg(model, output)
    click.echo(f"{output}: {output.stat().st_size / 1e6:.1f} MB\n{comparison}")


for command in (publish, quantize, precision_table, resolution, bench):
    cli.add_command(command)


if __name__ == "__main__":
    run(cli)
