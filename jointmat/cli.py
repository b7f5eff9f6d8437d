"""The command line: `jointmat predict`, `jointmat demo`, `jointmat info`."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jointmat import __version__
from jointmat.console import SomeFailed, run
from jointmat.errors import InputError, JointmatError

if TYPE_CHECKING:
    import numpy as np

    from jointmat.matte import Matte
    from jointmat.predictor import Predictor

STANDARD = "-"
_EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="jointmat")
def cli() -> None:
    """Portrait matting in one pass: photo in, alpha matte out."""


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-o", "--output", required=True, help="File for one image, folder for several; - writes PNG to stdout."
)
@click.option("--background", help="New background: a picture or #rrggbb. Without it, a transparent cut-out.")
@click.option("--only-alpha", is_flag=True, help="Write the matte itself, as a grey picture.")
@click.option("--trimap", help="Grey picture (0, 128, 255) that replaces the predicted trimap; one image only.")
@click.option("--format", "extension", default="png", help="Of files in an output folder: png, webp, jpg, tif.")
@click.option(
    "--recursive", is_flag=True, help="Also take pictures in folders of folders; links are not followed."
)
@click.option("--overwrite", is_flag=True, help="Allow the output to replace the input.")
@click.option("--model", default="lite", help="Name, or path of a .onnx or .safetensors file.")
@click.option("--backend", type=click.Choice(["auto", "onnx", "torch"]), default="auto")
@click.option("--device", default="auto", help="auto, cpu or cuda.")
@click.option("--max-side", type=click.IntRange(min=1), help="Long side that the network sees, pixels.")
@click.option("--max-pixels", type=click.IntRange(min=1), help="Refuse larger pictures; default 50 million.")
def predict(images: tuple[str, ...], output: str, **options: Any) -> None:
    """Cut people out of photos.

    IMAGE is a picture, a folder of pictures, or - for stdin.
    """
    if options["only_alpha"] and options["background"]:
        raise InputError("--only-alpha and --background exclude each other: choose one")
    sources = list(_sources(images, options["recursive"]))
    if options["trimap"] and len(sources) != 1:
        raise InputError(f"--trimap goes with one image, got {len(sources)}")
    several = len(sources) > 1 or Path(images[0]).is_dir() or Path(output).is_dir()
    targets = _targets(sources, Path(output), options["extension"]) if several else [output]
    _refuse_inputs_as_outputs(sources, targets, options["overwrite"])
    predictor = _predictor(options)
    failures = _run(predictor, sources, targets, options)
    if failures and several:
        raise SomeFailed(f"{len(failures)} of {len(sources)} pictures failed: {', '.join(failures[:5])}")


def _run(predictor: "Predictor", sources: list[str], targets: list[str], options: dict[str, Any]) -> list[str]:
    """Process every source; names of those that failed. A single one raises instead."""
    from tqdm import tqdm

    failures = []
    for source, target in zip(tqdm(sources, disable=len(sources) < 2, unit="photo"), targets, strict=True):
        try:
            picture = sys.stdin.buffer.read() if source == STANDARD else source
            matte = predictor.matte(picture, trimap=options["trimap"])
            _write(target, _result(matte, options))
        except JointmatError as error:
            if len(sources) == 1:
                raise
            tqdm.write(f"error: {error}", file=sys.stderr)
            failures.append(source)
    return failures


def _predictor(options: dict[str, Any]) -> "Predictor":
    from jointmat.io.image import DEFAULT_MAX_PIXELS
    from jointmat.predictor import Predictor

    return Predictor(
        options["model"],
        backend=options["backend"],
        device=options["device"],
        max_side=options["max_side"],
        max_pixels=options["max_pixels"] or DEFAULT_MAX_PIXELS,
    )


def _result(matte: "Matte", options: dict[str, Any]) -> "np.ndarray":
    from jointmat.io.image import to_uint8

    if options["only_alpha"]:
        return to_uint8(matte.alpha)
    return matte.composite(options["background"]) if options["background"] else matte.cutout()


def _write(target: str, picture: "np.ndarray") -> None:
    from jointmat.io.image import encode_image, save_image

    if target == STANDARD:
        sys.stdout.buffer.write(encode_image(picture))
        sys.stdout.buffer.flush()
    else:
        save_image(target, picture)


def _sources(images: tuple[str, ...], recursive: bool) -> Iterator[str]:
    """Every picture that the arguments name, folders opened, in sorted order."""
    for name in images:
        if name == STANDARD or not Path(name).is_dir():
            yield name
            continue
        found = sorted(_pictures_in(Path(name), recursive))
        if not found:
            raise InputError(f"{name}: no pictures in this folder; expected {' '.join(sorted(_EXTENSIONS))}")
        yield from map(str, found)


def _pictures_in(folder: Path, recursive: bool) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_file() and path.suffix.lower() in _EXTENSIONS:
            yield path
        elif recursive and path.is_dir() and not path.is_symlink():
            yield from _pictures_in(path, recursive)


def _targets(sources: list[str], folder: Path, extension: str) -> list[str]:
    """One file per source in an existing or new folder; sources of one stem keep their own extension too."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; several pictures need a folder to go to")
    folder.mkdir(parents=True, exist_ok=True)
    names = [Path("stdin") if source == STANDARD else Path(source) for source in sources]
    stems = Counter(name.stem for name in names)
    full = Counter(name.name for name in names)
    targets = []
    for index, name in enumerate(names):
        stem = name.stem if stems[name.stem] == 1 else name.name
        if full[name.name] > 1:
            stem = f"{stem}-{index + 1}"
        targets.append(str(folder / f"{stem}.{extension}"))
    return targets


