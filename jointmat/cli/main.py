"""The command line: the group of all commands, and `demo`, `info` and `completion`."""

import sys
from pathlib import Path
from typing import Any

import click

from jointmat import __version__
from jointmat.cli import options as shared
from jointmat.cli.errors import run
from jointmat.cli.options import SETTINGS, Command, grouped
from jointmat.cli.predict import predict
from jointmat.cli.serve import serve
from jointmat.cli.video import camera, video
from jointmat.errors import pip_install

_files = grouped("Files")


@click.group(context_settings=SETTINGS)
@click.version_option(__version__, prog_name="jointmat")
def cli() -> None:
    """Remove the background from images and videos of people."""


@cli.command(cls=Command)
@_files("-o", "--output", type=click.Path(path_type=Path), default=Path("out"), help="Folder to write to.")
@shared.model
def demo(output: Path, model: str) -> None:
    """Cut out the bundled portrait, and write files to try other commands on."""
    from jointmat.assets import PORTRAIT
    from jointmat.backgrounds import sunset
    from jointmat.cli.samples import write_samples
    from jointmat.evaluation.sheet import save_sheet
    from jointmat.io.write import save_image
    from jointmat.predictor import Predictor

    matte = Predictor(model).matte(PORTRAIT)
    composite = matte.composite(sunset(*matte.alpha.shape))
    output.mkdir(parents=True, exist_ok=True)
    matte.save(output / "astronaut-cutout.png")
    save_image(output / "astronaut-composite.jpg", composite)
    save_sheet(output / "astronaut.jpg", [[matte.image, matte.trimap / 255, matte.alpha, composite]], 320)
    click.echo(f"{output}: astronaut-cutout.png, astronaut-composite.jpg, and astronaut.jpg with all steps")
    click.echo(f"to try other commands on: {', '.join(write_samples(output, matte.image))}")


@cli.command(cls=Command)
@grouped("Output")("--card", is_flag=True, help="Show the whole card of the model.")
@shared.model
@shared.backend
@shared.device
@shared.precision
def info(card: bool, model: str, backend: Any, device: str, precision: Any) -> None:
    """Show versions, devices, licences, and the engine for these options."""
    import json

    from jointmat.runtime.open import open_backend
    from jointmat.weights import known_models, notice, read_card

    facts = read_card(model) if not Path(model).suffix else {}
    if card:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    engine = open_backend(model, backend=backend, device=device, precision=precision).engine
    import onnxruntime  # isort: skip  # after jointmat.runtime, which configures it

    licence = facts.get("licence", {})
    rows = {
        "jointmat": f"{__version__} on Python {sys.version.split()[0]}",
        "ONNX Runtime": f"{onnxruntime.__version__}: {', '.join(onnxruntime.get_available_providers())}",
        "torch": _torch_version(),
        "models": ", ".join(known_models()),
        "in use": engine,
        "licence": f"code {licence.get('code', 'Apache-2.0')}",
        "weights": str(licence.get("weights", "not stated")).partition(". ")[0],
        "NOTICE": str((facts and notice()) or "none"),
        "scores": _scores(facts),
        "card": f"jointmat info --model {model} --card" if facts else "none",
    }
    for title, text in rows.items():
        click.echo(f"{title:14}{text}")


def _scores(card: dict[str, Any]) -> str:
    """Scores of the held-out images, one number a source: SAD, or IoU where the labels are masks."""
    means = card.get("evaluation", {}).get("val", {})
    shown = (
        f"{source} {'SAD' if 'sad' in values else 'IoU'} {values.get('sad', values.get('iou', 0)):.3g}"
        for source, values in means.items()
    )
    return ", ".join(shown) or "none"


@cli.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands and options.

    Add to ~/.bashrc: eval "$(jointmat completion bash)"
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None  # of the choices above
    click.echo(complete(cli, {}, "jointmat", "_JOINTMAT_COMPLETE").source())


def _torch_version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return f"not installed ({pip_install('train')})"


for command in (predict, video, camera, serve):
    cli.add_command(command)


def main() -> None:
    """Entry point of the `jointmat` command."""
    run(cli)


if __name__ == "__main__":
    main()
