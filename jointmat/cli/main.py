"""The command line: `jointmat predict`, `demo` and `info`; the other commands stand in their own folders."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jointmat import __version__
from jointmat.cli import options as shared
from jointmat.cli.errors import SomeFailed, run
from jointmat.cli.files import STANDARD, check_targets, choose_targets, find_sources, is_folder
from jointmat.cli.options import Command, grouped
from jointmat.cli.serve import serve
from jointmat.cli.video import camera, video
from jointmat.errors import InputError, JointmatError, pip_install
from jointmat.io.atomic import printable

if TYPE_CHECKING:
    import numpy as np

    from jointmat.matte import Matte
    from jointmat.predictor import Predictor

_MOST_OF_STDIN = 1 << 29
_files, _output = grouped("Files"), grouped("Result")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="jointmat")
def cli() -> None:
    """Portrait matting in one pass: photo in, alpha matte out."""


@cli.command(cls=Command)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@_files(
    "-o",
    "--output",
    required=True,
    help="File for one image, folder for several; - writes PNG to stdout.",
)
@shared.background("An image, #rrggbb or blur; without it, a transparent cut-out")
@_output(
    "--foreground", type=click.Choice(["fast", "ml"]), default="fast", help="Method that cleans edge colours."
)
@_output("--only-alpha", is_flag=True, help="Write the matte itself, as a grey image.")
@_output(
    "--format",
    "extension",
    type=click.Choice(["png", "webp", "jpg", "tif"], case_sensitive=False),
    default="png",
    help="File format in an output folder.",
)
@shared.subject
@grouped("Subject")(
    "--trimap", help="Grey image (0, 128, 255) that replaces the predicted trimap; one image only."
)
@_files("--recursive", is_flag=True, help="Also take images in subfolders.")
@_files("--overwrite", is_flag=True, help="Allow the output to replace an input.")
@_files("--max-pixels", type=click.IntRange(min=1), show_default="50 million", help="Refuse larger images.")
@shared.model
@shared.backend
@shared.device
@shared.precision
@shared.detail
@shared.max_side("512, then 2048")
def predict(images: tuple[str, ...], output: str, **options: Any) -> None:
    """Cut people out of photos.

    IMAGE is a picture, a folder of pictures, or - for stdin. Links that lie in a folder are not followed.
    """
    from jointmat.subject import parse_subject

    if options["only_alpha"] and options["background"] is not None:
        raise InputError("--only-alpha and --background exclude each other: choose one")
    sources = list(find_sources(images, options["recursive"]))
    if options["trimap"] and len(sources) != 1:
        raise InputError(f"--trimap goes with one image, got {len(sources)}")
    targets = choose_targets(sources, images, output, options["extension"])
    inputs = [*sources, *filter(None, (options["background"], options["trimap"]))]
    transparent = options["background"] is None and not options["only_alpha"]
    check_targets(targets, inputs, transparent=transparent, overwrite=options["overwrite"])
    options["background"] = _background(options)
    options["subject"] = parse_subject(options["subject"])
    failures = _run(_predictor(options), sources, targets, options)
    if failures:
        names = ", ".join(map(printable, failures[:5]))
        raise SomeFailed(f"{len(failures)} of {len(sources)} pictures failed: {names}")


def _run(predictor: "Predictor", sources: list[str], targets: list[str], options: dict[str, Any]) -> list[str]:
    """Process every source; names of those that failed. A single one raises instead."""
    from tqdm import tqdm

    from jointmat.memory import enough_memory

    failures = []
    disable = len(sources) < 2 or None  # None: unless stderr is a terminal
    for source, target in zip(tqdm(sources, disable=disable, unit="photo"), targets, strict=True):
        try:
            chosen = {name: options[name] for name in ("trimap", "subject", "fill_holes")}
            with enough_memory(printable(source)):
                matte = predictor.matte(_readable(source), **chosen)
                _write(target, _result(matte, options))
        except JointmatError as error:
            if len(sources) == 1:
                raise
            tqdm.write(f"error: {error}", file=sys.stderr)
            failures.append(source)
    return failures


def _readable(source: str) -> str | bytes:
    """What the predictor takes: a path, or the bytes of stdin."""
    if source == STANDARD:
        data = sys.stdin.buffer.read(_MOST_OF_STDIN + 1)
        if len(data) > _MOST_OF_STDIN:
            raise InputError(f"stdin: more than {_MOST_OF_STDIN} bytes; pass the picture as a file")
        return data
    if is_folder(source):
        raise InputError(f"{printable(source)}: this folder cannot be listed")
    return source


def _predictor(options: dict[str, Any]) -> "Predictor":
    from jointmat.predictor import Predictor

    chosen = {name: options[name] for name in ("model", "backend", "device", "precision", "detail", "max_side")}
    return Predictor(**chosen, max_pixels=_max_pixels(options))


def _max_pixels(options: dict[str, Any]) -> int:
    from jointmat.io.limits import DEFAULT_MAX_PIXELS

    return options["max_pixels"] or DEFAULT_MAX_PIXELS


def _background(options: dict[str, Any]) -> "np.ndarray | tuple[int, int, int] | str | None":
    """The new background, read once for all pictures."""
    from jointmat.compositing import BLUR, parse_color
    from jointmat.io.image import load_image

    text = options["background"]
    if text is None or text == BLUR:
        return text
    return parse_color(text) if text.startswith("#") else load_image(text, max_pixels=_max_pixels(options))


def _result(matte: "Matte", options: dict[str, Any]) -> "np.ndarray":
    from jointmat.io.arrays import to_uint8

    if options["only_alpha"]:
        return to_uint8(matte.alpha)
    if options["background"] is None:
        return matte.cutout(options["foreground"])
    ways = {"fit": options["fit"], "light": options["light"], "method": options["foreground"]}
    return matte.composite(options["background"], max_pixels=_max_pixels(options), **ways)


def _write(target: str, picture: "np.ndarray") -> None:
    from jointmat.io.write import encode_image, save_image

    if target == STANDARD:
        sys.stdout.buffer.write(encode_image(picture))
        sys.stdout.buffer.flush()
    else:
        save_image(target, picture)


@cli.command(cls=Command)
@_files("-o", "--output", type=click.Path(path_type=Path), default=Path("out"), help="Folder to write to.")
@shared.model
def demo(output: Path, model: str) -> None:
    """Cut out and composite the portrait that comes with the package."""
    from jointmat.assets import PORTRAIT
    from jointmat.backgrounds import sunset
    from jointmat.evaluation.sheet import save_sheet
    from jointmat.io.write import save_image
    from jointmat.predictor import Predictor

    matte = Predictor(model).matte(PORTRAIT)
    composite = matte.composite(sunset(*matte.alpha.shape))
    output.mkdir(parents=True, exist_ok=True)
    matte.save(output / "astronaut-cutout.png")
    save_image(output / "astronaut-composite.jpg", composite)
    save_sheet(output / "astronaut.jpg", [[matte.image, matte.trimap / 255, matte.alpha, composite]], 320)
    click.echo(
        f"{output}: astronaut-cutout.png, astronaut-composite.jpg and astronaut.jpg (all steps side by side)"
    )


@cli.command(cls=Command)
@shared.model
@shared.backend
@shared.device
@shared.precision
def info(model: str, backend: Any, device: str, precision: Any) -> None:
    """Show versions, devices, what would compute with these options, and the card of a model."""
    import json

    from jointmat.runtime.open import open_backend
    from jointmat.weights import known_models, read_card

    engine = open_backend(model, backend=backend, device=device, precision=precision).engine
    import onnxruntime  # isort: skip  # after jointmat.runtime, which says something to it

    click.echo(f"jointmat {__version__}, python {sys.version.split()[0]}")
    click.echo(f"onnxruntime {onnxruntime.__version__}: {', '.join(onnxruntime.get_available_providers())}")
    click.echo(f"torch {_torch_version()}")
    click.echo(f"models: {', '.join(known_models())}")
    click.echo(f"in use: {engine}")
    if not Path(model).suffix:
        click.echo(json.dumps(read_card(model), indent=2, ensure_ascii=False))


def _torch_version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return f"not installed ({pip_install('train')})"


for command in (video, camera, serve):
    cli.add_command(command)


def main() -> None:
    """Entry point of the `jointmat` command."""
    run(cli)


if __name__ == "__main__":
    main()