def _refuse_inputs_as_outputs(sources: list[str], targets: list[str], overwrite: bool) -> None:
    inputs = {Path(source).resolve() for source in sources if source != STANDARD}
    for target in targets:
        if target != STANDARD and Path(target).resolve() in inputs and not overwrite:
            raise InputError(f"{target}: is an input; name another output, or add --overwrite")


@cli.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out"), help="Folder to write to.")
@click.option("--model", default="lite", help="Name, or path of a .onnx or .safetensors file.")
def demo(output: Path, model: str) -> None:
    """Cut out and composite the portrait that comes with the package."""
    from jointmat.backgrounds import sunset
    from jointmat.io.image import save_image
    from jointmat.predictor import Predictor
    from jointmat.sheet import save_sheet

    matte = Predictor(model).matte(Path(__file__).parent / "assets" / "astronaut.jpg")
    composite = matte.composite(sunset(*matte.alpha.shape))
    output.mkdir(parents=True, exist_ok=True)
    matte.save(output / "astronaut-cutout.png")
    save_image(output / "astronaut-composite.jpg", composite)
    save_sheet(output / "astronaut.jpg", [[matte.image, matte.trimap / 255, matte.alpha, composite]], 320)
    click.echo(
        f"{output}: astronaut-cutout.png, astronaut-composite.jpg and astronaut.jpg (all steps side by side)"
    )


@cli.command()
@click.option("--model", default="lite", help="Name, or path of a .onnx or .safetensors file.")
def info(model: str) -> None:
    """Show versions, backends, devices, and the card of a model."""
    import json

    import onnxruntime

    from jointmat.weights import known_models, read_card

    click.echo(f"jointmat {__version__}, python {sys.version.split()[0]}")
    click.echo(f"onnxruntime {onnxruntime.__version__}: {', '.join(onnxruntime.get_available_providers())}")
    click.echo(f"torch {_torch_version()}")
    click.echo(f"models: {', '.join(known_models())}")
    click.echo(json.dumps(read_card(model), indent=2, ensure_ascii=False))


def _torch_version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "not installed (pip install 'jointmat[train]')"


def main() -> None:
    """Entry point of the `jointmat` command."""
    run(cli)


if __name__ == "__main__":
    main()
