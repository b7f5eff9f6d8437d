"""`python -m export COMMAND`: write exported files, and measure them."""

import click

from export.commands import (
    bench,
    cost,
    job,
    onnx,
    page,
    precision_table,
    publish,
    quantize,
    rembg,
    resolution,
    web,
)
from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS


@click.group(context_settings=SETTINGS)
def cli() -> None:
    """Export models to ONNX, quantise and publish them, and benchmark the files."""


for command in (onnx, publish, quantize, web, page, rembg, precision_table, resolution, bench, job, cost):
    cli.add_command(command)


if __name__ == "__main__":
    run(cli)
