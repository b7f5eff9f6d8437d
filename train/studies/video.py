"""`python -m train.studies.video`: where the time of a video goes, stage by stage.

Each film is converted once for each background and precision, to a file that is thrown away. Stages overlap, each
in a thread of its own: frames per second come from the slowest of them, or from the number of cores. What other
work on the machine changes least is the processor's time, of all cores together.

Without films it makes them, at 1280×720: a close-up and somebody at half length, see `train.studies.films`.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from jointmat.backgrounds import draw
from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS
from jointmat.errors import InputError
from jointmat.evaluation.machine import describe
from jointmat.evaluation.table import table
from jointmat.io.write import save_image
from jointmat.predictor import Predictor
from jointmat.video.convert import STAGES, Report, matte_video
from jointmat.video.frames import DEFAULT_MAX_SIDE
from train.studies.films import SHARES, SIZE, film, record
from train.studies.material import backgrounds, from_data, held_out

_FILMS = "close-up", "half-length"
_IMAGE = "image"


class Row(NamedTuple):
    """The time of one conversion."""

    film: str
    background: str
    precision: str
    report: Report
    processor: float
    """seconds of all cores together"""


def study(
    films: Sequence[Path], behind: Sequence[str], precisions: Sequence[str], model: str, max_side: int
) -> Iterator[Row]:
    """Convert every film with every background at every precision, as soon as a row is asked for."""
    import cv2

    cv2.setNumThreads(1)  # as the command does
    predictors = {
        precision: Predictor(model, precision=precision, detail="fast", max_side=max_side, threads=1)  # type: ignore[arg-type]
        for precision in precisions
    }
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.png"
        save_image(image, draw("sunset", *SIZE))
        for path in films:
            for background in behind:
                source = image if background == _IMAGE else background
                for precision, predictor in predictors.items():
                    output = Path(folder) / "out.mp4"
                    before = time.process_time()
                    report = matte_video(path, output, background=source, predictor=predictor)
                    spent = time.process_time() - before
                    yield Row(path.stem, Path(background).name, precision, report, spent)


def cells(row: Row) -> list[str]:
    """A row of the table: milliseconds per frame of each stage and of the processor, and frames per second."""
    report = row.report
    spent = [*(report.busy[stage] for stage in STAGES), row.processor]
    each = (f"{1e3 * seconds / report.frames:.1f}" for seconds in spent)
    return [row.film, row.background, row.precision, *each, f"{report.frames / report.seconds:.1f}"]


@click.command(context_settings=SETTINGS)
@click.argument("films", nargs=-1, type=click.Path(path_type=Path))
@from_data
@click.option("--frames", type=click.IntRange(min=2), default=240, help="Frames of each generated film.")
@click.option(
    "--background", "behind", multiple=True, default=["blur", _IMAGE], help="A file, a colour, blur or image."
)
@click.option(
    "--precision", "precisions", multiple=True, default=["fp32", "int8"], help="Precision of the model."
)
@click.option("--model", default="lite", help="Name or path of a model.")
@click.option(
    "--max-side", type=int, default=DEFAULT_MAX_SIDE, help="Maximum long side of the network's input, pixels."
)
def command(
    films: tuple[Path, ...],
    data: Path | None,
    frames: int,
    behind: tuple[str, ...],
    precisions: tuple[str, ...],
    model: str,
    max_side: int,
) -> None:
    """Print milliseconds per frame of each stage, for every film, background and precision."""
    if missing := [path for path in films if not path.exists()]:
        raise InputError(f"{missing[0]}: no such file")
    with tempfile.TemporaryDirectory() as folder:
        made = films or _made(Path(folder), data, frames, model)
        rows = [cells(row) for row in study(made, behind, precisions, model, max_side)]
    click.echo(table([["film", "background", "precision", *STAGES, "processor", "frames/s"], *rows], "pipe"))
    click.echo(f"\nmilliseconds per frame; {describe()}")


def _made(folder: Path, data: Path | None, frames: int, model: str) -> list[Path]:
    layer = held_out(data, 1, Predictor(model))[0]
    background = backgrounds(data, 1, SIZE)[0]
    made = []
    for name in _FILMS:
        made.append(folder / f"{name}.mp4")
        record(film(layer, background, SHARES[name], frames), made[-1])
    return made


if __name__ == "__main__":
    run(command)
