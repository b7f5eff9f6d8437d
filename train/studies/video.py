"""`python -m train.studies.video`: where the time of a video goes, stage by stage.

Each film is converted once for each background and precision, to a file that is thrown away. Stages overlap, each
in a thread of its own: frames per second come from the slowest of them, or from the number of cores.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from jointmat.cli.errors import run
from jointmat.errors import InputError
from jointmat.predictor import Predictor
from jointmat.video.convert import STAGES, Report, matte_video
from jointmat.video.frames import DEFAULT_MAX_SIDE

_PLAIN = "#1e90ff"


class Row(NamedTuple):
    """What one conversion took."""

    film: str
    background: str
    precision: str
    report: Report


def study(
    films: Sequence[Path], backgrounds: Sequence[str], precisions: Sequence[str], model: str, max_side: int
) -> Iterator[Row]:
    """Convert every film with every background at every precision, as soon as a row is asked for."""
    import cv2

    cv2.setNumThreads(1)  # as the command does
    predictors = {
        precision: Predictor(model, precision=precision, max_side=max_side, threads=1)  # type: ignore[arg-type]
        for precision in precisions
    }
    with tempfile.TemporaryDirectory() as folder:
        for film in films:
            for background in backgrounds:
                for precision, predictor in predictors.items():
                    output = Path(folder) / "out.mp4"
                    report = matte_video(film, output, background=background, predictor=predictor)
                    yield Row(film.name, Path(background).name, precision, report)


def line(row: Row) -> str:
    """A row of the Markdown table: milliseconds per frame of each stage, and frames per second of all."""
    report = row.report
    stages = [f"{1e3 * report.busy[stage] / report.frames:.1f}" for stage in STAGES]
    rate = f"{report.frames / report.seconds:.1f}"
    return "| " + " | ".join([row.film, row.background, row.precision, *stages, rate]) + " |"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("films", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--background", "backgrounds", multiple=True, default=["blur", _PLAIN], help="Image, colour or blur."
)
@click.option(
    "--precision", "precisions", multiple=True, default=["fp32", "int8"], help="Precision of the model."
)
@click.option("--model", default="lite", help="Name or path of a model.")
@click.option("--max-side", type=int, default=DEFAULT_MAX_SIDE, help="Long side that the network sees, pixels.")
def command(
    films: tuple[Path, ...], backgrounds: tuple[str, ...], precisions: tuple[str, ...], model: str, max_side: int
) -> None:
    """Print milliseconds per frame of each stage, for every film, background and precision."""
    if missing := [film for film in films if not film.exists()]:
        raise InputError(f"{missing[0]}: no such file")
    header = ["film", "background", "precision", *STAGES, "frames/s"]
    click.echo("| " + " | ".join(header) + " |")
    click.echo("|" + "---|" * len(header))
    for row in study(films, backgrounds, precisions, model, max_side):
        click.echo(line(row))


if __name__ == "__main__":
    run(command)
